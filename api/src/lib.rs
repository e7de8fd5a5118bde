//! What another process types: JSON forms of protocol values, the JSON-RPC interfaces of the node, the interface of
//! its proof queue, error codes, and the OpenRPC document.
//!
//! Conversions between JSON and protocol values are strict: one text per value, nothing is reduced, rounded or
//! guessed. What this crate does not do: serve, store, or decide whether an operation is valid.

pub mod error;
pub mod jobs;
pub mod ledger;
pub mod openrpc;
pub mod operation;
pub mod preconfirmation;
pub mod rpc;
pub mod set;
pub mod soft;
pub mod status;
pub mod text;

pub use error::{ApiError, ErrorCode};
