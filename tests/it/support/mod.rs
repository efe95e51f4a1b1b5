//! What several tests share.

pub(crate) mod azurite;
pub(crate) mod running;
