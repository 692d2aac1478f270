//! Label selectors in their text form: `app=web,tier in (a, b),!old`.

use serde_json::Value;
use std::iter::Peekable;
use std::str::Chars;

/// Requirements that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Holds without the label, too.
    NotIn(Vec<String>),
    /// Both are numbers, and the label's is larger.
    Above(i64),
    /// Both are numbers, and the label's is smaller.
    Below(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Not,
    Equals,
    NotEquals,
    Above,
    Below,
    Open,
    Close,
    Comma,
}

impl LabelSelector {
    pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut requirements = Vec::new();
        while tokens.peek().is_some() {
            requirements.push(requirement(&mut tokens)?);
            match tokens.next() {
                None => break,
                Some(Token::Comma) if tokens.peek().is_some() => (),
                Some(other) => {
                    return Err(unexpected(Some(&other), "',' and another requirement, or the end"));
                }
            }
        }
        Ok(LabelSelector(requirements))
    }

    pub(super) fn matches(&self, labels: Option<&Value>) -> bool {
        self.0.iter().all(|requirement| {
            let label = labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str);
            let number = || label.and_then(|label| label.parse::<i64>().ok());
            match &requirement.test {
                Test::Exists => label.is_some(),
                Test::Absent => label.is_none(),
                Test::In(values) => label.is_some_and(|label| values.iter().any(|value| value == label)),
                Test::NotIn(values) => !label.is_some_and(|label| values.iter().any(|value| value == label)),
                Test::Above(limit) => number().is_some_and(|number| number > *limit),
                Test::Below(limit) => number().is_some_and(|number| number < *limit),
            }
        })
    }
}

fn requirement(tokens: &mut Peekable<impl Iterator<Item = Token>>) -> Result<Requirement, String> {
    if tokens.next_if_eq(&Token::Not).is_some() {
        return Ok(Requirement { key: key(tokens.next())?, test: Test::Absent });
    }
    let key = key(tokens.next())?;
    let operator = match tokens.peek() {
        None | Some(Token::Comma) => return Ok(Requirement { key, test: Test::Exists }),
        Some(_) => tokens.next(),
    };
    let test = match &operator {
        Some(Token::Equals) => Test::In(vec![value(tokens)?]),
        Some(Token::NotEquals) => Test::NotIn(vec![value(tokens)?]),
        Some(Token::Above) => Test::Above(number(tokens)?),
        Some(Token::Below) => Test::Below(number(tokens)?),
        Some(Token::Word(word)) if word == "in" => Test::In(values(tokens)?),
        Some(Token::Word(word)) if word == "notin" => Test::NotIn(values(tokens)?),
        other => return Err(unexpected(other.as_ref(), "in, notin, =, ==, !=, >, <")),
    };
    Ok(Requirement { key, test })
}

/// A key: `[PREFIX/]NAME`.
fn key(token: Option<Token>) -> Result<String, String> {
    let Some(Token::Word(word)) = token else { return Err(unexpected(token.as_ref(), "a label's key")) };
    let (prefix, name) = word.split_once('/').unwrap_or(("x", &word));
    let good = is_name(name) && !name.is_empty() && !prefix.is_empty() && prefix.chars().all(is_of_name);
    if good { Ok(word) } else { Err(format!("invalid label key {word:?}")) }
}

/// A value, which may be empty: `key=`.
fn value(tokens: &mut Peekable<impl Iterator<Item = Token>>) -> Result<String, String> {
    let next = tokens.next_if(|token| matches!(token, Token::Word(_)));
    match (next, tokens.peek()) {
        (Some(Token::Word(word)), _) if is_name(&word) => Ok(word),
        (Some(Token::Word(word)), _) => Err(format!("invalid label value {word:?}")),
        (_, None | Some(Token::Comma | Token::Close)) => Ok(String::new()),
        (_, other) => Err(unexpected(other, "a label's value")),
    }
}

fn number(tokens: &mut Peekable<impl Iterator<Item = Token>>) -> Result<i64, String> {
    let value = value(tokens)?;
    value.parse().map_err(|_| format!("invalid label value {value:?}: a number is compared with numbers"))
}

/// `(a, b)`.
fn values(tokens: &mut Peekable<impl Iterator<Item = Token>>) -> Result<Vec<String>, String> {
    match tokens.next() {
        Some(Token::Open) => (),
        other => return Err(unexpected(other.as_ref(), "'('")),
    }
    let mut values = Vec::new();
    loop {
        values.push(value(tokens)?);
        match tokens.next() {
            Some(Token::Comma) => (),
            Some(Token::Close) => return Ok(values),
            other => return Err(unexpected(other.as_ref(), "',' or ')'")),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        tokens.push(match next {
            ' ' | '\t' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Above,
            '<' => Token::Below,
            '=' => {
                rest.next_if_eq(&'=');
                Token::Equals
            }
            '!' if rest.next_if_eq(&'=').is_some() => Token::NotEquals,
            '!' => Token::Not,
            first if is_of_name(first) || first == '/' => Token::Word(word(first, &mut rest)),
            other => return Err(format!("unable to parse requirement: found {other:?}")),
        });
    }
    Ok(tokens)
}

fn word(first: char, rest: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::from(first);
    while let Some(next) = rest.next_if(|it| is_of_name(*it) || *it == '/') {
        word.push(next);
    }
    word
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Whether it is empty, or what a label's name and value may be.
fn is_name(text: &str) -> bool {
    let ends = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(is_of_name)
}

fn unexpected(found: Option<&Token>, expected: &str) -> String {
    let found = match found {
        None => "the end".to_owned(),
        Some(Token::Word(word)) => format!("{word:?}"),
        Some(other) => format!("{other:?}"),
    };
    format!("unable to parse requirement: found {found}, expected: {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let labels = json!({"app": "web", "tier": "", "example.com/n": "7"});
        let table = [
            ("", true),
            ("app", true),
            ("!app", false),
            ("! app", false),
            ("other", false),
            ("!other", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=", true),
            ("app=we", false),
            ("app!=web", false),
            ("app!=x", true),
            ("other!=x", true),
            ("tier=", true),
            ("tier!=", false),
            ("other=", false),
            ("app in (web)", true),
            ("app in (x, web)", true),
            ("app in(x,y)", false),
            ("tier in ()", true),
            ("tier in (,x)", true),
            ("app notin (web,x)", false),
            ("app notin (x)", true),
            ("other notin (x)", true),
            ("example.com/n=7", true),
            ("example.com/n>6,example.com/n<8", true),
            ("example.com/n>7", false),
            ("app>1", false),
            ("app=web,other", false),
            ("in in (in)", false),
            ("!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name", true),
        ];
        for (text, expected) in table {
            let selector = LabelSelector::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(selector.matches(Some(&labels)), expected, "{text}");
        }
        assert!(LabelSelector::parse("!app").unwrap().matches(None));
        assert!(!LabelSelector::parse("app").unwrap().matches(None));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            ",",
            "app,",
            ",app",
            "=",
            "app=web tier",
            "app in",
            "app in web",
            "app in (web",
            "app in (web))",
            "!",
            "!=",
            "!app=web",
            "app>x",
            "app>",
            "(",
            "app=(",
            "a/b/c",
            "/a",
            "a/",
            "-a",
            "a=-",
            "ä",
            "a=%",
            "app ~ web",
        ] {
            let result = LabelSelector::parse(text);
            assert!(result.is_err(), "{text}: {result:?}");
        }
    }
}
