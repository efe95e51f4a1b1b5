//! Tests of whole parts together.
#![cfg(test)]

mod clients;
