//! Tests of the whole, against really running neighbours.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests start and find their neighbours themselves")]

mod clients;
mod contract;
mod language;
mod local_run;
mod operator;
mod support;
