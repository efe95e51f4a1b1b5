//! Tests of the whole, against really running neighbours.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests start and find their neighbours themselves")]

mod brokers;
mod canary;
mod clients;
mod contract;
mod doctor;
mod drift;
mod history;
mod hour;
mod keys;
mod language;
mod local_run;
mod messages;
mod million;
mod mirror;
mod modes;
mod night;
mod operator;
mod ownership;
mod parking;
mod property;
mod queries;
mod secrets;
mod source;
mod standing;
mod support;
mod telemetry;
mod twin;
