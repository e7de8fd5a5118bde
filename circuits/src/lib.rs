//! Constraints and nothing else.
pub mod algebra;
pub mod convert;
pub mod gadgets;
pub mod layout;
pub mod trace;
pub mod window;
