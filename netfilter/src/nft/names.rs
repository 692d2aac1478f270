//! Names of chains, readable and within the kernel's limit.

use netproof_model::NamespacedName;

/// The longest readable name; the kernel holds 255 bytes, and an epoch may follow.
const LONGEST: usize = 200;

/// `KIND/NAMESPACE/NAME`; if that is too long, its beginning and a hash of the whole.
pub fn object(kind: &str, name: &NamespacedName) -> String {
    shorten(format!("{kind}/{name}"))
}

/// `KIND/NAMESPACE/NAME/PART`, shortened in the same way.
pub fn object_part(kind: &str, name: &NamespacedName, part: &str) -> String {
    shorten(format!("{kind}/{name}/{part}"))
}

/// A hash that is the same in every run (FNV-1a).
pub(super) fn hash(text: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// A name within the kernel's limit: its beginning and a hash of the whole.
pub fn shorten(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let hash = hash(&name);
    let beginning: String = name.chars().take_while(char::is_ascii).take(LONGEST - 17).collect();
    format!("{beginning}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_apart_and_fit() {
        let pod = |last: char| NamespacedName::new("n".repeat(63), format!("{}{last}", "p".repeat(252)));
        let (a, b) = (object("ingress-pod", &pod('a')), object("ingress-pod", &pod('b')));
        assert_ne!(a, b);
        assert_eq!(a.len(), LONGEST);
        assert_eq!(object("egress-pod", &NamespacedName::new("default", "web")), "egress-pod/default/web");
    }
}
