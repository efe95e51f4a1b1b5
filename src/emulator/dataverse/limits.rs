//! Service-protection limits: per user and per web server, over a sliding window, by number of
//! requests, by combined execution time and by requests at once (Dataverse, service protection API
//! limits). Requests that are refused count too, so pushing on lengthens the wait.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{after, between};
use crate::emulator::dataverse::refusal::Refusal;

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many web servers there are; each counts for itself.
    pub servers: u64,
    /// Requests in a window.
    pub requests: usize,
    /// Combined execution time in a window.
    pub time: Duration,
    /// Requests at once.
    pub concurrent: usize,
    /// The length of the window.
    pub window: Duration,
}

impl Default for Settings {
    /// The service's own figures, on one server.
    fn default() -> Self {
        Self {
            servers: 1,
            requests: 6000,
            time: Duration::from_mins(20),
            concurrent: 52,
            window: Duration::from_mins(5),
        }
    }
}

impl Settings {
    /// Reads `requests=6000,time=1200s,concurrent=52,window=300s,servers=2`; each part may be left
    /// out. The error says which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "on")
        {
            let unread = || {
                format!(
                    "'{part}' is none of requests=N, time=Ns, concurrent=N, window=Ns, servers=N"
                )
            };
            let (name, value) = part.split_once('=').ok_or_else(unread)?;
            let number: u64 = value.trim_end_matches('s').parse().map_err(|_| unread())?;
            let count = usize::try_from(number).map_err(|_| unread())?;
            match name {
                "requests" => settings.requests = count,
                "concurrent" => settings.concurrent = count,
                "time" => settings.time = Duration::from_secs(number),
                "window" => settings.window = Duration::from_secs(number.max(1)),
                "servers" => settings.servers = number.max(1),
                _ => return Err(unread()),
            }
        }
        Ok(settings)
    }
}

/// Who is counted where: a web server, and a user.
pub type Place = (u64, String);

/// The windows of all users on all servers.
#[derive(Debug)]
pub struct Limits {
    settings: Settings,
    windows: HashMap<Place, Window>,
}

#[derive(Debug, Default)]
struct Window {
    arrivals: VecDeque<Timestamp>,
    spent: VecDeque<(Timestamp, Duration)>,
    /// The sum of what was spent.
    total: Duration,
    running: usize,
}

/// What is left, for the two debugging headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Requests.
    pub requests: usize,
    /// Execution time.
    pub time: Duration,
}

impl Limits {
    /// Nothing used yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, windows: HashMap::new() }
    }

    /// How many web servers there are.
    pub fn servers(&self) -> u64 {
        self.settings.servers
    }

    /// Lets a request in, or refuses it with 429. One that is let in must [`Self::leave`].
    pub fn enter(&mut self, now: Timestamp, place: &Place) -> Result<Remaining, Refusal> {
        let settings = self.settings;
        let oldest = now.checked_sub(settings.window).unwrap_or(Timestamp::MIN);
        self.windows.retain(|_, window| {
            window.forget(oldest);
            window.running > 0 || !window.arrivals.is_empty() || !window.spent.is_empty()
        });
        let window = self.windows.entry(place.clone()).or_default();
        if window.arrivals.len() > settings.requests.saturating_mul(2) {
            window.arrivals.pop_front();
        }
        window.arrivals.push_back(now);
        let spent = window.total;
        if let Some(refusal) = refused(&settings, window, spent, now) {
            return Err(refusal);
        }
        window.running += 1;
        Ok(Remaining {
            requests: settings.requests.saturating_sub(window.arrivals.len()),
            time: settings.time.saturating_sub(spent),
        })
    }

    /// Counts the execution time of a request that was let in.
    pub fn leave(&mut self, now: Timestamp, place: &Place, took: Duration) {
        if let Some(window) = self.windows.get_mut(place) {
            window.running = window.running.saturating_sub(1);
            window.spent.push_back((now, took));
            window.total += took;
        }
    }
}

impl Window {
    fn forget(&mut self, oldest: Timestamp) {
        while self.arrivals.front().is_some_and(|arrival| *arrival <= oldest) {
            self.arrivals.pop_front();
        }
        while let Some((_, took)) = self.spent.pop_front_if(|(end, _)| *end <= oldest) {
            self.total = self.total.saturating_sub(took);
        }
    }
}

