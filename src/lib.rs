//! Concord keeps Microsoft Dataverse and the systems around it in agreement.
//!
//! The tree is a sentence: a [`delivery::Delivery`] is [`decode`]d to [`change`]s, [`mapping`] turns
//! them into [`row`]s, the [`ledger`] decides which of them may be written, a [`system`] writes them,
//! and [`pipeline`] shows that whole path on one screen. A line below may use what stands above it.

// leaves
pub mod chance;
pub mod clock;
pub mod digest;
pub mod quote;

// what is said of the own doing
pub mod telemetry;

// nouns: no async
pub mod change;
pub mod delivery;
pub mod fault;
pub mod operator;
pub mod order;
pub mod outcome;
pub mod row;

// pure verbs: no I/O, no async
pub mod coalesce;
pub mod decode;
pub mod echo;
pub mod mapping;
pub mod retry;

// the outside: these do not know each other
pub mod audit;
pub mod control;
pub mod crosswalk;
pub mod deferral;
pub mod figures;
pub mod identity;
pub mod ledger;
pub mod outcome_log;
pub mod parking;
pub mod poison;
pub mod store;
pub mod system;

// where they meet
pub mod delta;
pub mod job;
pub mod pipeline;
pub mod reconcile;

// what is measured from end to end
pub mod canary;

// what people are told once a day
pub mod briefing;

// edges
pub mod trigger;

// the only places that build things
pub mod app;
pub mod config;

// the command line, and stand-ins for both ends and the host
pub mod cli;
pub mod emulator;

// what a fuzzer calls
#[cfg(any(test, fuzzing))]
pub mod fuzz;
