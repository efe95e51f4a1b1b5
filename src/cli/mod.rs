//! The command line: one module per command; data to stdout, everything else to stderr.

pub mod dev;
pub mod output;
