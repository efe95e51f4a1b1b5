//! Ids of records, as short as they can be.
//!
//! A whole id is `map.hash`. Any beginning of the hash will do, with or without the map, as long as it
//! names one record alone; one event that two maps refused has one hash, so ids are shown with the map.

use crate::poison::Id;

/// No id is shown with fewer characters of its hash than this, so that it lasts a while.
const SHORTEST: usize = 8;

/// Why a text names no record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("no record is called `{0}`: take an id from `concord poison list --status all`")]
    Unknown(String),
    #[error("`{text}` is the beginning of several records: {}", ids.join(", "))]
    Ambiguous { text: String, ids: Vec<String> },
}

/// The record that a text names.
pub(super) fn named<'i>(
    text: &str,
    ids: impl IntoIterator<Item = &'i Id>,
) -> Result<&'i Id, Error> {
    let mut fitting: Vec<&Id> = ids.into_iter().filter(|id| fits(text, id)).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (None, _) => Err(Error::Unknown(text.to_owned())),
        (Some(id), true) => Ok(id),
        (Some(id), false) => {
            fitting.push(id);
            let ids = fitting.iter().take(5).map(ToString::to_string).collect();
            Err(Error::Ambiguous { text: text.to_owned(), ids })
        }
    }
}

fn fits(text: &str, id: &Id) -> bool {
    let starts = |hash: &str| !hash.is_empty() && id.row.starts_with(&hash.to_ascii_lowercase());
    let whole = text.rsplit_once('.');
    whole.is_some_and(|(partition, hash)| partition == id.partition && starts(hash)) || starts(text)
}

/// The shortest text that names each of these records among all of them, in order.
pub(super) fn short<'i>(ids: &[&'i Id], all: &[&'i Id]) -> Vec<String> {
    let mut hashes: Vec<&str> = all.iter().map(|id| id.row.as_str()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let length = hashes
        .windows(2)
        .filter_map(|pair| Some(common(pair.first()?, pair.last()?) + 1))
        .max()
        .unwrap_or_default()
        .max(SHORTEST);
    let hash = |id: &Id| id.row.chars().take(length).collect::<String>();
    ids.iter().map(|id| format!("{}.{}", id.partition, hash(id))).collect()
}

fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[(&str, &str)]) -> Vec<Id> {
        let id = |(partition, start): &(&str, &str)| Id {
            partition: (*partition).to_owned(),
            row: format!("{start:0<32}"),
        };
        names.iter().map(id).collect()
    }

    #[test]
    fn every_short_id_names_its_own_record() {
        let all = ids(&[
            ("a.b", "3f0c12ab"),
            ("a.b", "3f0c12abcd"),
            ("a.b", "99"),
            ("other", "99"),
            ("@mdm", "5"),
        ]);
        let all: Vec<&Id> = all.iter().collect();
        let short = short(&all, &all);
        for (text, id) in short.iter().zip(&all) {
            assert_eq!(named(text, all.iter().copied()), Ok(*id), "{text}");
        }
        assert_eq!(short[4], "@mdm.500000000");
    }

    #[test]
    fn a_beginning_that_fits_several_records_names_none() {
        let all = ids(&[("a", "3f0c"), ("a", "3f1c"), ("b", "3f0c")]);
        let found = |text: &str| named(text, &all).cloned();
        assert!(matches!(found("3f"), Err(Error::Ambiguous { .. })));
        assert!(matches!(found("3f0"), Err(Error::Ambiguous { .. })));
        assert_eq!(found("a.3F0"), Ok(all[0].clone()));
        assert_eq!(found(&all[2].to_string()), Ok(all[2].clone()));
        for wrong in ["", "a.", "zz", "c.3f0"] {
            assert!(matches!(found(wrong), Err(Error::Unknown(_))), "{wrong}");
        }
    }
}
