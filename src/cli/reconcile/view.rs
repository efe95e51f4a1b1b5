//! A report as lines for people.

use crate::cli::columns::Columns;
use crate::reconcile::{Depth, Done, Finding, Removals, Report};

/// The lines of one report.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let order = &report.order;
    let (system, table) = &report.to;
    let mut lines = vec![format!(
        "MAP {}: {} against {table} of {system}, {} ({})",
        order.map,
        from(report),
        order.depth.word(),
        order.run
    )];
    if order.depth == Depth::Counts {
        lines.extend(counts(report));
    } else {
        lines.extend(figures(report));
        lines.extend(findings(&report.findings));
    }
    if let Removals::Unseen(why) = &order.removals {
        lines.push(format!("  removals at the source were not looked for: {why}"));
    }
    lines.extend(mark(report));
    lines.push(String::new());
    lines
}

fn from(report: &Report) -> &str {
    if report.from == "ledger" {
        "what the ledger remembers (the source cannot be asked)"
    } else {
        &report.from
    }
}

fn figures(report: &Report) -> Vec<String> {
    let (ours, theirs) = (report.source, report.target);
    let mut lines = vec![format!(
        "  source {} rows ({} left out, {} not readable by the map), target {} rows, {} agree",
        ours.rows, ours.filtered, ours.refused, theirs.rows, report.equal
    )];
    if report.order.depth == Depth::Sample {
        lines.push(format!(
            "  all keys compared, and every column of {} rows of each side (seed {})",
            report.order.sample, report.order.seed
        ));
    }
    for (class, rows) in &report.found {
        lines.push(format!("  {rows:>6} {:<15} {}", class.word(), class.means()));
    }
    let verdict = if report.is_equal() { "both sides agree" } else { "not all agree" };
    lines.push(format!(
        "  {verdict}: {} never arrived, {} mended, {} open",
        report.holes, report.mended, report.open
    ));
    lines
}

fn counts(report: &Report) -> Vec<String> {
    let mut columns = Columns::indented(2);
    columns.row(["COMPANY", "SOURCE", "TARGET", "DIFFERENCE"]);
    for (name, (ours, theirs)) in &report.counts {
        let name = if name.is_empty() { "all" } else { name };
        let difference = i128::from(*theirs) - i128::from(*ours);
        columns.row([
            name.to_owned(),
            ours.to_string(),
            theirs.to_string(),
            format!("{difference:+}"),
        ]);
    }
    let mut lines = columns.lines();
    if !report.is_equal() {
        lines.push(
            "  what the map leaves out and what others made at the target counts too: --full explains"
                .to_owned(),
        );
    }
    lines
}

/// How many rows are shown here; the report has more.
const SHOWN: usize = 50;

fn findings(findings: &[Finding]) -> Vec<String> {
    if findings.is_empty() {
        return Vec::new();
    }
    let mut columns = Columns::indented(2).firm(1);
    columns.row(["KEY", "CLASS", "DONE"]);
    for finding in findings.iter().take(SHOWN) {
        columns.row([finding.key.clone(), finding.class.word().to_owned(), done(&finding.done)]);
        for column in &finding.columns {
            let value =
                |value: &Option<String>| value.clone().unwrap_or_else(|| "empty".to_owned());
            let (ours, theirs) = (value(&column.source), value(&column.target));
            columns.remark(format!("{}: {ours} → {theirs}", column.column));
        }
        if let Some(why) = &finding.why {
            columns.remark(why.clone());
        }
    }
    let mut lines = columns.lines();
    if findings.len() > SHOWN {
        lines.push(format!(
            "  and {} more: concord reconcile show --html FILE",
            findings.len() - SHOWN
        ));
    }
    lines
}

fn done(done: &Done) -> String {
    match done {
        Done::No => String::new(),
        Done::Would(what) => what.clone(),
        Done::Mended => "mended".to_owned(),
        Done::Arrived => "arrived meanwhile".to_owned(),
        Done::Sent(why) => format!("sent again, not there yet: {why}"),
        Done::Withheld(why) => format!("withheld: {why}"),
    }
}

fn mark(report: &Report) -> Option<String> {
    let mark = report.mark.as_ref()?;
    let through = match mark.through {
        Some(through) => format!("  verified through {through}"),
        None => "  nothing is verified yet".to_owned(),
    };
    Some(match &mark.gap {
        None => through,
        Some(gap) => format!(
            "{through}; stopped since {} by {} open, such as {}",
            gap.since, gap.rows, gap.key
        ),
    })
}
