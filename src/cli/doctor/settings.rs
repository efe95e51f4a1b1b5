//! Settings and maps: there, well-formed, and without problems.

use super::finding::Finding;
use crate::config::Settings;
use crate::mapping::{Problem, Severity};

const AREA: &str = "settings";
/// The most problems that are told one by one.
const TOLD: usize = 5;

/// What the settings and the maps say of themselves.
pub(super) fn check(settings: &Settings, problems: &[Problem]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match settings.storage() {
        Ok(_) => findings.push(Finding::ok(AREA, "CONCORD_STORAGE", "well-formed")),
        Err(problem) => findings.push(
            Finding::missing(AREA, "CONCORD_STORAGE", problem.message).mend(
                "az functionapp config appsettings set --name APP --resource-group GROUP --settings CONCORD_STORAGE=ACCOUNT",
            ),
        ),
    }
    match settings.collector() {
        Ok(Some(_)) => findings.push(Finding::ok(AREA, "collector", "spans and metrics are sent")),
        Ok(None) => {}
        Err(problem) => findings.push(Finding::missing(AREA, "collector", problem.message)),
    }
    findings.push(log(settings));
    let errors: Vec<&Problem> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    for problem in errors.iter().take(TOLD) {
        let finding = Finding::missing(AREA, "maps", problem.to_string());
        findings.push(finding.mend("concord check"));
    }
    if errors.len() > TOLD {
        let more = format!("and {} more problems", errors.len() - TOLD);
        findings.push(Finding::missing(AREA, "maps", more).mend("concord check"));
    }
    if errors.is_empty() {
        let told = format!("{} says nothing is wrong with them", "concord.toml and all maps");
        findings.push(Finding::ok(AREA, "maps", told));
    }
    findings
}

fn log(settings: &Settings) -> Finding {
    let Some(filter) = settings.log() else {
        return Finding::ok(AREA, "CONCORD_LOG", "not set: info for the handler");
    };
    if filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
        return Finding::missing(
            AREA,
            "CONCORD_LOG",
            "it is no filter, so the handler cannot start",
        )
        .mend("write a level, as in info or info,concord=debug");
    }
    let loud = filter.contains("trace") || filter.contains("debug");
    if loud {
        let told = "debug or trace on Azure costs more than the rest of the plan";
        return Finding::warning(AREA, "CONCORD_LOG", told).mend("CONCORD_LOG=info");
    }
    Finding::ok(AREA, "CONCORD_LOG", "well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::State;

    fn states(settings: &[(&str, &str)]) -> Vec<(&'static str, State)> {
        let settings = Settings::of(settings.iter().copied());
        check(&settings, &[]).into_iter().map(|finding| (finding.check, finding.state)).collect()
    }

    #[test]
    fn each_setting_can_fail() {
        let fine = states(&[("CONCORD_STORAGE", "local:x")]);
        assert!(fine.iter().all(|(_, state)| *state == State::Ok), "{fine:?}");
        assert!(states(&[]).contains(&("CONCORD_STORAGE", State::Missing)));
        assert!(
            states(&[("CONCORD_LOG", "concord=loud")]).contains(&("CONCORD_LOG", State::Missing))
        );
        assert!(states(&[("CONCORD_LOG", "debug")]).contains(&("CONCORD_LOG", State::Warning)));
        let collector = states(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]);
        assert!(collector.contains(&("collector", State::Missing)));
    }

    #[test]
    fn problems_of_maps_are_told_and_lead_to_the_command() {
        let settings = Settings::of([("CONCORD_MAPS", "no/such/folder")]);
        let (_, _, problems) = crate::config::inspect(&settings);
        let found = check(&settings, &problems);
        let maps = found.iter().find(|finding| finding.check == "maps").unwrap();
        assert_eq!((maps.state, maps.mend.as_deref()), (State::Missing, Some("concord check")));
    }
}
