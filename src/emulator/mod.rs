//! Stand-ins for both ends and for the Functions host, as true as the published facts allow.

pub mod dataverse;
pub mod host;
