//! The table: one figure a line, one contender a column, and where Concord is to stand.

use std::collections::BTreeMap;

use crate::run::Turn;

/// One line: what it is, what each contender has, what is to be reached.
type Line = (String, Vec<String>, &'static str);

/// Prints the table of these turns, and what it takes to only parse and write the same.
pub(crate) fn print(turns: &[Turn], floor: f64) {
    let all = |figure: fn(&Turn) -> String| turns.iter().map(figure).collect::<Vec<_>>();
    let mut lines: Vec<Line> = vec![
        ("events a second".into(), all(throughput), "3 × node"),
        ("a batch, p50 / p99, ms".into(), all(|turn| pair(&turn.batches, |(all, _)| *all)), ""),
        ("its round trips, p50 / p99, ms".into(), all(|turn| pair(&turn.batches, |b| b.1)), ""),
        (
            "the rest of it, p50 / p99, ms".into(),
            all(|t| pair(&t.batches, |b| b.0 - b.1)),
            "p99 10",
        ),
        ("CPU per 1,000 events, ms".into(), all(cpu), "10"),
        ("of it user / system, ms".into(), all(cpu_parts), ""),
        (
            format!("CPU ÷ that of parsing and writing alone ({floor:.1} ms)"),
            ratios(turns, floor),
            "3",
        ),
        ("peak memory, MiB".into(), all(|t| of(t.used.map(|used| used.peak))), "40"),
        ("idle memory, MiB".into(), all(|t| of(t.idle.map(|idle| idle.resident))), "12"),
        ("start to first answer, ms".into(), all(|t| millis(t.start.as_secs_f64())), "15"),
        ("target calls per 1,000 events".into(), all(|t| per(t, sum(&t.target))), "15"),
        ("storage calls per 1,000 events".into(), all(|t| per(t, sum(&t.storage))), "100"),
        (
            "rows that are right".into(),
            all(|t| format!("{} of {}, {} wrong", t.right.0, t.right.1, t.surplus)),
            "all",
        ),
        ("in poison".into(), all(|t| format!("{} of {}", t.poison.0, t.poison.1)), "all"),
        ("deferred".into(), all(|t| t.deferred.to_string()), "0"),
    ];
    lines.retain(|(_, figures, _)| !figures.is_empty());
    let names = turns.iter().map(|turn| turn.name.to_owned()).collect();
    show(&[(String::new(), names, "to reach")]);
    show(&[("---".into(), vec!["---:".into(); turns.len()], "---:")]);
    show(&lines);
    for turn in turns {
        println!("\n{}: {}", turn.name, by_kind(turn));
        for (events, used) in &turn.growth {
            let cpu = (used.user + used.system) * 1_000_000.0 / *events as f64;
            println!("  after {events:>9} events: {cpu:.1} ms per 1,000, {:.1} MiB", used.resident);
        }
    }
}

fn show(lines: &[Line]) {
    for (what, figures, goal) in lines {
        let figures: Vec<String> = figures.iter().map(|figure| format!("{figure:>20}")).collect();
        println!("| {what:<56} | {} | {goal:>9} |", figures.join(" | "));
    }
}

fn throughput(turn: &Turn) -> String {
    format!("{:.0}", turn.events as f64 / turn.took.as_secs_f64())
}

/// CPU per thousand events in milliseconds: in the program, and in the system on its behalf.
fn cpus(turn: &Turn) -> Option<(f64, f64)> {
    let (idle, used) = (turn.idle?, turn.used?);
    let per = |seconds: f64| seconds * 1_000_000.0 / turn.events as f64;
    Some((per(used.user - idle.user), per(used.system - idle.system)))
}

fn cpu(turn: &Turn) -> String {
    of(cpus(turn).map(|(user, system)| user + system))
}

fn cpu_parts(turn: &Turn) -> String {
    cpus(turn).map_or("-".into(), |(user, system)| format!("{user:.1} / {system:.1}"))
}

fn ratios(turns: &[Turn], floor: f64) -> Vec<String> {
    turns.iter().map(|turn| of(cpus(turn).map(|(user, system)| (user + system) / floor))).collect()
}

fn of(figure: Option<f64>) -> String {
    figure.map_or("-".into(), |figure| format!("{figure:.1}"))
}

fn millis(seconds: f64) -> String {
    format!("{:.1}", seconds * 1_000.0)
}

fn pair(batches: &[(f64, f64)], figure: fn(&(f64, f64)) -> f64) -> String {
    let mut figures: Vec<f64> = batches.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let at = |share: usize| figures.get(figures.len() * share / 100).copied().unwrap_or_default();
    format!("{} / {}", millis(at(50)), millis(at(99)))
}

fn sum(kinds: &BTreeMap<&'static str, usize>) -> usize {
    kinds.values().sum()
}

fn per(turn: &Turn, count: usize) -> String {
    format!("{:.1}", count as f64 * 1_000.0 / turn.events as f64)
}

fn by_kind(turn: &Turn) -> String {
    let kinds = turn.target.iter().chain(&turn.storage);
    let kinds: Vec<String> =
        kinds.map(|(kind, count)| format!("{kind} {}", per(turn, *count))).collect();
    format!("calls per 1,000 events: {}", kinds.join(", "))
}
