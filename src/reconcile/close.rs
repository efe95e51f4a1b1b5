//! The end of a comparison: what its pieces found is put together, the mark moves on as far as it may,
//! and the report is kept.

use std::collections::BTreeMap;

use super::class::Class;
use super::config::{Depth, Removals};
use super::join::Joined;
use super::look::counted;
use super::mark::{Mark, Open, moved};
use super::report::{Done, Finding, Report, Reports, SHOWN};
use super::run::{End, Found, Removed, Run, folder};
use super::side::{Origin, Side};
use crate::fault::Fault;

impl Run<'_> {
    /// Puts everything together, moves the mark, and keeps the report.
    pub(super) async fn close(&self) -> Result<Report, Fault> {
        let mut report = self.report().await?;
        let removed = self.blobs.get_json(&self.path("removed.json")).await?;
        let removed = removed.unwrap_or(Removed::None);
        let mut open = Open::default();
        for found in self.all_found().await? {
            Self::add(&mut report, &mut open, found, &removed);
        }
        // A sampled row that agrees was counted by its key already.
        if self.order.depth == Depth::Sample {
            report.equal = report.equal.min(report.source.there);
        }
        report.mark = self.mark(&open, report.ended).await?;
        let report = Reports(self.blobs.clone()).keep(report).await?;
        self.blobs.clear(&folder(self.order)).await?;
        Ok(report)
    }

    /// Adds what one piece found.
    fn add(report: &mut Report, open: &mut Open, found: Found, removed: &Removed) {
        report.looked += found.looked;
        report.equal += found.equal;
        for (class, rows) in counted(found.findings.iter()) {
            *report.found.entry(class).or_default() += rows;
        }
        for mut finding in found.findings {
            settle(&mut finding, removed);
            report.holes += u64::from(finding.class.is_hole());
            if matches!(finding.done, Done::Mended | Done::Arrived) {
                report.mended += 1;
            } else if !finding.class.is_meant() {
                report.open += 1;
                open.add(&finding.key, finding.source_changed);
            }
            if report.findings.len() < SHOWN {
                report.findings.push(finding);
            }
        }
    }

    /// Where the mark stands now.
    async fn mark(&self, open: &Open, ended: jiff::Timestamp) -> Result<Option<Mark>, Fault> {
        let map = &self.ground.shape.map.name;
        let before = self.blobs.mark(map).await?;
        match self.order.depth {
            Depth::Counts | Depth::Sample => Ok(before),
            Depth::Full | Depth::Since => {
                // What was not looked for is not passed over by the next comparison.
                let unseen = matches!(self.order.removals, Removals::Unseen(_));
                let place = self.order.place.as_ref().filter(|_| !unseen);
                let mark = moved(before.as_ref(), open, (self.order.started, ended), place);
                if !self.order.dry {
                    self.blobs.put_mark(map, &mark).await?;
                }
                Ok(Some(mark))
            }
        }
    }

    async fn report(&self) -> Result<Report, Fault> {
        let map = &self.ground.shape.map;
        let tally = |end: Option<End>| end.map(|end| end.tally).unwrap_or_default();
        let joined: Option<Joined> = self.blobs.get_json(&self.path("joined.json")).await?;
        let counts = self.blobs.get_json(&self.path("counts.json")).await?;
        Ok(Report {
            order: self.order.clone(),
            ended: self.ground.now(),
            from: match &self.ground.origin {
                Origin::System(..) => map.system.clone(),
                Origin::Ledger => "ledger".to_owned(),
            },
            to: (map.destination.system.clone(), map.destination.table.clone()),
            source: tally(self.end(Side::Source).await?),
            target: tally(self.end(Side::Target).await?),
            equal: joined.map(|joined| joined.equal).unwrap_or_default(),
            looked: 0,
            counts: counts.unwrap_or_default(),
            found: BTreeMap::new(),
            mended: 0,
            open: 0,
            holes: 0,
            findings: Vec::new(),
            mark: None,
            before: Vec::new(),
        })
    }
}

/// What became of a removal that was found to be missing.
fn settle(finding: &mut Finding, removed: &Removed) {
    if finding.class != Class::MissedRemoval || finding.done != Done::No {
        return;
    }
    finding.done = match removed {
        Removed::None => Done::No,
        Removed::Withheld(why) => Done::Withheld(why.clone()),
        Removed::Done { left: 0, held: 0 } => Done::Mended,
        Removed::Done { left: 0, held } => Done::Sent(format!(
            "{held} removals wait for their time, or for an approval (concord holds)"
        )),
        Removed::Done { left, .. } => Done::Sent(format!("{left} removals could not be done now")),
    };
}
