//! Constraints and nothing else.
pub mod algebra;
pub mod chunk;
pub mod convert;
pub mod data;
pub mod gadgets;
pub mod layout;
pub mod trace;
pub mod window;
