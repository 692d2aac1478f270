//! The part of DNS that probes need (RFC 1035): a query, the content of an answer, and the empty answer of
//! our own servers.

use netproof_model::{Family, Token};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;
/// The most compression pointers in a name.
const MOST_POINTERS: usize = 16;
/// Names with fewer dots are tried under the search list first.
const NDOTS: usize = 5;

/// The content of a name server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The name has addresses of the requested family, itself or by its aliases.
    Addresses(Vec<IpAddr>),
    /// The name is an alias of this name (CNAME), and the answer has no addresses of it.
    Alias(String),
    /// The name does not exist (NXDOMAIN), or has no address of this family.
    NotFound,
    /// The server failed (SERVFAIL).
    Failed,
}

fn record_type(family: Family) -> u16 {
    match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 28,
    }
}

/// A query for the addresses of a name. Its identifier and flags are the token. `None` for a name that DNS
/// cannot carry.
pub(crate) fn query(token: Token, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut message = token.0.to_be_bytes().to_vec();
    message.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&record_type(family).to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(message)
}

/// Whether this is a well-formed answer to the query with this token.
pub(crate) fn answers(token: Token, message: &[u8]) -> bool {
    let identifier = (token.0 >> 16) as u16;
    u16_at(message, 0) == Some(identifier)
        && message.len() >= HEADER
        && message[2] & 0x80 != 0
        && questions_end(message).is_some()
}

