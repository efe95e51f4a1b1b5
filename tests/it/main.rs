//! Tests of the whole, against really running neighbours.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests start and find their neighbours themselves")]

mod clients;
mod contract;
mod drift;
mod language;
mod local_run;
mod mirror;
mod modes;
mod operator;
mod support;
