//! coalesce.
