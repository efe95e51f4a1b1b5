//! system/dataverse.
