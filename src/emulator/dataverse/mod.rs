//! The emulated Dataverse.

pub mod formatted;
pub mod metadata;
pub mod model;
pub mod prefer;
pub mod query;
pub mod refusal;
pub mod render;
