//! What a rule yields, as far as it can be known without a change.

use crate::mapping::file::Constant;
use crate::mapping::rule::Shape;
use crate::row::Value;
use crate::system::ColumnKind;

/// A constant in the target's types.
pub(super) fn constant(constant: &Constant) -> Value {
    match constant {
        Constant::Boolean(yes) => Value::Boolean(*yes),
        Constant::Integer(number) => Value::Integer(*number),
        Constant::Text(text) => Value::Text(text.clone()),
    }
}

/// What values of these types are.
pub(super) fn shape_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Shape {
    let (mut kinds, mut numbers, mut longest) = (Vec::new(), Vec::new(), 0);
    for value in values {
        kinds.push(match value {
            Value::Integer(number) => {
                numbers.extend(i32::try_from(*number));
                ColumnKind::Integer
            }
            Value::Boolean(_) => ColumnKind::Boolean,
            Value::Null
            | Value::Text(_)
            | Value::Decimal(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Guid(_)
            | Value::Choices(_)
            | Value::Lookup(_) => {
                longest = longest.max(value.to_string().chars().count());
                ColumnKind::Text
            }
        });
    }
    let first = kinds.first().copied();
    let kind = first.filter(|first| kinds.iter().all(|kind| kind == first));
    Shape { kind, numbers, longest: u32::try_from(longest).ok(), lookup: None }
}

/// What is true of all of these.
pub(super) fn joined(shapes: &[&Shape]) -> Shape {
    let first = shapes.first().and_then(|shape| shape.kind);
    let kind = first.filter(|kind| shapes.iter().all(|shape| shape.kind == Some(*kind)));
    let numbers = shapes.iter().flat_map(|shape| shape.numbers.iter().copied()).collect();
    let bounded = shapes.iter().all(|shape| shape.longest.is_some());
    let longest = shapes.iter().filter_map(|shape| shape.longest).max().filter(|_| bounded);
    let lookup = shapes.iter().find_map(|shape| shape.lookup.clone());
    Shape { kind, numbers, longest, lookup }
}