fn refused(
    settings: &Settings,
    window: &Window,
    spent: Duration,
    now: Timestamp,
) -> Option<Refusal> {
    let seconds = settings.window.as_secs();
    if window.running >= settings.concurrent {
        let limit = settings.concurrent;
        let text = format!("Number of concurrent requests exceeded the limit of {limit}.");
        return Some(Refusal::new(429, "0x80072326", text).after(2));
    }
    if window.arrivals.len() > settings.requests {
        let text = format!(
            "Number of requests exceeded the limit of {} over time window of {seconds} seconds.",
            settings.requests
        );
        let leaves = window.arrivals.get(window.arrivals.len() - settings.requests - 1);
        let wait = wait(settings, leaves.copied(), now);
        return Some(Refusal::new(429, "0x80072322", text).after(wait));
    }
    if spent > settings.time {
        let text = format!(
            "Combined execution time of incoming requests exceeded limit of {} milliseconds over \
             time window of {seconds} seconds. Decrease number of concurrent requests or reduce the \
             duration of requests and try again later.",
            settings.time.as_millis()
        );
        let mut left = spent;
        let leaves = window.spent.iter().find(|(_, took)| {
            left = left.saturating_sub(*took);
            left <= settings.time
        });
        let wait = wait(settings, leaves.map(|(end, _)| *end), now);
        return Some(Refusal::new(429, "0x80072321", text).after(wait));
    }
    None
}

/// Seconds until what happened at `leaves` falls out of the window, rounded up.
fn wait(settings: &Settings, leaves: Option<Timestamp>, now: Timestamp) -> u64 {
    let left = leaves.map(|leaves| between(now, after(leaves, settings.window)));
    left.unwrap_or(settings.window).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(server: u64) -> Place {
        (server, "someone".to_owned())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn limits(text: &str) -> Limits {
        Limits::new(Settings::parse(text).unwrap())
    }

    fn through(limits: &mut Limits, second: i64, server: u64, took: u64) -> Option<Refusal> {
        let entered = limits.enter(at(second), &place(server));
        if entered.is_ok() {
            limits.leave(at(second), &place(server), Duration::from_secs(took));
        }
        entered.err()
    }

    #[test]
    fn the_request_after_the_last_allowed_one_waits_until_the_first_has_left() {
        let mut limits = limits("requests=2");
        assert_eq!(through(&mut limits, 0, 0, 0), None);
        assert_eq!(through(&mut limits, 10, 0, 0), None);
        let refusal = through(&mut limits, 20, 0, 0).unwrap();
        assert_eq!((refusal.status, refusal.code), (429, "0x80072322"));
        assert_eq!(refusal.retry_after, Some(281));
        // The refused request counted: pushing on lengthens the wait.
        let refusal = through(&mut limits, 301, 0, 0).unwrap();
        assert_eq!(refusal.retry_after, Some(10));
        assert_eq!(through(&mut limits, 322, 0, 0), None);
    }

    #[test]
    fn every_server_counts_for_itself() {
        let mut limits = limits("requests=1,servers=2");
        assert_eq!(through(&mut limits, 0, 0, 0), None);
        assert_eq!(through(&mut limits, 0, 1, 0), None);
        assert!(through(&mut limits, 0, 0, 0).is_some());
    }

    #[test]
    fn long_executions_use_up_the_time() {
        let mut limits = limits("time=100s");
        assert_eq!(through(&mut limits, 0, 0, 60), None);
        assert_eq!(through(&mut limits, 100, 0, 60), None);
        let refusal = through(&mut limits, 150, 0, 0).unwrap();
        assert_eq!((refusal.code, refusal.retry_after), ("0x80072321", Some(151)));
        assert_eq!(through(&mut limits, 301, 0, 0), None);
    }

    #[test]
    fn too_many_at_once_are_refused_at_once() {
        let mut limits = limits("concurrent=1");
        limits.enter(at(0), &place(0)).unwrap();
        assert_eq!(limits.enter(at(0), &place(0)).unwrap_err().code, "0x80072326");
        limits.leave(at(1), &place(0), Duration::ZERO);
        limits.enter(at(1), &place(0)).unwrap();
    }

    #[test]
    fn unreadable_settings_name_the_part() {
        assert!(Settings::parse("requests=9,tme=1").unwrap_err().contains("'tme=1'"));
        assert_eq!(Settings::parse("on").unwrap(), Settings::default());
    }
}
