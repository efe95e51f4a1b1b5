//! Settings and secrets in files: `${NAME}` is replaced where it may stand, and addresses and secrets
//! are refused where they may not.

use std::sync::LazyLock;

use regex::Regex;

use super::document::Edit;

static SETTING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}").ok());
static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b[a-z][a-z0-9+.-]*://[a-z0-9\[]").ok());
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "AccountKey|SharedAccessKey|SharedAccessSignature|client_secret|password|pwd|sig";
    Regex::new(&format!(r"(?i)\b({names})\s*=\s*\S|-----BEGIN|\beyJ[a-z0-9_-]{{10,}}\.")).ok()
});
static RANDOM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_~-]{32,}={0,2}").ok());

/// Replaces every `${NAME}` by its setting; one that is not set is a problem.
pub fn expand(text: &str, setting: &dyn Fn(&str) -> Option<String>) -> Edit {
    let Some(pattern) = SETTING.as_ref().filter(|pattern| pattern.is_match(text)) else {
        return Edit::Keep;
    };
    let names = pattern.captures_iter(text).filter_map(|found| found.get(1));
    let missing: Vec<&str> =
        names.map(|name| name.as_str()).filter(|name| setting(name).is_none()).collect();
    if !missing.is_empty() {
        let message = format!("the app setting {} is not set", missing.join(", "));
        return Edit::Refuse("setting-missing", message);
    }
    let value = |found: &regex::Captures<'_>| {
        found.get(1).and_then(|name| setting(name.as_str())).unwrap_or_default()
    };
    Edit::Replace(pattern.replace_all(text, value).into_owned())
}

/// Why a text may not stand in a map; none when it may.
pub fn refuse(path: &str, text: &str) -> Option<Edit> {
    let is = |pattern: &LazyLock<Option<Regex>>| {
        pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
    };
    let refused = |rule, message: &str| Some(Edit::Refuse(rule, message.to_owned()));
    if is(&ADDRESS) {
        return refused("url-in-map", "an address belongs to concord.toml, not to a map");
    }
    if is(&SECRET)
        || RANDOM.as_ref().is_some_and(|random| random.find_iter(text).any(random_looking))
    {
        return refused(
            "secret-in-map",
            "this looks like a secret; secrets belong to app settings, named in concord.toml",
        );
    }
    let inside = path.starts_with("owner/") || path.ends_with("/with");
    if is(&SETTING) && !inside {
        return refused("setting-place", "in a map, `${NAME}` is replaced in `[owner]` only");
    }
    None
}

/// Letters of both cases and digits well mixed, and no GUID: what keys and tokens look like, and names
/// do not.
fn random_looking(found: regex::Match<'_>) -> bool {
    let text = found.as_str();
    let count = |is: fn(&char) -> bool| text.chars().filter(is).count();
    count(char::is_ascii_digit) >= 4
        && count(char::is_ascii_lowercase) >= 4
        && count(char::is_ascii_uppercase) >= 4
        && uuid::Uuid::try_parse(text).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_replaced_and_missing_ones_named() {
        let setting = |name: &str| (name == "A").then(|| "1${B}".to_owned());
        assert_eq!(expand("x-${A}-y", &setting), Edit::Replace("x-1${B}-y".to_owned()));
        assert_eq!(expand("$A {A}", &setting), Edit::Keep);
        let Edit::Refuse(rule, message) = expand("${A}${C}", &setting) else { panic!() };
        assert!(rule == "setting-missing" && message.contains('C') && !message.contains("A,"));
    }

    #[test]
    fn addresses_and_secrets_are_told_from_names_and_patterns() {
        for (text, refused) in [
            ("https://org.crm4.dynamics.com", true),
            ("AccountKey=abc", true),
            ("Zk3pQ9xT7vLm2RbN8cYw4HsJ6dFg1KuA", true),
            ("erpCustomerCountryIso3CodeOfTheOrganisation", false),
            ("4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11", false),
            ("^https?://", false),
            (".Name | length > 2", false),
        ] {
            assert_eq!(refuse("fields/x/from", text).is_some(), refused, "{text}");
        }
    }
}
