//! Source texts, and line and column of a byte offset.

use std::sync::{Arc, OnceLock};

/// The largest file that is read: 16 MiB. (An API server refuses objects above 1.5 MiB.)
pub const MAX_SOURCE_BYTES: usize = 16 << 20;

/// The size of a block in bytes, for counting characters.
const BLOCK_BYTES: usize = 4096;

pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text with the name by which the user knows it.
#[derive(Debug)]
pub struct Source {
    /// The file as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Byte offsets at which lines start; computed on first use.
    line_starts: OnceLock<Vec<usize>>,
    /// How many characters start before each block; computed on first use, so that finding a place does not
    /// cost the length of its line.
    block_starts: OnceLock<Vec<usize>>,
}

/// A range of bytes in a [`Source`]'s text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Source {
    /// A text in memory.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source {
            name: name.into(),
            text: text.into(),
            line_starts: OnceLock::new(),
            block_starts: OnceLock::new(),
        })
    }

    /// Line and column of a byte offset, both from 1, the column in characters. An offset past the end
    /// counts as the end, one inside a character as that character's start.
    pub fn location(&self, offset: usize) -> (usize, usize) {
        let starts = self.line_starts();
        let offset = self.floor(offset).max(starts.first().copied().unwrap_or(0));
        let line = starts.partition_point(|&start| start <= offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line.max(1), self.characters_before(offset) - self.characters_before(start) + 1)
    }

    /// The text of a line, counted from 1, without its line break; empty past the end.
    pub fn line(&self, line: usize) -> &str {
        let span = self.line_span(line);
        self.slice(span)
    }

    /// The span of a line, counted from 1, without its line break.
    pub fn line_span(&self, line: usize) -> Span {
        let starts = self.line_starts();
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = starts.get(line).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or("");
        Span::new(start, start + text.trim_end_matches(['\n', '\r']).len())
    }

    /// The text of a span; empty if it is not one of this text.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// The start of the character that `offset` lies in, at most the text's length.
    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// How many characters start before a byte offset.
    fn characters_before(&self, offset: usize) -> usize {
        let text = self.text.as_bytes();
        let blocks = self.block_starts.get_or_init(|| {
            let mut count = 0;
            let blocks = text.chunks(BLOCK_BYTES).map(|block| {
                let before = count;
                count += characters(block);
                before
            });
            blocks.collect()
        });
        // After the last block comes only the text's end.
        let block = (offset / BLOCK_BYTES).min(blocks.len().saturating_sub(1));
        let rest = text.get(block * BLOCK_BYTES..offset).unwrap_or_default();
        blocks.get(block).copied().unwrap_or(0) + characters(rest)
    }

    /// The first line starts after the byte order mark that some editors put there.
    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let mark = if self.text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(mark).chain(breaks.map(|(at, _)| at + 1)).collect()
        })
    }
}

/// How many characters start in these bytes of a text.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// The sentence for a text that is too large.
pub(crate) fn too_large() -> String {
    format!("the file is larger than {} MiB", MAX_SOURCE_BYTES >> 20)
}

impl Span {
    /// From one byte to before another; never of negative length.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end: end.max(start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_counts_characters_from_one() {
        let source = Source::new("x", "añb\r\nc\n");
        assert_eq!(source.location(0), (1, 1));
        assert_eq!(source.location(3), (1, 3));
        assert_eq!(source.location(2), (1, 2), "inside ñ");
        assert_eq!(source.location(6), (2, 1));
        assert_eq!(source.location(99), (3, 1));
        assert_eq!(source.line(1), "añb");
        assert_eq!(source.line(2), "c");
        assert_eq!(source.line(3), "");
        assert_eq!(source.line(9), "");
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        let source = Source::new("x", "\u{feff}ab\nc");
        for (offset, location) in [(0, (1, 1)), (3, (1, 1)), (4, (1, 2)), (6, (2, 1))] {
            assert_eq!(source.location(offset), location, "{offset}");
        }
        assert_eq!(source.line(1), "ab");
    }

    #[test]
    fn columns_of_a_long_line() {
        for (text, bytes) in [("x", 1), ("ñ", 2), ("€", 3)] {
            let source = Source::new("x", format!("\n{}", text.repeat(3 * BLOCK_BYTES)));
            for at in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 7, 3 * BLOCK_BYTES] {
                assert_eq!(source.location(1 + at * bytes), (2, at + 1), "{text}");
            }
        }
    }

    #[test]
    fn empty_text_has_a_first_line() {
        let source = Source::new("x", "");
        assert_eq!(source.location(0), (1, 1));
        assert_eq!(source.line(1), "");
    }
}
