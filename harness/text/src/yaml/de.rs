//! Typed values from a tree, by serde. Every error has its place, its path and a hint.
//!
//! Null is absent, as in the API: a null field of a struct is skipped, one of a map is kept.

use super::error::{Error, Segment};
use super::handover;
use super::tree::{Key, Node, Value};
use crate::diagnostic::Diagnostics;
use crate::source::{Source, Span};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::sync::Arc;

/// Reads a typed value from a node.
pub fn from_node<T: DeserializeOwned>(node: &Node, source: &Arc<Source>) -> Result<T, Diagnostics> {
    from_node_at(node, source, "")
}

/// Reads a typed value from a node whose own path is `path`; errors name their field from there.
pub fn from_node_at<T: DeserializeOwned>(
    node: &Node,
    source: &Arc<Source>,
    path: &str,
) -> Result<T, Diagnostics> {
    T::deserialize(node).map_err(|error| error.at(node.span).into_diagnostic(source, path).into())
}

/// `deserialize_u16` and its kin: an integer within the type's range.
macro_rules! integers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match &self.value {
                Value::Int(number) => match <$type>::try_from(*number) {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => {
                        let message = format!("{number} is not from {} to {}", <$type>::MIN, <$type>::MAX);
                        Err(Error::new(message, None).at(self.span))
                    }
                },
                _ => Err(Error::type_mismatch("an integer", self)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Sequence(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Mapping(entries) => visitor.visit_map(Fields::all(entries)),
        }
        .map_err(|error| error.at(self.span))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(Error::type_mismatch("true or false", self)),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Int(_) | Value::Float(_) => self.deserialize_any(visitor),
            _ => Err(Error::type_mismatch("a number", self)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::String(text) => {
                visitor.visit_borrowed_str(text).map_err(|error: Error| error.at(self.span))
            }
            value => {
                let scalar = matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
                Err(Error::type_mismatch("a string", self).wants_quotes(scalar))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        handover::newtype(name, self, || Some(self.clone()), self.span, visitor)
            .map_err(|error| error.at(self.span))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Sequence(_) => self.deserialize_any(visitor),
            _ => Err(Error::type_mismatch("a list", self)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Mapping(_) => self.deserialize_any(visitor),
            _ => Err(Error::type_mismatch("a mapping", self)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Mapping(entries) => visitor
                .visit_map(Fields { nulls_skipped: fields, ..Fields::all(entries) })
                .map_err(|error| error.at(self.span)),
            _ => {
                let help = format!("its fields are: {}", fields.join(", "));
                Err(Error::type_mismatch("a mapping", self).help(help))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let access = match &self.value {
            Value::String(name) => Variant { name, span: self.span, content: None },
            Value::Mapping(entries) => match entries.as_slice() {
                [(key, content)] => Variant { name: &key.name, span: key.span, content: Some(content) },
                _ => {
                    let help = format!("one of: {}", variants.join(", "));
                    let message = format!("exactly one field is wanted here, not {}", entries.len());
                    return Err(Error::new(message, Some(help)).at(self.span));
                }
            },
            _ => {
                let help = format!("one of: {}", variants.join(", "));
                return Err(Error::type_mismatch("a name", self).help(help));
            }
        };
        visitor.visit_enum(access).map_err(|error| error.at(self.span))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct tuple_struct identifier }
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|error| error.at(node.span).inside(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    value: Option<(&'de Key, &'de Node)>,
    /// Fields that are treated as absent if they are null.
    nulls_skipped: &'static [&'static str],
}

impl<'de> Fields<'de> {
    fn all(entries: &'de [(Key, Node)]) -> Fields<'de> {
        Fields { entries: entries.iter(), value: None, nulls_skipped: &[] }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let skipped = self.nulls_skipped;
        let next =
            self.entries.find(|(key, value)| !(value.is_null() && skipped.contains(&key.name.as_str())));
        let Some((key, value)) = next else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(KeyDeserializer(key))
            .map(Some)
            .map_err(|error| error.at(key.span).inside(Segment::Field(key.name.clone())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(node).map_err(|error| error.at(node.span).inside(Segment::Field(key.name.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.size_hint().1
    }
}

struct KeyDeserializer<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(&self.0.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let span = self.0.span;
        handover::newtype(name, self, || None, span, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.name.as_str().into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant: a bare name, or a name with content.
struct Variant<'de> {
    name: &'de str,
    span: Span,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name = seed
            .deserialize(de::value::BorrowedStrDeserializer::new(self.name))
            .map_err(|error: Error| error.at(self.span))?;
        Ok((name, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<&'de Node, Error> {
        self.content.ok_or_else(|| {
            let help = format!("write `{}: ...`", self.name);
            Error::new(format!("`{}` needs a value", self.name), Some(help)).at(self.span)
        })
    }

    fn inside(&self, error: Error) -> Error {
        error.inside(Segment::Field(self.name.to_owned()))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(node) if !node.is_null() => {
                let help = format!("write just `{}`", self.name);
                Err(Error::new(format!("`{}` takes no value", self.name), Some(help)).at(node.span))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?).map_err(|error| self.inside(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_tuple(length, visitor).map_err(|error| self.inside(error))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_struct("", fields, visitor).map_err(|error| self.inside(error))
    }
}
