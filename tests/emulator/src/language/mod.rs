//! The query language: text to a syntax tree. It knows no schema and no database.

pub mod parse;
pub mod token;
pub mod tree;

pub use parse::parse;

#[cfg(test)]
mod tests;
