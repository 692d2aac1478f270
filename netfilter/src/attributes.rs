//! Netlink attributes: length, type, value, padded to a multiple of four bytes (`linux/netlink.h`).

use netlink_packet_core::{NLA_F_NESTED, NLA_HEADER_SIZE, NlasIterator};

/// A writer of consecutive attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    bytes: Vec<u8>,
    /// Whether an attribute is too long for its 16-bit length.
    too_long: bool,
}

impl Attributes {
    /// No attributes.
    pub const NONE: &'static Attributes = &Attributes { bytes: Vec::new(), too_long: false };

    /// Whether an attribute is too long to be sent.
    pub(crate) fn are_too_long(&self) -> bool {
        self.too_long
    }

    /// The bytes written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A number, in network byte order as in all of netfilter.
    pub fn number(&mut self, kind: u16, number: u32) {
        self.value(kind, &number.to_be_bytes());
    }

    /// A text, terminated by a zero byte.
    pub fn text(&mut self, kind: u16, text: &str) {
        let start = self.begin(kind);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        self.end(start);
    }

    /// Bytes as they are.
    pub fn value(&mut self, kind: u16, value: &[u8]) {
        let start = self.begin(kind);
        self.bytes.extend(value);
        self.end(start);
    }

    /// A nested attribute.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Attributes)) {
        let start = self.begin(kind | NLA_F_NESTED);
        write(self);
        self.end(start);
    }

    /// A nested attribute whose content is encoded already.
    pub fn nested(&mut self, kind: u16, attributes: &[u8]) {
        self.nest(kind, |inner| inner.bytes.extend(attributes));
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start);
        match (length, self.bytes.get_mut(start..).and_then(|rest| rest.first_chunk_mut())) {
            (Ok(length), Some(place)) => *place = length.to_ne_bytes(),
            _ => self.too_long = true,
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The value of the first attribute of a kind.
pub fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    // After a broken attribute the next one cannot be found.
    let mut readable = NlasIterator::new(attributes).map_while(Result::ok);
    let found = readable.find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(NLA_HEADER_SIZE..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_of_64_kib_is_too_long() {
        let of = |length: usize| {
            let mut attributes = Attributes::default();
            attributes.nest(1, |inner| inner.value(2, &vec![0; length]));
            attributes.are_too_long()
        };
        assert_eq!([of(65_524), of(65_528), of(70_000)], [false, true, true]);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut attributes = Attributes::default();
        attributes.text(1, "abcd");
        attributes.nest(2, |inner| {
            inner.number(7, 258);
            inner.value(8, &[9]);
        });
        assert_eq!(
            attributes.as_bytes(),
            [
                9, 0, 1, 0, b'a', b'b', b'c', b'd', 0, 0, 0, 0, 20, 0, 2, 0x80, 8, 0, 7, 0, 0, 0, 1, 2, 5, 0,
                8, 0, 9, 0, 0, 0
            ]
        );
        let inner = attribute(attributes.as_bytes(), 2).unwrap();
        assert_eq!(attribute(inner, 7), Some(&[0, 0, 1, 2][..]));
        assert_eq!(attribute(inner, 8), Some(&[9][..]));
        assert_eq!(attribute(inner, 9), None);
        assert_eq!(attribute(&[200, 0, 1, 0, 5], 1), None);
    }
}
