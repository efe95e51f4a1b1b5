//! Which records a command is about: the same options for listing and for retrying many.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::since::Since;
use crate::change::Correlation;
use crate::fault::Kind;
use crate::poison::{Filter, Status};

/// The options.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Filters {
    /// Of this map, or of a source as @NAME for what no map could read
    #[arg(long, value_name = "NAME")]
    pub(super) map: Option<String>,
    /// With this code, such as value-unknown
    #[arg(long, value_name = "CODE", value_parser = code(), hide_possible_values = true)]
    code: Option<Kind>,
    /// With this key of the row, as it is listed
    #[arg(long)]
    key: Option<String>,
    /// First refused since then: 2026-03-14T09:15:00Z, 30m, 2h, 3d
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// With this correlation id
    #[arg(long, value_name = "ID")]
    correlation: Option<Uuid>,
    /// Given to this person; "" for nobody
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// With this tag
    #[arg(long, value_name = "WORD")]
    tag: Option<String>,
    /// Due on this day or before: 2026-03-14
    #[arg(long, value_name = "DAY")]
    due: Option<Date>,
}

fn code() -> impl clap::builder::TypedValueParser<Value = Kind> {
    let codes = PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.code()));
    codes.try_map(|text| {
        Kind::ALL.iter().find(|kind| kind.code() == text).copied().ok_or("it is no code")
    })
}

impl Filters {
    /// Whether any of them is set.
    pub(super) fn any(&self) -> bool {
        let Self { map, code, key, since, correlation, assignee, tag, due } = self;
        [map, key, assignee, tag].into_iter().any(Option::is_some)
            || [code.is_some(), since.is_some(), correlation.is_some(), due.is_some()]
                .contains(&true)
    }

    /// As the store takes them.
    pub(super) fn filter(&self, status: Option<Status>, now: Timestamp) -> Filter {
        Filter {
            status,
            code: self.code,
            key: self.key.clone(),
            since: self.since.map(|since| since.moment(now)),
            correlation: self.correlation.map(Correlation),
            assignee: self.assignee.clone(),
            tag: self.tag.clone(),
            due: self.due,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filters: Filters,
    }

    fn filters(arguments: &[&str]) -> Result<Filters, clap::Error> {
        let line = std::iter::once("list").chain(arguments.iter().copied());
        Line::try_parse_from(line).map(|line| line.filters)
    }

    #[test]
    fn options_become_a_filter() {
        let now: Timestamp = "2026-03-14T12:00:00Z".parse().unwrap();
        let id = "0af76519-16cd-43dd-8448-eb211c80319c";
        let all = ["--code", "too-long", "--key", "US01,C-1", "--since", "2h", "--correlation", id];
        let filters = filters(&all).unwrap();
        let filter = filters.filter(Some(Status::Open), now);
        assert!(filters.any() && !Filters::default().any());
        assert_eq!((filter.status, filter.code), (Some(Status::Open), Some(Kind::TooLong)));
        assert_eq!(filter.key.as_deref(), Some("US01,C-1"));
        assert_eq!(filter.since, Some("2026-03-14T10:00:00Z".parse().unwrap()));
        assert_eq!(filter.correlation.map(|id| id.to_string()).as_deref(), Some(id));
    }

    #[test]
    fn a_code_that_is_none_is_refused_with_the_nearest() {
        let error = filters(&["--code", "to-long"]).unwrap_err().to_string();
        assert!(error.contains("too-long"), "{error}");
    }
}
