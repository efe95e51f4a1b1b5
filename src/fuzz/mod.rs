//! Bytes from outside, for fuzzers: each target takes what an attacker, a broken sender or a careless
//! editor could hand over, and only a panic, an endless loop or a broken invariant is wrong.
//!
//! Compiled for tests and for `cargo fuzz` alone. The tests run every target over the seeds of
//! `fuzz/seeds` and over seeded mutations of them, on any toolchain; `fuzz/run` fuzzes for real.

mod ends;
mod events;
#[cfg(test)]
mod tests;

/// A target: its name, which is the name of its seeds' folder, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("envelope", events::envelope),
    ("cluedin", events::cluedin),
    ("cloudevents", events::cloudevents),
    ("paths", events::paths),
    ("dataverse", events::dataverse),
    ("map", ends::map),
    ("configuration", ends::configuration),
    ("batch_answer", ends::batch_answer),
    ("transaction_answer", ends::transaction_answer),
    ("query", ends::query),
    ("batch", ends::batch),
];

/// Hands bytes to a target; a name that is none does nothing.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        target(data);
    }
}
