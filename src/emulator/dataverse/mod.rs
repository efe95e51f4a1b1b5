//! The emulated Dataverse.

pub mod model;
pub mod query;
