//! Queries: OData system query options, FetchXML and SQL come in, pages of rows go out. Unknown names,
//! unreadable texts and options that the service does not offer are refused with its own codes.

pub mod aggregate;
pub mod apply;
pub mod cookie;
pub mod expression;
pub mod fetch;
pub mod filter;
pub mod lex;
pub mod like;
pub mod list;
pub mod literal;
pub mod operand;
pub mod options;
pub mod page;
pub mod related;
pub mod shape;
pub mod shown;
pub mod sql;

#[cfg(test)]
pub(crate) mod fixture;
