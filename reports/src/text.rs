//! Text for people: durations, counts, control characters made visible, and lines broken to a width.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// A duration with useful precision: `0.4 ms`, `84 ms`, `1.24 s`, `2 min 5 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if duration < Duration::from_micros(9_950) {
        format!("{:.1} ms", seconds * 1e3)
    } else if duration < Duration::from_micros(999_500) {
        format!("{:.0} ms", seconds * 1e3)
    } else if duration < Duration::from_millis(59_995) {
        format!("{seconds:.2} s")
    } else {
        let whole = seconds.round();
        format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

/// `1 check`, `2 checks`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// The text on one line, with control characters as escapes: a scenario's text can neither move the cursor
/// nor break an XML file.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

/// The same, with line breaks kept.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |c| c == '\n')
}

fn visible(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |c: char| (c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) && !keep(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' | '\t' if hidden(c) => shown.push(' '),
            c if hidden(c) => {
                // Writing to a string cannot fail.
                let _ = write!(shown, "{}", c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Breaks a text at spaces into lines of at most `width` columns. A longer word stays whole, so that it can
/// be copied. Line breaks of the text stay. Without a width nothing is broken.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let mut wrapped = Vec::new();
    for line in text.lines() {
        let Some(width) = width else {
            wrapped.push(line.to_owned());
            continue;
        };
        let mut current = String::new();
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            if !current.is_empty() && current.width() + 1 + word.width() > width {
                wrapped.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        wrapped.push(current);
    }
    if wrapped.is_empty() {
        wrapped.push(String::new());
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_well() {
        for (micros, expected) in [
            (0, "0.0 ms"),
            (432, "0.4 ms"),
            (9_949, "9.9 ms"),
            (9_950, "10 ms"),
            (84_300, "84 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (1_240_000, "1.24 s"),
            (59_994_000, "59.99 s"),
            (59_995_000, "1 min 0 s"),
            (125_400_000, "2 min 5 s"),
            (3_600_000_000, "60 min 0 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), expected, "{micros} µs");
        }
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(one_line("a\u{1b}[31mb\tc\nd\0"), "a\\u{1b}[31mb c d\\u{0}");
        assert_eq!(lines("a\nb\r\u{ffff}"), "a\nb\\u{d}\\u{ffff}");
        assert!(matches!(one_line("plain – text"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_break_at_spaces() {
        let cases: [(&str, Option<usize>, &[&str]); 6] = [
            ("one two three", Some(7), &["one two", "three"]),
            ("one two three", Some(1), &["one", "two", "three"]),
            ("one two three", None, &["one two three"]),
            ("", Some(7), &[""]),
            ("a\nb c", Some(2), &["a", "b", "c"]),
            ("日本語 日本", Some(8), &["日本語", "日本"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(wrap(text, width), expected, "{text:?} at {width:?}");
        }
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word(text in any::<String>(), width in proptest::option::of(0usize..100)) {
            let joined = wrap(&text, width).join(" ");
            let words: Vec<_> = text.lines().flat_map(|l| l.split(' ')).filter(|w| !w.is_empty()).collect();
            let kept: Vec<_> = joined.split(' ').filter(|w| !w.is_empty()).collect();
            prop_assert_eq!(words, kept);
        }

        #[test]
        fn one_line_is_one_line_without_controls(text in any::<String>()) {
            let line = one_line(&text);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
