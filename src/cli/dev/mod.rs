//! dev.

mod compare;
mod expected;
mod input;
mod organisation;
mod stream;
mod tally;
