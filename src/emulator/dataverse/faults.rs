//! Faults on request. By chance, from a text such as
//! `429:0.02@3s,500-before:0.01,500-after:0.01,deadlock:0.01,timeout:0.005,cut:0.01,lost:0.01,slow:0.05@2s`
//! (kind, probability, and for `429` and `slow` how long), or planned for the next matching requests.
//!
//! | kind | what happens |
//! |---|---|
//! | `429` | refused, with `Retry-After` |
//! | `500-before` `502-before` `503-before` `504-before` | refused before anything was done |
//! | `500-after` `502-after` `503-after` `504-after` | done, but the answer says it failed |
//! | `deadlock` | rolled back, `0x80044150` with `Sql Number: 1205` |
//! | `timeout` | rolled back, `0x80044151` |
//! | `aborted` | rolled back, `0x80040255` |
//! | `cut` | the connection ends before anything was done |
//! | `lost` | done, then the connection ends without an answer |
//! | `slow` | done after a while |

use std::time::Duration;

use serde::Deserialize;

use crate::chance::Chance;
use crate::emulator::dataverse::refusal::Refusal;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Refused for a while.
    Throttled,
    /// Refused with this status before anything was done.
    Before(u16),
    /// Done, then answered with this status.
    After(u16),
    /// SQL deadlock.
    Deadlock,
    /// SQL timeout.
    Timeout,
    /// Transaction aborted.
    Aborted,
    /// Cut before anything was done.
    Cut,
    /// Done, then cut.
    Lost,
    /// Done, late.
    Slow,
}

impl Kind {
    /// Reads a kind by its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "429" => Some(Self::Throttled),
            "deadlock" => Some(Self::Deadlock),
            "timeout" => Some(Self::Timeout),
            "aborted" => Some(Self::Aborted),
            "cut" => Some(Self::Cut),
            "lost" => Some(Self::Lost),
            "slow" => Some(Self::Slow),
            _ => {
                let (status, when) = name.split_once('-')?;
                let status = status.parse().ok().filter(|s| [500, 502, 503, 504].contains(s))?;
                match when {
                    "before" => Some(Self::Before(status)),
                    "after" => Some(Self::After(status)),
                    _ => None,
                }
            }
        }
    }

    /// Its name.
    pub fn name(self) -> String {
        match self {
            Self::Throttled => "429".to_owned(),
            Self::Before(status) => format!("{status}-before"),
            Self::After(status) => format!("{status}-after"),
            Self::Deadlock => "deadlock".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Aborted => "aborted".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Lost => "lost".to_owned(),
            Self::Slow => "slow".to_owned(),
        }
    }
}

/// A fault for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// How long: the delay of `slow`, the `Retry-After` of `429`.
    pub span: Duration,
}

impl Fault {
    /// The refusal this fault shows to the caller; nothing for those that show none.
    pub fn refusal(self) -> Option<Refusal> {
        let unexpected = "An unexpected error occurred.";
        match self.kind {
            Kind::Throttled => {
                let text = "Number of requests exceeded the limit of 6000 over time window of 300 \
                            seconds.";
                let wait = self.span.as_secs().max(1);
                Some(Refusal::new(429, "0x80072322", text).after(wait))
            }
            Kind::Before(status) | Kind::After(status) => {
                Some(Refusal::new(status, "0x80040216", unexpected))
            }
            Kind::Deadlock => Some(Refusal::new(
                500,
                "0x80044150",
                "Generic SQL error. CRM ErrorCode: -2147204784 Sql ErrorCode: -2146232060 Sql \
                 Number: 1205",
            )),
            Kind::Timeout => Some(Refusal::new(
                500,
                "0x80044151",
                "SQL timeout expired. CRM ErrorCode: -2147204783 Sql ErrorCode: -2146232060 Sql \
                 Number: -2",
            )),
            Kind::Aborted => Some(Refusal::new(500, "0x80040255", "Transaction Aborted.")),
            Kind::Cut | Kind::Lost | Kind::Slow => None,
        }
    }
}

/// A fault that comes by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Likely {
    fault: Fault,
    millionths: u64,
}

/// A fault for the next requests that fit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Its kind, by name.
    pub fault: String,
    /// How many requests it hits.
    #[serde(default = "once")]
    pub times: u64,
    /// How many that fit it lets pass first.
    #[serde(default)]
    pub skip: u64,
    /// A part of the URL; empty fits all.
    #[serde(default)]
    pub path: String,
    /// The verb; empty fits all.
    #[serde(default)]
    pub method: String,
    /// How long, in seconds: the delay of `slow`, the `Retry-After` of `429`.
    #[serde(default)]
    pub seconds: f64,
}

