//! Concord keeps Microsoft Dataverse and the systems around it in agreement.
//!
//! The tree is a sentence: a [`delivery::Delivery`] is [`decode`]d to [`change`]s, [`mapping`] turns
//! them into [`row`]s, the [`ledger`] decides which of them may be written, a [`system`] writes them,
//! and [`pipeline`] shows that whole path on one screen. A line below may use what stands above it.

// leaves
pub mod chance;
pub mod clock;
pub mod digest;
pub mod telemetry;

// nouns: no async
pub mod change;
pub mod delivery;
pub mod fault;
pub mod order;
pub mod outcome;
pub mod row;

// pure verbs: no I/O, no async
pub mod coalesce;
pub mod decode;
pub mod mapping;
pub mod retry;

// the outside: these do not know each other
pub mod deferral;
pub mod identity;
pub mod ledger;
pub mod poison;
pub mod store;
pub mod system;

// where they meet
pub mod job;
pub mod pipeline;

// edges
pub mod trigger;

// the only places that build things
pub mod app;
pub mod config;

// the command line, and stand-ins for both ends and the host
pub mod cli;
pub mod emulator;
