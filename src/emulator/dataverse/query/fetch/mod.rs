//! FetchXML, and SQL that was read into the same plan: `read` makes the plan, `bind` finds the tables and
//! columns it names, `join` puts rows together, `answer` shows a page of them.
//! (Dataverse, FetchXML reference.)

mod answer;
mod bind;
mod condition;
mod join;
mod plan;
mod read;
mod totals;

pub use answer::{Pages, answer};
pub use plan::{Attribute, Condition, Fetch, Filter, Link, Node, Order};
pub use read::read;

#[cfg(test)]
mod tests;
