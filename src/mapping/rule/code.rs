//! CluedIn codes: `/Customer#SAP:0000104711` has a type, an origin and a value. The first `#` ends the
//! type, the first `:` after it the origin; the value may hold both (CluedIn, identifiers).

use crate::fault::Fault;
use crate::fault::Kind;
use crate::mapping::file::Pick;

/// The parts of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'c> {
    /// `/Customer`.
    pub kind: &'c str,
    /// `SAP`.
    pub origin: &'c str,
    /// `0000104711`.
    pub value: &'c str,
}

/// Takes a code apart; none when it is not one.
pub fn parts(code: &str) -> Option<Parts<'_>> {
    let (kind, rest) = code.split_once('#')?;
    let (origin, value) = rest.split_once(':')?;
    Some(Parts { kind, origin, value })
}

/// The codes of an origin, and which of them.
#[derive(Clone, Debug)]
pub struct Codes {
    /// The origin, compared without case.
    pub origin: String,
    /// Which of several.
    pub pick: Pick,
}

impl Codes {
    /// The value of the code with this origin. Codes of the thing's own type come before those of other
    /// types; several different values are `pick`ed from.
    pub fn find<'c>(
        &self,
        entity: &str,
        codes: impl IntoIterator<Item = &'c str>,
    ) -> Result<Option<&'c str>, Fault> {
        let matching = codes.into_iter().filter_map(parts);
        let matching: Vec<Parts<'c>> =
            matching.filter(|code| code.origin.eq_ignore_ascii_case(&self.origin)).collect();
        let own = |code: &&Parts<'_>| same_entity(code.kind, entity);
        let mut values: Vec<&str> = matching.iter().filter(own).map(|code| code.value).collect();
        if values.is_empty() {
            values = matching.iter().map(|code| code.value).collect();
        }
        if values.len() > 1 {
            let mut seen = std::collections::HashSet::new();
            values.retain(|value| seen.insert(*value));
        }
        self.choose(&values)
    }

    fn choose<'c>(&self, values: &[&'c str]) -> Result<Option<&'c str>, Fault> {
        Ok(match (self.pick, values) {
            (Pick::Only, [_, _, ..]) => {
                let text = "it has several codes of this origin; say which with `pick`";
                return Err(Fault::new(Kind::Ambiguous, text));
            }
            (Pick::Only | Pick::First, values) => values.first().copied(),
            (Pick::Last, values) => values.last().copied(),
            (Pick::Least, values) => values.iter().min().copied(),
        })
    }
}

/// Whether two names of a kind of thing mean the same: case and a leading slash do not matter.
pub fn same_entity(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_start_matches('/'), other.trim_start_matches('/'));
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pick: Pick, codes: &[&'static str]) -> Result<&'static str, Kind> {
        let origin = "SAP".to_owned();
        let found = Codes { origin, pick }.find("/Customer", codes.iter().copied());
        found.map(Option::unwrap_or_default).map_err(|fault| fault.kind)
    }

    #[test]
    fn the_value_may_hold_both_separators() {
        let code = parts("/Customer#SAP:a:b#c").unwrap();
        assert_eq!((code.kind, code.origin, code.value), ("/Customer", "SAP", "a:b#c"));
        for wrong in ["", "SAP:1", "/Customer#SAP", "#"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn several_codes_of_one_origin_are_ambiguous_unless_the_map_picks() {
        let codes = ["/Customer#SAP:2", "/customer#sap:1", "/Customer#CRM:9", "/Customer#SAP:2"];
        assert_eq!(find(Pick::Only, &codes), Err(Kind::Ambiguous));
        assert_eq!(find(Pick::First, &codes), Ok("2"));
        assert_eq!(find(Pick::Last, &codes), Ok("1"));
        assert_eq!(find(Pick::Least, &codes), Ok("1"));
        assert_eq!(find(Pick::Only, &["/Customer#CRM:9"]), Ok(""));
    }

    #[test]
    fn codes_of_the_own_type_come_first() {
        let codes = ["/Organization#SAP:7", "/Customer#SAP:1"];
        assert_eq!(find(Pick::Only, &codes), Ok("1"));
        assert_eq!(find(Pick::Only, &["/Organization#SAP:7"]), Ok("7"));
    }
}
