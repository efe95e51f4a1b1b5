//! Where in an event a fact stands: `order.customer.id` or the JSON pointer `/order/customer/id`. A
//! member whose own name is dotted is found too: the longest name that fits is taken.

use serde_json::value::RawValue;

use crate::decode::json::{self, Object, Type};

/// The most elements that are counted through to reach one by its index.
const ELEMENTS: usize = 10_000;

/// A compiled path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    steps: Vec<String>,
    dotted: bool,
}

impl Path {
    /// Compiles a path; the error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let (steps, dotted): (Vec<String>, bool) = match text.strip_prefix('/') {
            Some(pointer) => {
                let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
                (pointer.split('/').map(unescaped).collect(), false)
            }
            None => (text.split('.').map(str::to_owned).collect(), true),
        };
        if steps.iter().any(String::is_empty) {
            return Err("a path names members, as in `order.id` or `/order/id`; a name between \
                        its separators is empty"
                .into());
        }
        Ok(Self { text: text.into(), steps, dotted })
    }

    /// The path as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands there, if anything does.
    pub(super) fn find<'a>(&self, object: &Object<'a>) -> Option<&'a RawValue> {
        self.walk(object, &self.steps)
    }

    fn walk<'a>(&self, object: &Object<'a>, steps: &[String]) -> Option<&'a RawValue> {
        let longest = if self.dotted { steps.len() } else { 1 };
        (1..=longest).rev().find_map(|taken| {
            let (name, rest) = steps.split_at_checked(taken)?;
            self.enter(object.get(&name.join("."))?, rest)
        })
    }

    fn enter<'a>(&self, value: &'a RawValue, steps: &[String]) -> Option<&'a RawValue> {
        let Some((step, rest)) = steps.split_first() else { return Some(value) };
        match json::type_of(value) {
            Type::Object => self.walk(&json::object(value.get(), "").ok()?, steps),
            Type::Array => {
                let index: usize = step.parse().ok()?;
                let elements = json::array(value.get(), "", ELEMENTS).ok()?;
                self.enter(elements.get(index)?, rest)
            }
            Type::Text | Type::Null | Type::Plain => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"a":{"b":{"c":1},"b.c":2,"list":[{"x":3}]},"a.b.c":4,"~/":5}"#;

    fn at(path: &str) -> Option<&'static str> {
        let object = json::object(EVENT, "the event").unwrap();
        Path::new(path).unwrap().find(&object).map(RawValue::get)
    }

    #[test]
    fn dotted_paths_take_the_longest_name_that_fits() {
        assert_eq!(at("a.b.c"), Some("4"));
        assert_eq!(at("a.b"), Some(r#"{"c":1}"#));
        assert_eq!(at("a.list.0.x"), Some("3"));
    }

    #[test]
    fn pointers_take_one_name_a_step() {
        assert_eq!(at("/a/b/c"), Some("1"));
        assert_eq!(at("/a/b.c"), Some("2"));
        assert_eq!(at("/~0~1"), Some("5"));
    }

    #[test]
    fn what_is_not_there_is_none_and_an_empty_name_is_no_path() {
        for path in ["x", "a.x", "a.b.c.d", "a.list.9", "a.list.x", "/a/b/c/d"] {
            assert_eq!(at(path), None, "{path}");
        }
        for path in ["", "/", "a..b", "a."] {
            assert!(Path::new(path).is_err(), "{path}");
        }
    }
}
