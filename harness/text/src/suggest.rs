//! "Did you mean": the known word that is closest to a misspelt one.

/// The candidate closest to `word`, if it is close enough: up to a third of its letters are wrong (a swap of
/// neighbours counts once), or only the case differs.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // An input may have a word of any length, and the distance costs the product of both lengths.
    if word.chars().count() > 100 {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            let allowed = (candidate.chars().count().min(word.chars().count()) / 3).clamp(1, 3);
            (distance <= allowed && distance < word.chars().count()).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?` if a candidate is close, else the list of candidates if it is short.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    match did_you_mean(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.len() <= 12 => format!("known are: {}", known.join(", ")),
        None => "check the spelling and the indentation".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let known = ["podSelector", "policyTypes", "ingress", "egress", "port", "TCP", "UDP"];
        for (word, expected) in [
            ("podSelectr", Some("podSelector")),
            ("podselector", Some("podSelector")),
            ("policyType", Some("policyTypes")),
            ("igress", Some("ingress")),
            ("prot", Some("port")),
            ("tcp", Some("TCP")),
            ("X", None),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known), expected, "{word}");
        }
        assert_eq!(did_you_mean(&"x".repeat(1 << 20), known), None);
    }
}
