//! Payload versions: which of them a map reads.

/// A range such as `>=1 <3`; all versions when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(Vec<(Relation, u32)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    Above,
    AtMost,
    Below,
    Exactly,
}

impl Versions {
    /// Reads a range: comparisons separated by spaces or commas that must all hold.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split([' ', ',']).filter(|part| !part.is_empty());
        let bounds: Option<Vec<_>> = parts.map(bound).collect();
        bounds.filter(|bounds| !bounds.is_empty()).map(Self)
    }

    /// Whether a payload of this version is read. One that says no version always is.
    pub fn accept(&self, version: Option<u32>) -> bool {
        let Some(version) = version else { return true };
        self.0.iter().all(|(relation, bound)| match relation {
            Relation::AtLeast => version >= *bound,
            Relation::Above => version > *bound,
            Relation::AtMost => version <= *bound,
            Relation::Below => version < *bound,
            Relation::Exactly => version == *bound,
        })
    }

    /// Whether some version is read by both.
    pub fn overlap(&self, other: &Self) -> bool {
        let bounds = self.0.iter().chain(&other.0).map(|(_, bound)| *bound);
        let near =
            bounds.flat_map(|bound| [bound.saturating_sub(1), bound, bound.saturating_add(1)]);
        near.chain([0, u32::MAX])
            .any(|version| self.accept(Some(version)) && other.accept(Some(version)))
    }
}

fn bound(part: &str) -> Option<(Relation, u32)> {
    let signs = [
        (">=", Relation::AtLeast),
        ("<=", Relation::AtMost),
        (">", Relation::Above),
        ("<", Relation::Below),
        ("=", Relation::Exactly),
    ];
    let found =
        signs.into_iter().find_map(|(sign, relation)| Some((relation, part.strip_prefix(sign)?)));
    let (relation, number) = found.unwrap_or((Relation::Exactly, part));
    Some((relation, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_accepts_the_versions_inside_it() {
        let range = Versions::parse(">=1 <3").unwrap();
        for (version, expected) in [(0, false), (1, true), (2, true), (3, false)] {
            assert_eq!(range.accept(Some(version)), expected, "{version}");
        }
        assert!(range.accept(None));
        assert!(Versions::parse("2").unwrap().accept(Some(2)));
        for wrong in ["", "> 1", "one", ">=-1", "~1"] {
            assert_eq!(Versions::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_overlap_when_a_version_is_in_both() {
        let range = |text| Versions::parse(text).unwrap();
        assert!(!range("<3").overlap(&range(">=3")));
        assert!(range("<=3").overlap(&range(">=3")));
        assert!(!range(">2 <4").overlap(&range("<3")));
        assert!(Versions::default().overlap(&range("7")));
    }
}
