//! The `Prefer` header: what a caller would like of an answer. Several preferences stand in one header,
//! comma-separated, or in repeated headers; unknown ones are ignored.

/// The preferences of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `return=representation`
    pub representation: bool,
    /// The patterns of `odata.include-annotations`, such as `*`, `Microsoft.Dynamics.CRM.*` or
    /// `-display.*`.
    pub annotations: Vec<String>,
    /// `odata.maxpagesize`
    pub page_size: Option<usize>,
    /// `odata.track-changes`
    pub track_changes: bool,
    /// `odata.continue-on-error`
    pub continue_on_error: bool,
}

/// Formatted values, the annotation asked for most.
pub const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";

impl Prefer {
    /// Reads the values of all `Prefer` headers.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut prefer = Self::default();
        for preference in values.into_iter().flat_map(split_outside_quotes) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            prefer.set(&name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
        }
        prefer
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "return" => self.representation = value.eq_ignore_ascii_case("representation"),
            "odata.include-annotations" => {
                self.annotations = value.split(',').map(|part| part.trim().to_owned()).collect();
            }
            "odata.maxpagesize" => {
                self.page_size = value.parse().ok().filter(|size| *size > 0);
            }
            "odata.track-changes" => self.track_changes = true,
            "odata.continue-on-error" => {
                self.continue_on_error = !value.eq_ignore_ascii_case("false");
            }
            _ => {}
        }
    }

    /// Whether the caller asked for this annotation. A pattern that starts with `-` takes away.
    pub fn wants(&self, annotation: &str) -> bool {
        let matched = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => annotation.starts_with(start),
            None => annotation == pattern,
        };
        let refused = |pattern: &String| pattern.strip_prefix('-').is_some_and(matched);
        self.annotations.iter().any(|pattern| matched(pattern))
            && !self.annotations.iter().any(refused)
    }

    /// The value of `Preference-Applied`, when anything was honoured.
    pub fn applied(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.representation {
            parts.push("return=representation".to_owned());
        }
        if !self.annotations.is_empty() {
            parts.push(format!("odata.include-annotations=\"{}\"", self.annotations.join(",")));
        }
        if let Some(size) = self.page_size {
            parts.push(format!("odata.maxpagesize={size}"));
        }
        if self.track_changes {
            parts.push("odata.track-changes".to_owned());
        }
        if self.continue_on_error {
            parts.push("odata.continue-on-error".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join(","))
    }
}

/// The comma-separated parts of a header, leaving commas inside quotes alone.
fn split_outside_quotes(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value
        .split(move |letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_may_hold_several_preferences() {
        let prefer = Prefer::parse([
            "odata.maxpagesize=50,odata.include-annotations=\"a.b,c.*\"",
            "return=representation",
        ]);
        assert_eq!(prefer.page_size, Some(50));
        assert!(prefer.wants("a.b") && prefer.wants("c.d") && !prefer.wants("a.c"));
        assert_eq!(
            prefer.applied().as_deref(),
            Some(
                "return=representation,odata.include-annotations=\"a.b,c.*\",odata.maxpagesize=50"
            )
        );
    }

    #[test]
    fn a_pattern_with_a_minus_takes_away() {
        let prefer = Prefer::parse(["odata.include-annotations=\"*,-Microsoft.*\""]);
        assert!(prefer.wants(FORMATTED) && !prefer.wants("Microsoft.Dynamics.CRM.x"));
    }

    #[test]
    fn nothing_asked_is_nothing_applied() {
        assert_eq!(Prefer::parse(["respond-async"]).applied(), None);
    }
}
