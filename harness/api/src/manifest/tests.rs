//! Manifests held against tables of good and bad objects.
