//! What a wrong place in a selector most likely should have been: every error of the parser, with the help that
//! mends it.

use super::error::SelectorError;
use super::lexer::is_label_character;
use super::parse::Parser;
use netproof_text::suggest::did_you_mean;

const CONDITIONS: &str = "after a label comes one of: `== 'x'`, `!= 'x'`, `in {'x'}`, `not in {'x'}`, `contains 'x'`, \
     `starts with 'x'`, `ends with 'x'`";
const ONE_LINE: &str =
    "write it on one line: in YAML, a `|` block ends in a line break, and a `>-` block has none";
const STRAIGHT_QUOTES: &str = "write a straight quote: ' or \"";
const FUNCTIONS: [&str; 3] = ["has", "all", "global"];

/// Words of other languages for functions and operators.
const SYNONYMS: &[(&str, &str)] = &[
    ("exists", "has(LABEL)"),
    ("exist", "has(LABEL)"),
    ("any", "all()"),
    ("everything", "all()"),
    ("not", "!"),
    ("equals", "=="),
    ("is", "=="),
    ("eq", "=="),
    ("ne", "!="),
    ("isnot", "!="),
    ("matches", "contains"),
    ("like", "contains"),
    ("includes", "contains"),
    ("startsWith", "starts with"),
    ("endsWith", "ends with"),
];

