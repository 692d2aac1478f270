//! From a text to a selector, by recursive descent: one method for each line of the grammar.

use super::error::SelectorError;
use super::lexer::Lexer;
use super::{Condition, MAX_SELECTOR_CHARACTERS, Selector};
use std::str::FromStr;

/// How deep parentheses may be nested: no selector that means something comes near it, and the stack holds it.
const MAX_DEPTH: usize = 100;

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { lexer: Lexer { text, at: 0 }, depth: 0 };
        if let Some((end, _)) = text.char_indices().nth(MAX_SELECTOR_CHARACTERS) {
            let message = format!("a selector has at most {MAX_SELECTOR_CHARACTERS} characters");
            return Err(parser.lexer.error(
                end..text.len(),
                message,
                "use fewer or shorter labels and values",
            ));
        }
        parser.lexer.skip_space();
        if parser.lexer.is_at_end() {
            return Ok(Selector::All);
        }
        let selector = parser.or()?;
        parser.lexer.skip_space();
        if !parser.lexer.is_at_end() {
            return Err(parser.after_operand());
        }
        Ok(selector)
    }
}

pub(super) struct Parser<'t> {
    pub(super) lexer: Lexer<'t>,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Selector, SelectorError> {
        let operands = self.operands("||", Self::and)?;
        Ok(several(operands, Selector::Or))
    }

    fn and(&mut self) -> Result<Selector, SelectorError> {
        let operands = self.operands("&&", Self::unary)?;
        Ok(several(operands, Selector::And))
    }

    fn operands(
        &mut self,
        operator: &str,
        operand: fn(&mut Self) -> Result<Selector, SelectorError>,
    ) -> Result<Vec<Selector>, SelectorError> {
        let mut operands = Vec::new();
        loop {
            operands.push(operand(self)?);
            self.lexer.skip_space();
            if !self.lexer.take(operator) {
                return Ok(operands);
            }
        }
    }

    fn unary(&mut self) -> Result<Selector, SelectorError> {
        let mut negated = false;
        self.lexer.skip_space();
        while self.lexer.take("!") {
            negated = !negated;
            self.lexer.skip_space();
        }
        let operand = self.primary()?;
        Ok(if negated { Selector::Not(Box::new(operand)) } else { operand })
    }

    fn primary(&mut self) -> Result<Selector, SelectorError> {
        let start = self.lexer.at;
        if self.lexer.take("(") {
            return self.parentheses(start);
        }
        // The names of functions are labels, too, unless the parenthesis follows at once.
        for (function, selector) in [("all(", Selector::All), ("global(", Selector::Global)] {
            if self.lexer.take(function) {
                self.lexer.skip_space();
                self.close(start)?;
                return Ok(selector);
            }
        }
        if self.lexer.take("has(") {
            self.lexer.skip_space();
            let Some(name) = self.lexer.label()? else { return Err(self.no_label_in_has()) };
            self.lexer.skip_space();
            self.close(start)?;
            return Ok(Selector::Label { name: name.to_owned(), condition: Condition::Has });
        }
        let Some(name) = self.lexer.label()? else { return Err(self.no_operand()) };
        self.lexer.skip_space();
        let condition = self.condition(start, name)?;
        Ok(Selector::Label { name: name.to_owned(), condition })
    }

    /// The rest of `( or )`, opened at `start`.
    fn parentheses(&mut self, start: usize) -> Result<Selector, SelectorError> {
        if self.depth == MAX_DEPTH {
            let message = format!("parentheses are nested more than {MAX_DEPTH} times");
            return Err(self.lexer.error(start..start + 1, message, "leave out those that change nothing"));
        }
        self.depth += 1;
        let selector = self.or()?;
        self.depth -= 1;
        self.lexer.skip_space();
        self.close(start)?;
        Ok(selector)
    }

    /// `)`, for what was opened at `start`.
    fn close(&mut self, start: usize) -> Result<(), SelectorError> {
        if self.lexer.take(")") {
            return Ok(());
        }
        Err(self.not_closed(start))
    }

    fn condition(&mut self, start: usize, name: &str) -> Result<Condition, SelectorError> {
        if self.lexer.take("==") {
            return self.text().map(Condition::Equals);
        }
        if self.lexer.take("!=") {
            return self.text().map(Condition::Differs);
        }
        if self.lexer.take_words(&["contains"]) {
            return self.text().map(Condition::Contains);
        }
        if self.lexer.take_words(&["starts", "with"]) {
            return self.text().map(Condition::StartsWith);
        }
        if self.lexer.take_words(&["ends", "with"]) {
            return self.text().map(Condition::EndsWith);
        }
        if self.lexer.take_words(&["in"]) {
            return self.set().map(Condition::In);
        }
        if self.lexer.take_words(&["not", "in"]) {
            return self.set().map(Condition::NotIn);
        }
        Err(self.no_condition(start, name))
    }

    /// A text in quotes.
    pub(super) fn text(&mut self) -> Result<String, SelectorError> {
        self.lexer.skip_space();
        let start = self.lexer.at;
        for quote in ["'", "\""] {
            if !self.lexer.take(quote) {
                continue;
            }
            let rest = self.lexer.rest();
            let Some(length) = rest.find(quote) else { return Err(self.quote_not_closed(start, quote)) };
            self.lexer.at += length + quote.len();
            return Ok(rest.get(..length).unwrap_or_default().to_owned());
        }
        Err(self.no_text())
    }

    /// A set of texts in braces.
    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        self.lexer.skip_space();
        let start = self.lexer.at;
        if !self.lexer.take("{") {
            return Err(self.no_set());
        }
        let mut texts = Vec::new();
        loop {
            self.lexer.skip_space();
            if self.lexer.take("}") {
                return Ok(texts);
            }
            if self.lexer.is_at_end() {
                return Err(self.set_not_closed(start));
            }
            texts.push(self.text()?);
            self.lexer.skip_space();
            if !self.lexer.take(",") && !self.lexer.rest().starts_with('}') {
                return Err(match self.lexer.is_at_end() {
                    true => self.set_not_closed(start),
                    false => self.no_comma(),
                });
            }
        }
    }
}

/// One operand is itself.
fn several(mut operands: Vec<Selector>, join: fn(Vec<Selector>) -> Selector) -> Selector {
    match operands.pop() {
        Some(only) if operands.is_empty() => only,
        last => {
            operands.extend(last);
            join(operands)
        }
    }
}
