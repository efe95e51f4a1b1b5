//! The emulated Dataverse: requests come in over HTTP, are answered from memory as the service would,
//! with its statuses, codes, texts and quirks. The way of a request, from the outside in: `server`,
//! `router`, `service`, then `read`, `write`, `multiple`, `batch` and their like, on a
//! [`session::Session`] over the [`model`].

// the outside
pub mod admin;
pub mod args;
pub mod caller;
pub mod connection;
pub mod counters;
pub mod faults;
pub mod limits;
pub mod router;
pub mod server;
pub mod state;

// requests and answers
pub mod address;
pub mod answer;
pub mod body;
pub mod call;
pub mod condition;
pub mod formatted;
pub mod prefer;
pub mod range;
pub mod refusal;
pub mod render;

// who answers what
pub mod batch;
pub mod bulk_delete;
pub mod files;
pub mod functions;
pub mod metadata;
pub mod multiple;
pub mod property;
pub mod query;
pub mod read;
pub mod record;
pub mod reference;
pub mod service;
pub mod steps;
pub mod tracking;
pub mod write;

// the data and its rules
pub mod bind;
pub mod delete;
pub mod derive;
pub mod draft;
pub mod duplicate;
pub mod index;
pub mod literal;
pub mod locate;
pub mod merge;
pub mod model;
pub mod privileges;
pub mod relation;
pub mod rows;
pub mod schema;
pub mod seed;
pub mod session;
pub mod status;
pub mod upsert;
pub mod validate;
pub mod world;

#[cfg(test)]
mod tests;
