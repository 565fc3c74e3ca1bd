//! One module a format, and the small things they share.

pub mod conntrack;
pub mod diagram;
pub mod explain;
pub mod json;
pub mod table;
mod text;
pub mod tree;
pub(crate) mod words;
pub mod write;

pub use text::{Count, Palette, Style, Text, bytes, seconds};
