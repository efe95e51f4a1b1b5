//! What the section `[reconcile]` of `concord.toml` says, and how one comparison is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::system::source::Token;

/// How the two sides are compared every night.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How deep the nightly comparison looks.
    pub nightly: Depth,
    /// Whether it repairs what it may.
    pub repair: bool,
    /// How many rows of each side a sample draws.
    pub sample: usize,
    /// The largest share of a table's rows that may be removed without approval, in percent.
    pub removal_percent: u64,
    /// So many rows may be removed in any case, unless the source is empty.
    pub removals: u64,
    /// For each second of reading a night's piece rests so many hundredths, so that live work goes first.
    pub rest_percent: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nightly: Depth::Full,
            repair: true,
            sample: 100,
            removal_percent: 5,
            removals: 10,
            rest_percent: 50,
        }
    }
}

/// How deep a comparison looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// How many rows each side has.
    Counts,
    /// Every key, and all columns of some rows of each side.
    Sample,
    /// Every column of every row.
    #[default]
    Full,
    /// Every column of the rows that changed since the point that was verified last.
    Since,
}

impl Depth {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Sample => "sample",
            Self::Full => "full",
            Self::Since => "since",
        }
    }
}

/// One comparison of one map, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Names the comparison; ascending in time.
    pub run: String,
    /// The map.
    pub map: String,
    /// How deep it looks.
    pub depth: Depth,
    /// How many rows of each side are drawn.
    pub sample: usize,
    /// What they are drawn with.
    pub seed: u64,
    /// Whether what is wrong is sent again.
    pub repair: bool,
    /// Whether it is only said what would be done.
    pub dry: bool,
    /// Whether it gives way to live work.
    pub gently: bool,
    /// When it began.
    pub started: jiff::Timestamp,
    /// Rows that were not changed since are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// Which removals at the source it sees.
    #[serde(default)]
    pub removals: Removals,
    /// The place in the source's history when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Token>,
}

/// Which removals at the source a comparison sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removals {
    /// All: both sides are read whole.
    #[default]
    All,
    /// Those since this place in the source's history, which reaches back to the point that was verified.
    Since(Token),
    /// None: why.
    Unseen(String),
}