fn once() -> u64 {
    1
}

/// All faults that may come.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    likely: Vec<Likely>,
    planned: Vec<(Planned, Fault)>,
}

impl Faults {
    /// Reads the faults that come by chance. The error says which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let likely = parts.map(|part| {
            likely(part).ok_or_else(|| {
                format!("'{part}' is no fault of the form kind:probability or kind:probability@2s")
            })
        });
        Ok(Self { likely: likely.collect::<Result<_, _>>()?, planned: Vec::new() })
    }

    /// Adds faults for the next requests. The error names a kind that does not exist.
    pub fn plan(&mut self, planned: Vec<Planned>) -> Result<(), String> {
        for plan in planned {
            let kind = Kind::parse(&plan.fault)
                .ok_or_else(|| format!("'{}' is no kind of fault", plan.fault))?;
            let span = Duration::try_from_secs_f64(plan.seconds)
                .map_err(|_| format!("'{}' is no span in seconds", plan.seconds))?;
            self.planned.push((plan, Fault { kind, span }));
        }
        Ok(())
    }

    /// What goes wrong with this request: the first plan that fits it, otherwise what chance brings.
    pub fn draw(&mut self, chance: &Chance, method: &str, url: &str) -> Option<Fault> {
        let fits = |plan: &Planned| {
            (plan.method.is_empty() || plan.method == method) && url.contains(&plan.path)
        };
        for (plan, fault) in self.planned.iter_mut().filter(|(plan, _)| fits(plan)) {
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if plan.times > 0 {
                plan.times -= 1;
                let fault = *fault;
                self.planned.retain(|(plan, _)| plan.times > 0);
                return Some(fault);
            }
        }
        let mut likely = self.likely.iter();
        let hit = likely.find(|likely| chance.below(1_000_000) < likely.millionths);
        hit.map(|likely| likely.fault)
    }
}

fn likely(part: &str) -> Option<Likely> {
    let (name, rest) = part.split_once(':')?;
    let (probability, span) = match rest.split_once('@') {
        Some((probability, span)) => (probability, seconds(span)?),
        None => (rest, Duration::from_secs(1)),
    };
    let probability: f64 = probability.parse().ok().filter(|p| (0.0..=1.0).contains(p))?;
    let millionths = Duration::try_from_secs_f64(probability).ok()?.as_micros();
    let fault = Fault { kind: Kind::parse(name)?, span };
    Some(Likely { fault, millionths: u64::try_from(millionths).ok()? })
}

/// `2s`, `0.5s` or `200ms`.
fn seconds(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    Duration::try_from_secs_f64(text.trim_end_matches('s').parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: &str) -> Planned {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_grammar_names_kind_probability_and_span() {
        let mut faults = Faults::parse("429:1@3s, slow:0.5@200ms").unwrap();
        let hit = faults.draw(&Chance::seeded(1), "GET", "/x").unwrap();
        assert_eq!(hit.refusal().unwrap().retry_after, Some(3));
        for wrong in ["429", "boom:0.1", "429:2", "slow:0.1@x", "501-before:1", "500-never:1"] {
            assert!(Faults::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_probability_is_kept_over_many_requests() {
        let mut faults = Faults::parse("lost:0.1").unwrap();
        let chance = Chance::seeded(7);
        let hits = (0..10_000).filter(|_| faults.draw(&chance, "GET", "/").is_some()).count();
        assert!((900..1100).contains(&hits), "{hits}");
    }

    #[test]
    fn a_plan_hits_as_often_as_it_says_and_only_what_fits() {
        let mut faults = Faults::default();
        let plan =
            planned(r#"{"fault":"lost","times":2,"skip":1,"path":"Upsert","method":"POST"}"#);
        faults.plan(vec![plan]).unwrap();
        let chance = Chance::seeded(1);
        let mut draw = |method: &str, url: &str| faults.draw(&chance, method, url).map(|f| f.kind);
        assert_eq!(draw("GET", "/x/UpsertMultiple"), None);
        assert_eq!(draw("POST", "/x/UpsertMultiple"), None);
        assert_eq!(draw("POST", "/x/UpsertMultiple"), Some(Kind::Lost));
        assert_eq!(draw("POST", "/x"), None);
        assert_eq!(draw("POST", "/x/UpsertMultiple"), Some(Kind::Lost));
        assert_eq!(draw("POST", "/x/UpsertMultiple"), None);
    }
}
