//! The subcommands, one file each.

pub(crate) mod base_layer;
pub(crate) mod builder;
pub(crate) mod devnet;
pub(crate) mod doctor;
pub(crate) mod generate;
pub(crate) mod genesis;
pub(crate) mod outsider;
pub(crate) mod prover;
pub(crate) mod restart;
pub(crate) mod sequencer;
pub(crate) mod snapshot;
pub(crate) mod srs;
pub(crate) mod verify;
pub(crate) mod wallet;
