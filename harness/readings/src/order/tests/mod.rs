//! Ordered lists as text, their truth table, and random ones held against all readings.

pub(super) mod readings;
pub(super) mod table;
pub(super) mod text;
