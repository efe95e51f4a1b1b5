//! Metadata: what tables, columns, keys, relationships and choices there are, as the service shows them,
//! and how they are changed (Dataverse Web API, use metadata).

pub mod answer;
pub mod changes;
pub mod choice;
pub mod column;
pub mod csdl;
pub mod define;
pub mod element;
pub mod key;
pub mod label;
pub mod list;
pub mod place;
pub mod relationship;
pub mod table;
