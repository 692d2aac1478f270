//! kubectl's reading of a scalar without quotes: YAML 1.1 in part, with Go's syntax of numbers
//! (`sigs.k8s.io/yaml`, `goyaml.v2/resolve.go`).

use super::tree::{Key, Node, Style, Value};
use crate::source::Source;
use std::borrow::Cow;

/// kubectl's value of a manifest's field.
pub fn value<'n>(node: &'n Node, source: &Source) -> Cow<'n, Value> {
    if node.style != Style::Plain {
        return Cow::Borrowed(&node.value);
    }
    match &node.value {
        Value::String(text) => resolve(text).map_or(Cow::Borrowed(&node.value), Cow::Owned),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let written = node.written(source);
            Cow::Owned(resolve(written).unwrap_or_else(|| Value::String(written.to_owned())))
        }
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => Cow::Borrowed(&node.value),
    }
}

/// kubectl's reading of a free key, as in labels.
pub fn key<'k>(key: &'k Key, source: &Source) -> Cow<'k, str> {
    // A quoted scalar is longer in the source.
    let plain = source.slice(key.span) == key.name;
    let read = if plain { key_text(&key.name) } else { None };
    read.map_or(Cow::Borrowed(&key.name), Cow::Owned)
}

/// The value of a scalar that is not a string.
pub(super) fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    match text.as_bytes().first()? {
        b'.' => float(text),
        b'0'..=b'9' | b'+' | b'-' => {
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| float(&plain))
        }
        _ => None,
    }
}

/// `strconv.ParseInt` of base 0: decimal, `0x`, `0o`, `0b`, and octal after a zero.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (digits, base) = match prefix.as_deref() {
        Some("0x") => (digits.get(2..)?, 16),
        Some("0o") => (digits.get(2..)?, 8),
        Some("0b") => (digits.get(2..)?, 2),
        _ if digits.len() > 1 && digits.starts_with('0') => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    match i128::from_str_radix(digits, base) {
        Ok(number) if u64::try_from(number).is_ok() => {
            let number = if negative { -number } else { number };
            Some(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
        }
        // A number that is too large is a float, if it can be read as one.
        _ => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, if it is finite.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust reads this grammar and, besides, the words `inf`, `infinity` and `nan`.
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
}

/// The JSON string for a key that is not a string.
pub(super) fn key_text(written: &str) -> Option<String> {
    match resolve(written)? {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(shortest(number as f32)),
        Value::Null | Value::String(_) | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// `strconv.FormatFloat(number, 'g', -1, 32)`.
fn shortest(number: f32) -> String {
    if !number.is_finite() {
        let text = if number.is_nan() { ".nan" } else { ".inf" };
        return if number == f32::NEG_INFINITY { format!("-{text}") } else { text.to_owned() };
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
}
