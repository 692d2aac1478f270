//! The syntax of names, labels and ports, as the API server checks it (apimachinery `validation`). Each
//! check returns what is wrong, as the end of a sentence: `"Web" must be ...`.

/// A suggestion for a wrong name: the same in lower case, with `-` for `_` and spaces, if `check` accepts
/// it.
pub fn likely(name: &str, check: fn(&str) -> Result<(), String>) -> Option<String> {
    let lower = name.to_lowercase().replace(['_', ' '], "-");
    check(&lower).is_ok().then_some(lower)
}

/// A DNS label (RFC 1123): namespaces, containers, ports of services.
pub fn check_dns_label(name: &str) -> Result<(), String> {
    at_most(name, 63)?;
    if is_dns_label(name) {
        return Ok(());
    }
    Err("must be lower-case letters, digits and `-`, and start and end with a letter or digit".to_owned())
}

/// A DNS label that starts with a letter (RFC 1035): services.
pub fn check_dns_1035_label(name: &str) -> Result<(), String> {
    at_most(name, 63)?;
    if is_dns_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Ok(());
    }
    Err("must be lower-case letters, digits and `-`, start with a letter and end with a letter or digit"
        .to_owned())
}

/// A DNS subdomain (RFC 1123): pods, nodes, policies, workloads.
pub fn check_dns_subdomain(name: &str) -> Result<(), String> {
    at_most(name, 253)?;
    if name.split('.').all(is_dns_label) {
        return Ok(());
    }
    Err("must be lower-case letters, digits, `-` and `.`, and each part start and end with a letter or digit"
        .to_owned())
}

/// A label's or annotation's key: a name of up to 63 characters, with an optional prefix of a DNS subdomain
/// and `/`.
pub fn check_label_key(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            if prefix.is_empty() {
                return Err("must have a DNS name before the `/`".to_owned());
            }
            check_dns_subdomain(prefix).map_err(|problem| format!("has a prefix that {problem}"))?;
            name
        }
        None => key,
    };
    if name.is_empty() {
        return Err("must have a name".to_owned());
    }
    at_most(name, 63)?;
    if is_qualified(name) {
        return Ok(());
    }
    Err("must be letters, digits, `-`, `_` and `.`, and start and end with a letter or digit, \
         with at most one `/` after a DNS name"
        .to_owned())
}

/// A label's value: empty, or up to 63 characters.
pub fn check_label_value(value: &str) -> Result<(), String> {
    at_most(value, 63)?;
    if value.is_empty() || is_qualified(value) {
        return Ok(());
    }
    Err("must be empty, or letters, digits, `-`, `_` and `.`, and start and end with a letter or digit"
        .to_owned())
}

/// The name of a container port, which policies and services refer to (an IANA service name).
pub fn check_port_name(name: &str) -> Result<(), String> {
    at_most(name, 15)?;
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err("must be lower-case letters, digits and `-`".to_owned());
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err("must have at least one letter".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        return Err("must not start or end with `-`, nor have two in a row".to_owned());
    }
    Ok(())
}

fn at_most(name: &str, length: usize) -> Result<(), String> {
    if name.len() > length {
        return Err(format!("must be at most {length} characters, and is {}", name.len()));
    }
    Ok(())
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, of any length.
fn is_dns_label(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// `[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?`
fn is_qualified(name: &str) -> bool {
    let edge = |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(name.chars().next())
        && edge(name.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(check: fn(&str) -> Result<(), String>, good: &[&str], bad: &[&str]) {
        for name in good {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
        for name in bad {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn syntax() {
        let (l63, l64, l253, l254) =
            ("a".repeat(63), "a".repeat(64), "a.".repeat(126) + "a", "a.".repeat(126) + "aa");
        table(
            check_dns_label,
            &["a", "a-b", "1", "a1", &l63],
            &["", "A", "a.b", "-a", "a-", "a_b", "é", "a b", &l64],
        );
        table(check_dns_1035_label, &["a", "a1", &l63], &["", "1a", "1", "A", "a.b", "a-", &l64]);
        table(
            check_dns_subdomain,
            &["a", "a.b", "1.2-3", &l64, &l253],
            &["", ".", "a.", ".a", "a..b", "a.-b", "A.b", &l254],
        );
        table(
            check_label_key,
            &["app", "App_1.x-y", "kubernetes.io/metadata.name", "a/b", &l63],
            &["", "/a", "a/", "a/b/c", "-a", "a-", "A/b", "a b", &l64],
        );
        table(check_label_value, &["", "a", "A.b_c-d", "1", &l63], &["-a", "a-", "a b", "a/b", &l64]);
        table(
            check_port_name,
            &["http", "a", "8080-tcp", "a23456789012345"],
            &["", "80", "HTTP", "-a", "a-", "a--b", "a_b", "a234567890123456"],
        );
    }
}
