//! Constraints and nothing else: the chunk circuit and the data circuit, and the gadgets they are made of.
//!
//! The chunk circuit is gates ([`trace::GateSet`]), wiring that depends on capacity only
//! ([`trace::Wiring`]) and, when proving, a table of cells ([`trace::Trace`]); the data circuit, which
//! is as narrow as the other is wide, has columns and a table of its own (ADR 0004). Witnesses come from
//! `protocol::witness`; `protocol` is the native twin of every rule. Equations are written once, over
//! [`algebra::Algebra`], and serve as gates and as witness makers.
//!
//! Entry points: [`chunk::ChunkShape`] and [`data::DataShape`], each with `circuit()` for keys and
//! `prove(witness)` for proofs; [`instance`] names the public inputs. What this crate does not do: hold keys, make proofs, touch files or threads other
//! than rayon's.

pub mod aggregation;
pub mod algebra;
pub mod chunk;
pub mod convert;
pub mod data;
pub mod gadgets;
pub mod instance;
pub mod lanes;
pub mod layout;
pub mod trace;
pub mod window;
