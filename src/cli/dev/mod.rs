//! dev.

mod organisation;
mod stream;