/// Reads an answer. `None` if it is malformed.
pub(crate) fn read(message: &[u8], family: Family) -> Option<Reply> {
    const NO_ERROR: u8 = 0;
    const SERVER_FAILURE: u8 = 2;
    match message.get(3)? & 0x0f {
        NO_ERROR => {}
        SERVER_FAILURE => return Some(Reply::Failed),
        _ => return Some(Reply::NotFound),
    }
    let asked = name_at(message, HEADER)?;
    let mut at = questions_end(message)?;
    let mut addresses = Vec::new();
    let mut aliases = Vec::new();
    for _ in 0..u16_at(message, 6)? {
        let owner = name_at(message, at)?;
        at = name_end(message, at)?;
        let (kind, class) = (u16_at(message, at)?, u16_at(message, at + 2)?);
        let length = usize::from(u16_at(message, at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        if kind == record_type(family) && class == CLASS_IN {
            let address: IpAddr = match family {
                Family::Ipv4 => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(),
                Family::Ipv6 => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into(),
            };
            addresses.push((owner, address));
        } else if kind == CNAME && class == CLASS_IN {
            aliases.push((owner, name_at(message, at + 10)?));
        }
        at += 10 + length;
    }
    let mut name = &asked;
    // A chain longer than the number of aliases is a loop.
    for _ in 0..aliases.len() {
        match aliases.iter().find(|(owner, _)| owner == name) {
            Some((_, target)) => name = target,
            None => break,
        }
    }
    let found: Vec<IpAddr> =
        addresses.iter().filter(|(owner, _)| owner == name).map(|(_, address)| *address).collect();
    if !found.is_empty() {
        return Some(Reply::Addresses(found));
    }
    if *name == asked {
        return Some(Reply::NotFound);
    }
    // A target that cannot be queried counts as an unreadable answer.
    query(Token(0), name, family).map(|_| Reply::Alias(name.clone()))
}

/// The answer "no error, and no records" to a query. `None` if the query is malformed.
pub(crate) fn empty_answer(query: &[u8]) -> Option<Vec<u8>> {
    let end = questions_end(query)?;
    let mut answer = query.get(..end)?.to_vec();
    // An answer, authoritative.
    answer[2] |= 0x84;
    answer[6..HEADER].fill(0);
    Some(answer)
}

/// The position after the questions.
fn questions_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    for _ in 0..u16_at(message, 4)? {
        at = name_end(message, at)? + 4;
    }
    (at <= message.len()).then_some(at)
}

/// The position after the name that begins at `at`.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            // A compression pointer ends the name here.
            length if length & 0xc0 == 0xc0 => return (at + 2 <= message.len()).then_some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

/// The name that begins at `at`, in lower case and without a dot at its end.
fn name_at(message: &[u8], mut at: usize) -> Option<String> {
    let mut labels: Vec<String> = Vec::new();
    let mut pointers = 0;
    loop {
        match *message.get(at)? {
            0 => return Some(labels.join(".")),
            length if length & 0xc0 == 0xc0 => {
                pointers += 1;
                at = usize::from(u16_at(message, at)? & 0x3fff);
            }
            length => {
                let end = at + 1 + usize::from(length);
                labels.push(str::from_utf8(message.get(at + 1..end)?).ok()?.to_ascii_lowercase());
                at = end;
            }
        }
        if pointers > MOST_POINTERS {
            return None;
        }
    }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// The names to query, in the order of a resolver with `ndots:5`.
pub(crate) fn candidates(name: &str, search: &[String]) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let searched = search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.')));
    let as_it_is = std::iter::once(name.to_owned());
    if name.matches('.').count() < NDOTS {
        searched.chain(as_it_is).collect()
    } else {
        as_it_is.chain(searched).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token(0x1234_0100);

    /// An answer to a query for `web.test`: an alias of `x.test`, then these records of that.
    fn answer(family: Family, code: u8, addresses: &[&[u8]]) -> Vec<u8> {
        let mut message = query(TOKEN, "web.test", family).unwrap();
        message[2] |= 0x80;
        message[3] |= code;
        message[7] = 1 + addresses.len() as u8;
        message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 4, 1, b'x', 0xc0, 16]);
        for address in addresses {
            message.extend_from_slice(&[0xc0, 38]);
            message.extend_from_slice(&record_type(family).to_be_bytes());
            message.extend_from_slice(&[0, 1, 0, 0, 0, 5, 0, address.len() as u8]);
            message.extend_from_slice(address);
        }
        message
    }

    #[test]
    fn answers_are_read() {
        let v4 = answer(Family::Ipv4, 0, &[&[10, 0, 0, 1], &[10, 0, 0, 2]]);
        assert!(answers(TOKEN, &v4));
        assert!(!answers(Token(0x1235_0100), &v4));
        assert!(!answers(TOKEN, &query(TOKEN, "web.test", Family::Ipv4).unwrap()), "a query is no answer");
        let both = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        assert_eq!(read(&v4, Family::Ipv4), Some(Reply::Addresses(both)));
        let alias = || Some(Reply::Alias("x.test".into()));
        assert_eq!(read(&v4, Family::Ipv6), alias());
        let v6 = answer(Family::Ipv6, 0, &[&[0xfd; 16]]);
        assert!(matches!(read(&v6, Family::Ipv6), Some(Reply::Addresses(found)) if found.len() == 1));
        assert_eq!(read(&answer(Family::Ipv4, 0, &[]), Family::Ipv4), alias());
        assert_eq!(read(&answer(Family::Ipv4, 3, &[]), Family::Ipv4), Some(Reply::NotFound));
        assert_eq!(read(&answer(Family::Ipv4, 2, &[]), Family::Ipv4), Some(Reply::Failed));
        assert_eq!(read(&v4[..v4.len() - 1], Family::Ipv4), None);
    }

    #[test]
    fn only_what_the_name_leads_to_counts() {
        // The address is another name's.
        let mut stray = answer(Family::Ipv4, 0, &[&[10, 0, 0, 1]]);
        stray[43] = 16;
        assert_eq!(read(&stray, Family::Ipv4), Some(Reply::Alias("x.test".into())));
        // An alias of itself, and a name that points at itself.
        let mut circle = answer(Family::Ipv4, 0, &[]);
        circle.splice(36..42, [0, 2, 0xc0, 12]);
        assert_eq!(read(&circle, Family::Ipv4), Some(Reply::NotFound));
        let mut knot = answer(Family::Ipv4, 0, &[]);
        knot[41] = 40;
        assert_eq!(read(&knot, Family::Ipv4), None);
        // An alias that no query can carry.
        let mut root = answer(Family::Ipv4, 0, &[]);
        root.splice(36..42, [0, 1, 0]);
        assert_eq!(read(&root, Family::Ipv4), None);
    }

    #[test]
    fn an_empty_answer_answers() {
        let message = empty_answer(&query(TOKEN, "netproof.test", Family::Ipv4).unwrap()).unwrap();
        assert!(answers(TOKEN, &message));
        assert_eq!(read(&message, Family::Ipv4), Some(Reply::NotFound));
    }

    #[test]
    fn names_are_tried_in_the_order_of_a_resolver() {
        let search = ["default.svc.cluster.local".to_owned(), "svc.cluster.local.".to_owned()];
        let table: [(&str, &[&str]); 3] = [
            ("web", &["web.default.svc.cluster.local", "web.svc.cluster.local", "web"]),
            (
                "a.b.c.d.e.f",
                &["a.b.c.d.e.f", "a.b.c.d.e.f.default.svc.cluster.local", "a.b.c.d.e.f.svc.cluster.local"],
            ),
            ("web.", &["web."]),
        ];
        for (name, expected) in table {
            assert_eq!(candidates(name, &search), expected, "{name}");
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(130)] {
            assert_eq!(query(TOKEN, name, Family::Ipv4), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(message in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = answers(TOKEN, &message);
            let _ = read(&message, Family::Ipv4);
            let _ = empty_answer(&message);
        }
    }
}
