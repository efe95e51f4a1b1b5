//! A report as a page for people: one HTML document that needs nothing else, no script, no font, no
//! picture from elsewhere, and that a strict content security policy lets through.
//!
//! Every text that comes from a row or a fault is escaped. The one style sheet is named by its hash in
//! the policy that the page itself carries.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::class::Class;
use super::config::{Depth, Removals};
use super::report::{Done, Figures, Finding, Report, SHOWN};

const STYLE: &str = include_str!("page.css");

/// The page of a report.
pub(super) fn html(report: &Report) -> String {
    let title = format!("{}: {} compared", report.order.map, report.order.depth.word());
    let policy = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{policy}'; base-uri 'none'\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        text(&title)
    );
    head(&mut page, report);
    figures(&mut page, report);
    counts(&mut page, report);
    classes(&mut page, report);
    findings(&mut page, report);
    trend(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, report: &Report) {
    let order = &report.order;
    let verdict = if report.is_equal() {
        ("good", "Both sides agree".to_owned())
    } else if report.order.depth == Depth::Counts {
        ("bad", "The counts differ".to_owned())
    } else {
        ("bad", format!("{} {} open", report.open, rows(report.open)))
    };
    let (system, table) = &report.to;
    let seed = match order.depth {
        Depth::Sample => {
            format!(", {} rows of each side drawn with seed {}", order.sample, order.seed)
        }
        Depth::Counts | Depth::Full | Depth::Since => String::new(),
    };
    let repair = match (order.dry, order.repair) {
        (true, _) => "nothing was changed",
        (false, true) => "what is wrong was sent again",
        (false, false) => "nothing was to be repaired",
    };
    _ = write!(
        page,
        "<header>\n<p class=\"map\">Map <b>{}</b>: {} to table <b>{}</b> of {}</p>\n\
         <h1 class=\"{}\">{}</h1>\n<p>{}, from {} to {}{seed}; {repair}.</p>\n",
        text(&order.map),
        if report.from == "ledger" {
            "what the ledger remembers, because the source cannot be asked,".to_owned()
        } else {
            text(&report.from)
        },
        text(table),
        text(system),
        verdict.0,
        text(&verdict.1),
        looked_at(order.depth),
        moment(order.started),
        moment(report.ended),
    );
    if let Removals::Unseen(why) = &order.removals {
        _ = writeln!(page, "<p>Removals at the source were not looked for: {}.</p>", text(why));
    }
    if let Some(mark) = &report.mark {
        let through = mark.through.map_or_else(
            || "Nothing is verified yet".to_owned(),
            |through| format!("Verified through {}", moment(through)),
        );
        _ = write!(page, "<p><b>{through}</b>");
        if let Some(gap) = &mark.gap {
            _ = write!(
                page,
                "; it stops there since {} because of {} {}, such as {}",
                moment(gap.since),
                gap.rows,
                rows(gap.rows),
                text(&gap.key)
            );
        }
        page.push_str(".</p>\n");
    }
    page.push_str("</header>\n");
}

fn looked_at(depth: Depth) -> &'static str {
    match depth {
        Depth::Counts => "How many rows each side has",
        Depth::Sample => "Every key, and all columns of some rows",
        Depth::Full => "Every column of every row",
        Depth::Since => {
            "Every column of the rows that changed since the last point that was verified"
        }
    }
}

fn figures(page: &mut String, report: &Report) {
    if report.order.depth == Depth::Counts {
        return;
    }
    let (source, target) = (report.source, report.target);
    page.push_str("<section aria-labelledby=\"figures\">\n<h2 id=\"figures\">Figures</h2>\n<dl>\n");
    for (name, number) in [
        ("rows of the source", source.rows),
        ("of them left out by the map", source.filtered),
        ("of them not readable by the map", source.refused),
        ("rows of the target", target.rows),
        ("rows that agree", report.equal),
        ("looked at closely", report.looked),
        ("changes that never arrived", report.holes),
        ("mended", report.mended),
        ("open", report.open),
    ] {
        _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", grouped(number));
    }
    page.push_str("</dl>\n</section>\n");
}

