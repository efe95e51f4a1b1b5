//! poison.
