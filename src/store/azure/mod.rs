//! store/azure.
