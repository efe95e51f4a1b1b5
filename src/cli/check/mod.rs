//! `concord check`: everything that is wrong with the maps, in one go.
//!
//! In come the folder of maps and the targets' own descriptions of their tables; out comes every
//! problem with its place, rule and suggestion. Nothing is written to a target or to storage. The exit
//! code is 0 when no problem is an error, 1 when one is, and 2 when a target could not be asked.

mod copies;
pub(super) mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::wording::plural;
use super::{Outcome, output};
use crate::app;
use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Settings};
use crate::mapping::{self, Maps, Problem, Severity};

/// Say everything that is wrong with the maps, against the targets' own tables
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Exit code: 0 no errors; 1 errors; 2 a target could not be asked.")]
#[allow(clippy::struct_excessive_bools, reason = "four switches of a command line")]
pub struct Args {
    /// The folder of the maps [default: the setting `CONCORD_MAPS`, else maps]
    #[arg(long, value_name = "FOLDER")]
    pub maps: Option<PathBuf>,
    /// The problems as one JSON array
    #[arg(long)]
    pub json: bool,
    /// Print the JSON Schemas of a map file and of concord.toml, for editors, and end
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Call no target: check against the copies that `tables` of each system names
    #[arg(long)]
    pub offline: bool,
    /// Write the copies anew, from the targets
    #[arg(long, conflicts_with = "offline")]
    pub save: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    /// What could not be asked, and why.
    unasked: Vec<String>,
    /// How much was checked.
    maps: usize,
    tables: usize,
}

/// Checks.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    if args.schema {
        let (map, concord) = config::json_schema();
        output::json(&serde_json::json!({ "map": map, "concord": concord }));
        return Ok(ExitCode::SUCCESS);
    }
    let settings = match &args.maps {
        Some(folder) => settings.clone().with_maps(folder),
        None => settings.clone(),
    };
    let found = findings(&args, &settings).await?;
    if args.json {
        output::json(&found.problems);
    } else {
        found.problems.iter().for_each(|problem| output::line(problem.to_string()));
    }
    found.unasked.iter().for_each(output::note);
    output::note(found.summary());
    Ok(ExitCode::from(found.code()))
}

async fn findings(args: &Args, settings: &Settings) -> Result<Findings, app::Error> {
    let (config, maps, mut problems) = config::inspect(settings);
    if args.save {
        // A copy that is not there yet is about to be.
        problems.retain(|problem| problem.rule != "tables-unreadable");
    }
    let clock: SharedClock = Arc::new(SystemClock);
    let described = if args.offline {
        tables::saved(&config, &maps)
    } else {
        let targets = app::environments(&config, &clock, &Chance::from_system());
        match targets {
            Ok(targets) => tables::live(&targets, &maps).await,
            // The address is no address: that is among the problems already.
            Err(_) if has_errors(&problems) => tables::Described::default(),
            Err(error) => return Err(error),
        }
    };
    let mut unasked = described.unasked();
    if args.save {
        unasked.extend(copies::save(&config, settings, &described));
    }
    let tables = described.schemas.len();
    let found = against(&maps, &described);
    let maps = maps.iter().count();
    merge(&mut problems, found);
    Ok(Findings { problems, unasked, maps, tables })
}

/// What the tables say of the maps.
fn against(maps: &Maps, described: &tables::Described) -> Vec<Problem> {
    let mut found = mapping::check(maps, &described.schemas);
    if described.partial {
        // A copy that lacks a table says nothing about whether there is one.
        found.retain(|problem| problem.rule != "table-unknown");
    }
    found
}

/// Adds what the tables say, without what only follows from a problem at the same place.
fn merge(problems: &mut Vec<Problem>, found: Vec<Problem>) {
    let place = |problem: &Problem| (problem.file.clone(), problem.line);
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let wrong: std::collections::BTreeSet<_> = errors.map(place).collect();
    problems.extend(found.into_iter().filter(|problem| !wrong.contains(&place(problem))));
    problems.sort();
    problems.dedup();
}

fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

impl Findings {
    fn code(&self) -> u8 {
        match (self.unasked.is_empty(), has_errors(&self.problems)) {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        }
    }

    fn summary(&self) -> String {
        let errors = self.problems.iter().filter(|one| one.severity == Severity::Error).count();
        let warnings = self.problems.len() - errors;
        format!(
            "{} checked against {}: {}, {}",
            plural(self.maps, "map"),
            plural(self.tables, "table"),
            plural(errors, "error"),
            plural(warnings, "warning"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, severity: Severity, rule: &'static str) -> Problem {
        Problem {
            file: "maps/m.toml".into(),
            line,
            column: 1,
            severity,
            rule,
            message: "something".into(),
            suggestion: None,
        }
    }

    fn code(problems: Vec<Problem>, unasked: &[&str]) -> u8 {
        let unasked = unasked.iter().map(|text| (*text).to_owned()).collect();
        Findings { problems, unasked, ..Findings::default() }.code()
    }

    #[test]
    fn the_exit_code_tells_errors_warnings_and_silence_apart() {
        let error = || vec![problem(1, Severity::Error, "a")];
        assert_eq!(code(vec![], &[]), 0);
        assert_eq!(code(vec![problem(1, Severity::Warning, "a")], &[]), 0);
        assert_eq!(code(error(), &[]), 1);
        assert_eq!(code(vec![], &["sales"]), 2);
        assert_eq!(code(error(), &["sales"]), 2);
    }

    #[test]
    fn what_follows_from_an_error_of_the_same_line_is_not_said_twice() {
        let mut problems = vec![
            problem(3, Severity::Error, "key-missing-in-file"),
            problem(5, Severity::Warning, "removal-unstated"),
        ];
        let found = vec![
            problem(3, Severity::Error, "table-unknown"),
            problem(5, Severity::Error, "column-unknown"),
            problem(7, Severity::Error, "column-unknown"),
        ];
        merge(&mut problems, found);
        let left: Vec<_> = problems.iter().map(|problem| (problem.line, problem.rule)).collect();
        assert_eq!(
            left,
            [
                (3, "key-missing-in-file"),
                (5, "column-unknown"),
                (5, "removal-unstated"),
                (7, "column-unknown")
            ]
        );
    }
}
