//! What should happen to a flow, and why: predictions from the API's definition, independent of every
//! enforcer. It has no code yet; the crate holds its place, so that the directions of dependencies are
//! checked from the first day.
