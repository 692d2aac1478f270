//! The core schema of YAML 1.2 (section 10.3.2): the meaning of a scalar without quotes.

use super::tree::Value;

/// The value of a plain scalar.
pub(super) fn resolve(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    integer(&text).or_else(|| float(&text)).unwrap_or(Value::String(text))
}

/// `[-+]?[0-9]+`, `0o[0-7]+`, `0x[0-9a-fA-F]+`. One beyond 64 bits is kept as a float, which every
/// reader of an integer refuses.
fn integer(text: &str) -> Option<Value> {
    let in_base = |digits: &str, base: u32| {
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
        valid.then(|| match i64::from_str_radix(digits, base) {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Float(f64::INFINITY),
        })
    };
    if let Some(digits) = text.strip_prefix("0o") {
        return in_base(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return in_base(digits, 16);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match text.parse::<i64>() {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Float(text.parse().unwrap_or(f64::INFINITY)),
    })
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Rust reads this grammar and, besides, the words `inf`, `infinity` and `nan`.
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_schema() {
        use Value::{Bool, Float, Int, Null};
        let string = |text: &str| Value::String(text.to_owned());
        for (text, expected) in [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("nUll", string("nUll")),
            ("true", Bool(true)),
            ("FALSE", Bool(false)),
            ("yes", string("yes")),
            ("no", string("no")),
            ("on", string("on")),
            ("off", string("off")),
            ("y", string("y")),
            ("0", Int(0)),
            ("-19", Int(-19)),
            ("+12", Int(12)),
            ("0777", Int(777)),
            ("0o17", Int(15)),
            ("0x1F", Int(31)),
            ("0x", string("0x")),
            ("0o8", string("0o8")),
            ("0x+1", string("0x+1")),
            ("1_000", string("1_000")),
            ("9223372036854775807", Int(i64::MAX)),
            ("9223372036854775808", Float(9_223_372_036_854_775_808.0)),
            ("1e3", Float(1000.0)),
            ("1.5", Float(1.5)),
            (".5", Float(0.5)),
            ("2.", Float(2.0)),
            ("-.5e-1", Float(-0.05)),
            (".", string(".")),
            ("+", string("+")),
            ("-", string("-")),
            ("1.2.3", string("1.2.3")),
            ("10.0.0.0/8", string("10.0.0.0/8")),
            ("inf", string("inf")),
            ("nan", string("nan")),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("12:30:45", string("12:30:45")),
            ("2001-12-14", string("2001-12-14")),
        ] {
            assert_eq!(resolve(text.to_owned()), expected, "{text}");
        }
    }
}
