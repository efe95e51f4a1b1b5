//! Edges: the code at the other end of a reference, seen from the thing itself.
//!
//! Which end is the thing's own is found out by comparing both with its codes (CluedIn, edges).
//! An edge with neither or both ends its own says nothing about another thing and is passed over.

use super::code::Codes;
use crate::change::Change;
use crate::fault::Fault;
use crate::mapping::file::Direction;

/// Which edges, and which code at their other end.
#[derive(Clone, Debug)]
pub struct Edges {
    /// The kind of edge, compared without case and leading slash.
    pub kind: String,
    /// Only edges in this direction.
    pub direction: Option<Direction>,
    /// The code at the other end.
    pub codes: Codes,
}

impl Edges {
    /// The value of the code at the other end; none when there is no such edge.
    pub fn find<'c>(&self, change: &'c Change<'_>) -> Result<Option<&'c str>, Fault> {
        let own = |code: &str| change.codes.iter().any(|own| own == code);
        let ends = change.edges.iter().filter_map(|edge| {
            if !super::code::same_entity(&edge.kind, &self.kind) {
                return None;
            }
            let (direction, other) = match (own(&edge.from), own(&edge.to)) {
                (true, false) => (Direction::Out, &edge.to),
                (false, true) => (Direction::In, &edge.from),
                (true, true) | (false, false) => return None,
            };
            self.direction.is_none_or(|wanted| wanted == direction).then_some(&**other)
        });
        // the other end is of another type as a rule, so no type comes first
        self.codes.find("", ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::file::Pick;
    use crate::mapping::sample::change;

    fn find(kind: &str, origin: &str, direction: Option<Direction>) -> Option<String> {
        let change = change("{}");
        let codes = Codes { origin: origin.into(), pick: Pick::Only };
        let edges = Edges { kind: kind.into(), direction, codes };
        edges.find(&change).unwrap().map(str::to_owned)
    }

    #[test]
    fn the_other_end_is_found_by_comparing_with_the_own_codes() {
        assert_eq!(find("/WorksFor", "SAP", None).as_deref(), Some("US01"));
        assert_eq!(find("worksfor", "sap", Some(Direction::Out)).as_deref(), Some("US01"));
        assert_eq!(find("/WorksFor", "SAP", Some(Direction::In)), None);
        assert_eq!(find("/WorksFor", "CRM", None), None);
        assert_eq!(find("/Owns", "SAP", None), None);
    }

    #[test]
    fn an_edge_that_reaches_the_thing_is_incoming() {
        let mut change = change("{}");
        let edge = &mut change.edges[0];
        std::mem::swap(&mut edge.from, &mut edge.to);
        let codes = Codes { origin: "SAP".into(), pick: Pick::Only };
        let edges = Edges { kind: "/WorksFor".into(), direction: Some(Direction::In), codes };
        assert_eq!(edges.find(&change).unwrap(), Some("US01"));
    }
}