impl Parser<'_> {
    /// Where `&&`, `||` or the end should be.
    pub(super) fn after_operand(&self) -> SelectorError {
        let lexer = &self.lexer;
        let (word, here) = (lexer.word(), lexer.next_word());
        let wrong = |message: String, help: &str| lexer.error(here.clone(), message, help);
        match (word.to_lowercase().as_str(), lexer.rest().chars().next()) {
            ("and", _) => wrong(format!("`{word}` is no operator"), "did you mean `&&`?"),
            ("or", _) => wrong(format!("`{word}` is no operator"), "did you mean `||`?"),
            (_, Some('&')) => wrong("`&` is no operator".to_owned(), "did you mean `&&`?"),
            (_, Some('|')) => wrong("`|` is no operator".to_owned(), "did you mean `||`?"),
            (_, Some(',')) => {
                wrong("`,` does not join conditions".to_owned(), "write `&&` for both, `||` for either")
            }
            (_, Some(')')) => {
                wrong("`)` closes nothing".to_owned(), "leave it out, or open the parenthesis with `(`")
            }
            (_, Some('\n' | '\r')) => wrong("a selector has no line breaks".to_owned(), ONE_LINE),
            (_, Some(c)) => {
                let found = if word.is_empty() { c.to_string() } else { word.to_owned() };
                let message = format!("`&&` or `||` is missing before `{found}`");
                wrong(message, "write `&&` for both conditions, `||` for either")
            }
            (_, None) => wrong("the selector ends here".to_owned(), "add the rest"),
        }
    }

    /// Where `)` should be, for what was opened at `start`.
    pub(super) fn not_closed(&self, start: usize) -> SelectorError {
        let opened = self.lexer.text.get(start..).unwrap_or_default();
        let length = opened.find('(').map_or(1, |paren| paren + 1);
        let opened = opened.get(..length).unwrap_or_default();
        if self.lexer.is_at_end() {
            let message = format!("`{opened}` is not closed");
            return self.lexer.error(start..start + length, message, "add `)`");
        }
        match opened {
            "(" => self.after_operand(),
            "has(" => {
                let message = "`has(` takes one label";
                self.lexer.error(self.lexer.next_word(), message, "close it with `)` after the label")
            }
            _ => {
                let message = format!("`{opened}` takes nothing");
                self.lexer.error(self.lexer.next_word(), message, format!("write `{opened})`"))
            }
        }
    }

    pub(super) fn no_label_in_has(&self) -> SelectorError {
        let here = self.lexer.next_character();
        let help = "write the label without quotes: `has(role)`";
        self.lexer.error(here, "`has(` needs the name of a label", help)
    }

    /// Where a condition should begin.
    pub(super) fn no_operand(&self) -> SelectorError {
        let here = self.lexer.next_character();
        let wrong = |message: &str, help: &str| self.lexer.error(here.clone(), message, help);
        match self.lexer.rest().chars().next() {
            None => wrong("a condition is missing at the end", "add one, such as `role == 'db'`"),
            Some(')') => wrong(
                "a condition is missing before `)`",
                "write one, such as `role == 'db'`; `all()` is true for everything",
            ),
            Some('\'' | '"') => {
                wrong("a label is wanted here, not a text", "write the label's name without quotes")
            }
            Some('&' | '|') => wrong("a condition is missing here", "write one on each side of the operator"),
            Some('\n' | '\r') => wrong("a selector has no line breaks", ONE_LINE),
            Some(c) => {
                let message = format!("`{}` cannot begin a condition", c.escape_debug());
                wrong(&message, "write a label's name, `has(LABEL)`, `all()`, `!` or `(`")
            }
        }
    }

    /// Where a label's condition should be; the label is at `start`.
    pub(super) fn no_condition(&self, start: usize, name: &str) -> SelectorError {
        let lexer = &self.lexer;
        let label = start..start + name.len();
        let wrong = |message: String, help: String| lexer.error(lexer.next_word(), message, help);
        match lexer.rest().chars().next() {
            None | Some(')' | '&' | '|') if FUNCTIONS.contains(&name) => {
                let call = if name == "has" { "has(LABEL)".to_owned() } else { format!("{name}()") };
                lexer.error(label, format!("`{name}` is a function here"), format!("did you mean `{call}`?"))
            }
            None | Some(')' | '&' | '|') => needs_condition(self, label, name),
            Some('(') => self.no_function(start, name),
            Some('=') => wrong("`=` is no operator".to_owned(), "did you mean `==`?".to_owned()),
            Some('!') => wrong("`!` stands before a condition".to_owned(), "did you mean `!=`?".to_owned()),
            Some('<') => wrong("`<` is no operator".to_owned(), CONDITIONS.to_owned()),
            Some('\n' | '\r') => wrong("a selector has no line breaks".to_owned(), ONE_LINE.to_owned()),
            Some(_) if name.eq_ignore_ascii_case("not") => {
                lexer.error(label, format!("`{name}` does not negate"), "did you mean `!`?")
            }
            Some(c) if is_label_character(c) => self.no_operator(),
            Some(c) => wrong(format!("`{}` is no operator", c.escape_debug()), CONDITIONS.to_owned()),
        }
    }

    /// A name with a parenthesis that is no function.
    fn no_function(&self, start: usize, name: &str) -> SelectorError {
        let label = start..start + name.len();
        let lower = name.to_lowercase();
        if FUNCTIONS.contains(&name) {
            let between = label.end..self.lexer.at + 1;
            let message = format!("the parenthesis must follow `{name}` at once");
            return self.lexer.error(between, message, format!("write `{name}(`"));
        }
        let near = SYNONYMS.iter().find(|(word, _)| *word == lower).map(|(_, right)| (*right).to_owned());
        let near = near.or_else(|| match did_you_mean(name, FUNCTIONS)? {
            "has" => Some("has(LABEL)".to_owned()),
            function => Some(format!("{function}()")),
        });
        let help = match near {
            Some(right) => format!("did you mean `{right}`?"),
            None => "there are `has(LABEL)`, `all()` and `global()`".to_owned(),
        };
        self.lexer.error(label, format!("there is no function `{name}`"), help)
    }

    /// A word after a label that is no operator.
    fn no_operator(&self) -> SelectorError {
        let word = self.lexer.word();
        let here = self.lexer.next_word();
        let lower = word.to_lowercase();
        const WORDS: [&str; 6] = ["contains", "starts", "ends", "in", "not", "notin"];
        let help = match lower.as_str() {
            "starts" | "startswith" => "did you mean `starts with`?".to_owned(),
            "ends" | "endswith" => "did you mean `ends with`?".to_owned(),
            "not" | "notin" => "did you mean `not in`?".to_owned(),
            "and" | "or" => CONDITIONS.to_owned(),
            _ => {
                let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == lower).map(|(_, right)| *right);
                match synonym.or_else(|| did_you_mean(word, WORDS)) {
                    Some("starts") => "did you mean `starts with`?".to_owned(),
                    Some("ends") => "did you mean `ends with`?".to_owned(),
                    Some("not" | "notin") => "did you mean `not in`?".to_owned(),
                    Some(right) => format!("did you mean `{right}`?"),
                    None => CONDITIONS.to_owned(),
                }
            }
        };
        self.lexer.error(here, format!("`{word}` is no operator"), help)
    }

    pub(super) fn quote_not_closed(&self, start: usize, quote: &str) -> SelectorError {
        let part = start..self.lexer.text.len();
        let help =
            format!("add {quote} at its end; nothing escapes a quote, and the other kind may enclose it");
        self.lexer.error(part, "the text is not closed", help)
    }

    /// Where a text should be.
    pub(super) fn no_text(&self) -> SelectorError {
        let lexer = &self.lexer;
        let word = lexer.word();
        let wrong = |message: &str, help: String| lexer.error(lexer.next_word(), message, help);
        match lexer.rest().chars().next() {
            None => wrong("a text is missing at the end", "add one in quotes, such as 'db'".to_owned()),
            Some('‘' | '’' | '“' | '”') => {
                wrong("this is a typographic quote", STRAIGHT_QUOTES.to_owned())
            }
            Some('=') => wrong("`=` stands once too often", "write `==` or `!=`".to_owned()),
            Some('{') => {
                wrong("one text is wanted here, not a set", "write `in {...}` or `not in {...}`".to_owned())
            }
            Some('\n' | '\r') => wrong("a selector has no line breaks", ONE_LINE.to_owned()),
            Some(_) if !word.is_empty() => wrong("a text must be in quotes", format!("write '{word}'")),
            Some(_) => wrong("a text in quotes is wanted here", "write one such as 'db'".to_owned()),
        }
    }

    /// Where a set should be.
    pub(super) fn no_set(&self) -> SelectorError {
        let help = match self.lexer.rest().chars().next() {
            Some('(' | '[') => "write braces: `{'a', 'b'}`".to_owned(),
            _ => "write the texts in braces: `{'a', 'b'}`".to_owned(),
        };
        self.lexer.error(self.lexer.next_word(), "a set is wanted here", help)
    }

    pub(super) fn set_not_closed(&self, start: usize) -> SelectorError {
        self.lexer.error(start..start + 1, "`{` is not closed", "add `}`")
    }

    /// Where the next text of a set, or its end, should be.
    pub(super) fn no_comma(&self) -> SelectorError {
        let help = "write `,` between the texts of a set, and `}` after the last";
        self.lexer.error(self.lexer.next_word(), "`,` or `}` is wanted here", help)
    }
}

fn needs_condition(parser: &Parser<'_>, label: std::ops::Range<usize>, name: &str) -> SelectorError {
    let help = format!("write `has({name})` if any value will do, or `{name} == 'VALUE'`");
    parser.lexer.error(label, format!("the label `{name}` has no condition"), help)
}