fn counts(page: &mut String, report: &Report) {
    if report.counts.is_empty() {
        return;
    }
    page.push_str(
        "<section aria-labelledby=\"counts\">\n<h2 id=\"counts\">Counts</h2>\n\
         <p>What the map leaves out, and rows that others made at the target, count as well, so counts \
         that differ need not be wrong and equal ones need not be right.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"counts\"><table>\n\
         <thead><tr><th scope=\"col\">Company</th><th scope=\"col\" class=\"n\">Source</th>\
         <th scope=\"col\" class=\"n\">Target</th><th scope=\"col\" class=\"n\">Difference</th></tr></thead>\n<tbody>\n",
    );
    for (name, (ours, theirs)) in &report.counts {
        let name = if name.is_empty() { "all" } else { name };
        let difference = i128::from(*theirs) - i128::from(*ours);
        _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{difference:+}</td></tr>",
            text(name),
            grouped(*ours),
            grouped(*theirs)
        );
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn classes(page: &mut String, report: &Report) {
    if report.found.is_empty() {
        return;
    }
    page.push_str(
        "<section aria-labelledby=\"why\">\n<h2 id=\"why\">Why rows differ</h2>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"why\"><table>\n<thead><tr>\
         <th scope=\"col\">Class</th><th scope=\"col\" class=\"n\">Rows</th>\
         <th scope=\"col\">Means</th></tr></thead>\n<tbody>\n",
    );
    for (class, number) in &report.found {
        _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td>{}</td></tr>",
            badge(*class),
            grouped(*number),
            class.means()
        );
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn findings(page: &mut String, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    let all: u64 = report.found.values().sum();
    page.push_str("<section aria-labelledby=\"rows\">\n<h2 id=\"rows\">Rows</h2>\n");
    if all > report.findings.len() as u64 {
        _ = writeln!(page, "<p>The first {SHOWN} of {} are shown.</p>", grouped(all));
    }
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"rows\"><table>\n<thead><tr>\
         <th scope=\"col\">Key</th><th scope=\"col\">Class</th>\
         <th scope=\"col\">What differs: source → target</th><th scope=\"col\">Changed</th>\
         <th scope=\"col\">What was done</th></tr></thead>\n<tbody>\n",
    );
    for finding in &report.findings {
        row(page, finding);
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn row(page: &mut String, finding: &Finding) {
    _ = write!(
        page,
        "<tr><th scope=\"row\"><span class=\"key\">{}</span></th><td>{}</td><td>",
        text(&finding.key),
        badge(finding.class)
    );
    if finding.columns.is_empty() {
        page.push_str(match (&finding.source_id, &finding.target_id) {
            (_, None) => "the target has no such row",
            (None, Some(_)) => "only the target has it",
            (Some(_), Some(_)) => "both sides have the row",
        });
    } else {
        page.push_str("<ul>");
        for column in &finding.columns {
            _ = write!(
                page,
                "<li><b>{}</b>: {} → {}</li>",
                text(&column.column),
                value(column.source.as_deref()),
                value(column.target.as_deref())
            );
        }
        page.push_str("</ul>");
    }
    if let Some(why) = &finding.why {
        _ = write!(page, "<p class=\"why\">{}</p>", text(why));
    }
    page.push_str("</td><td>");
    for (name, at) in [("source", finding.source_changed), ("target", finding.target_changed)] {
        if let Some(at) = at {
            _ = write!(page, "<span class=\"at\">{name} {}</span>", moment(at));
        }
    }
    _ = writeln!(page, "</td><td>{}</td></tr>", done(&finding.done));
}

fn done(done: &Done) -> String {
    match done {
        Done::No => "nothing".to_owned(),
        Done::Mended => "<b class=\"good\">mended</b>".to_owned(),
        Done::Arrived => "<b class=\"good\">arrived meanwhile</b>".to_owned(),
        Done::Would(why) => text(why),
        Done::Sent(why) => format!("sent again, not there yet: {}", text(why)),
        Done::Withheld(why) => format!("<b class=\"bad\">withheld</b>: {}", text(why)),
    }
}

fn trend(page: &mut String, report: &Report) {
    if report.before.is_empty() {
        return;
    }
    page.push_str(
        "<section aria-labelledby=\"trend\">\n<h2 id=\"trend\">Trend</h2>\n\
         <p>A number that grows night after night is a drift: see what its rows have in common.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"trend\"><table>\n<thead><tr>\
         <th scope=\"col\">Began</th><th scope=\"col\">Depth</th>\
         <th scope=\"col\" class=\"n\">Source</th><th scope=\"col\" class=\"n\">Target</th>\
         <th scope=\"col\" class=\"n\">Found</th><th scope=\"col\" class=\"n\">Never arrived</th>\
         <th scope=\"col\" class=\"n\">Mended</th><th scope=\"col\" class=\"n\">Open</th></tr></thead>\n<tbody>\n",
    );
    let this = report.figures();
    for figures in std::iter::once(&this).chain(report.before.iter().rev()) {
        night(page, figures, figures.run == this.run);
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn night(page: &mut String, figures: &Figures, this: bool) {
    let class = if this { " class=\"this\"" } else { "" };
    _ = write!(
        page,
        "<tr{class}><th scope=\"row\">{}</th><td>{}</td>",
        moment(figures.started),
        figures.depth.word()
    );
    let (ours, theirs) = figures.rows;
    for number in [ours, theirs, figures.found, figures.holes, figures.mended, figures.open] {
        _ = write!(page, "<td class=\"n\">{}</td>", grouped(number));
    }
    page.push_str("</tr>\n");
}

fn badge(class: Class) -> String {
    let kind = if class.is_meant() {
        "meant"
    } else if class.act() == super::Act::Nothing {
        "waits"
    } else {
        "wrong"
    };
    format!("<span class=\"badge {kind}\">{}</span>", class.word())
}

fn value(value: Option<&str>) -> String {
    value.map_or_else(|| "<i>empty</i>".to_owned(), |value| format!("<q>{}</q>", text(value)))
}

fn rows(number: u64) -> &'static str {
    if number == 1 { "row" } else { "rows" }
}

fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text as it stands in HTML, between tags and in quoted attributes.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_row_can_become_markup() {
        assert_eq!(text("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
        assert_eq!(value(Some("</q><b>")), "<q>&lt;/q&gt;&lt;b&gt;</q>");
        assert_eq!(value(None), "<i>empty</i>");
        assert!(done(&Done::Withheld("<a>".into())).ends_with("&lt;a&gt;"));
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, wanted) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), wanted);
        }
    }
}
