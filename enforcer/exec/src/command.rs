//! The command of `exec:COMMAND`: split into words, and looked for before anything is built.

use std::fmt;

/// What a shell would do something about, were it there.
const OF_A_SHELL: &[char] = &['|', '&', ';', '<', '>', '(', ')', '$', '`', '\n'];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecCommand {
    text: String,
    program: String,
    arguments: Vec<String>,
}

impl ExecCommand {
    /// Splits a command at its spaces, as a shell does: quotes and backslashes keep words together, and
    /// nothing is expanded. The error says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<ExecCommand, String> {
        let mut words = words(text)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let Some(program) = program else {
            return Err("the command is missing; write exec:PROGRAM ARGUMENT...".into());
        };
        Ok(ExecCommand { text: text.to_owned(), program, arguments: words.collect() })
    }

    /// Whether the program can be started, by its path or from a folder of PATH. The error says what is
    /// wrong and what to do about it.
    pub fn find(&self) -> Result<(), String> {
        netproof_enforcer_process::find(&self.program).map(drop)
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

/// As it was written.
impl fmt::Display for ExecCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => quoted(character, &mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("nothing follows the last backslash; write \\\\ for a backslash".into()),
            },
            '\0' => return Err("a command has no NUL in it".into()),
            _ if OF_A_SHELL.contains(&character) => {
                return Err(format!(
                    "no shell reads this command, to which {character:?} would mean something; quote it, or write \
                     exec:sh -c '...'"
                ));
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The rest of what a quote began, up to its end.
fn quoted(quote: char, characters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match characters.next() {
            Some('\0') => return Err("a command has no NUL in it".into()),
            Some(character) if character == quote => return Ok(()),
            Some('\\') if quote == '"' => match characters.next() {
                Some(next) if matches!(next, '"' | '\\' | '$' | '`') => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => break,
            },
            Some(character) => word.push(character),
            None => break,
        }
    }
    Err(format!("a quote is not closed; write {quote} where it ends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("./agent", vec!["./agent"]),
            ("  ./agent \t --flag  value ", vec!["./agent", "--flag", "value"]),
            ("sh -c 'cat | agent $HOME'", vec!["sh", "-c", "cat | agent $HOME"]),
            (r#"a "b c"d '' "" e"#, vec!["a", "b cd", "", "", "e"]),
            (r#"a b\ c \' \\ \"x"#, vec!["a", "b c", "'", r"\", "\"x"]),
            (r#"a "\"\\\$\`\n" '\"'"#, vec!["a", r#""\$`\n"#, r#"\""#]),
            ("agent ~ * ? # é", vec!["agent", "~", "*", "?", "#", "é"]),
        ] {
            let command = ExecCommand::parse(text).unwrap();
            let words: Vec<&str> = std::iter::once(command.program())
                .chain(command.arguments().iter().map(String::as_str))
                .collect();
            assert_eq!(words, expected, "{text}");
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_split_says_what_to_write() {
        for (text, expected) in [
            ("", "command is missing"),
            ("  ", "command is missing"),
            ("''", "command is missing"),
            ("agent 'x", "write ' where it ends"),
            ("agent \"x", "write \" where it ends"),
            ("agent \"x\\", "write \" where it ends"),
            ("agent \\", "last backslash"),
            ("agent | tee", "exec:sh -c"),
            ("agent > $HOME/log", "exec:sh -c"),
            ("agent 'a\0b'", "NUL"),
        ] {
            let said = ExecCommand::parse(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }

    #[test]
    fn the_first_word_is_looked_for() {
        let find = |text: &str| ExecCommand::parse(text).unwrap().find();
        assert_eq!(find("sh -c true"), Ok(()));
        assert!(find("no-such-program-anywhere x").unwrap_err().contains("no-such-program-anywhere in"));
    }
}
