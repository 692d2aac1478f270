//! Selectors, orders, protocols, ports and address ranges as Calico's fields have them.

use super::super::scalars::{lenient_cidr, masked_cidr};
use super::Dialect;
use crate::calico::{Order, PortMatch, ProtocolNumber, Selector, SelectorError};
use crate::names;
use crate::networking::Cidr;
use crate::reader::Field;
use netproof_text::quote::quote;
use netproof_text::source::Span;
use netproof_text::yaml::Value;

/// A selector; `None` if it is empty or wrong.
pub(super) fn selector(field: &Field<'_>) -> Option<Selector> {
    let text = field.string()?;
    if text.trim_matches([' ', '\t']).is_empty() {
        return None;
    }
    let error = match text.parse::<Selector>() {
        Ok(selector) => return Some(selector),
        Err(error) => error,
    };
    match span_of(field, &error) {
        Some(span) => field.error_at(span, error.message, error.help),
        // Folded or escaped, so that the text is not in the file as it is.
        None => {
            let place = format!("{} at column {} of {}", error.message, error.column(), quote(text));
            field.error(place, error.help);
        }
    }
    None
}

/// Where the wrong part of a selector is written, if the source shows it.
fn span_of(field: &Field<'_>, error: &SelectorError) -> Option<Span> {
    let mut before = 0;
    for line in field.node.lines(field.report().source()) {
        let end = before + line.text.len();
        if error.part.start <= end {
            return line.exact_part(error.part.start - before..error.part.end.min(end) - before);
        }
        before = end + 1;
    }
    None
}

/// A selector that is not `global()`, which a rule's `namespaceSelector` alone may be.
pub(super) fn plain_selector(field: &Field<'_>) -> Option<Selector> {
    let selector = selector(field)?;
    if selector.has_global() {
        field.error(
            "`global()` cannot be in this selector",
            "it belongs in the `namespaceSelector` of a rule's source or destination, alone",
        );
    }
    Some(selector)
}

/// The order of a tier or a policy.
pub(super) fn order(field: &Field<'_>) -> Option<Order> {
    let value = field.value();
    let number = match value.as_ref() {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let order = number.and_then(Order::new);
    if order.is_none() {
        let help = match value.as_ref() {
            Value::String(text) if text.parse().ok().and_then(Order::new).is_some() => {
                format!("write it without quotes: {text}")
            }
            _ => "write a number, such as 100 or 0.5; without `order` it is the last".to_owned(),
        };
        field.error(format!("an order is a number, not {}", value.describe()), help);
    }
    order
}

/// A protocol by name or number.
pub(super) fn protocol(field: &Field<'_>) -> Option<ProtocolNumber> {
    let number = match field.value().as_ref() {
        Value::String(text) if text.parse::<u8>().is_ok() => {
            let message = format!("{} is no name of a protocol", quote(text));
            field.error(message, format!("write the number without quotes: {text}"));
            return None;
        }
        Value::String(_) => field.word("protocol", &ProtocolNumber::NAMES)?,
        _ => field.integer("protocol", 1..=u8::MAX)?,
    };
    ProtocolNumber::new(number)
}

/// A port, a range `FIRST:LAST`, or the name of a port.
pub(super) fn port(field: &Field<'_>) -> Option<PortMatch> {
    let Value::String(text) = &*field.value() else {
        return field.integer("port", 1..=u16::MAX).map(|port| PortMatch::Range { first: port, last: port });
    };
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(first) && is_number(last) {
        return range(field, text, first, last);
    }
    if let Some((first, last)) = text.split_once('-')
        && is_number(first)
        && is_number(last)
    {
        field.error(format!("{} is no range of ports", quote(text)), format!("write \"{first}:{last}\""));
        return None;
    }
    let name = field.checked("port name", names::check_port_name)?;
    Some(PortMatch::Named(name.to_owned()))
}

fn range(field: &Field<'_>, text: &str, first: &str, last: &str) -> Option<PortMatch> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        let message = format!("{} has a port that is none", quote(text));
        field.error(message, "write numbers from 1 to 65535");
        return None;
    };
    if first > last {
        let message = format!("the range ends at {last}, before it starts at {first}");
        field.error(message, format!("write \"{last}:{first}\""));
    }
    Some(PortMatch::Range { first, last })
}

/// A range of addresses.
pub(super) fn cidr(field: &Field<'_>, dialect: Dialect) -> Option<Cidr> {
    match dialect {
        Dialect::Api => masked_cidr(field),
        Dialect::Stored => lenient_cidr(field),
    }
}

/// The items of a list that has at most so many.
pub(super) fn at_most<'a>(field: &Field<'a>, most: usize, what: &str) -> Vec<Field<'a>> {
    let items = field.items();
    if items.len() > most {
        field.error(
            format!("{} {what} are too many", items.len()),
            format!("there may be {most} in one list: make two of it"),
        );
    }
    items
}
