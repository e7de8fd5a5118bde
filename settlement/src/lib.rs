//! The base layer: everything that speaks to the chain on which the rollup settles.
//!
//! The entry is the trait [`BaseLayer`]. Two implementations: [`EmbeddedChain`], a development chain in
//! this process on revm, and [`EthereumClient`], an Ethereum node over JSON-RPC that is believed only
//! where hashes show it to be right. One conformance suite runs on both. Above them, generic over the
//! trait: [`Follower`] keeps a consumer in step with the chain, through reorganisations and never below
//! what is final, [`Ladder`] says how far each batch has come, [`Submitter`] gets transactions included once, and [`Poster`]
//! commits and proves batches with it. [`bindings`] says `protocol`'s types to the contracts
//! and reads their events, and [`deploy`] puts the contracts on a base layer.
//!
//! Not here: the contracts (Solidity, `contracts/`), any decision to believe a proof (`verifier`), and
//! what the rollup does with what it reads (`sequencer`). Why it is built so: docs/adr/0019, 0022.

#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)
)]

mod base_layer;
pub mod bindings;
pub mod deploy;
mod embedded;
mod ethereum;
pub mod finality;
mod follower;
pub mod history;
mod ladder;
pub mod outsider;
mod poster;
pub mod rebuild;
mod signer;
mod submitter;

pub use base_layer::{
    BaseLayer, BaseLayerError, BlockAt, Call, Contradiction, Culprit, Fees, Log, LogFilter,
    NonceAt, Receipt, Rejection, Transaction,
};
pub use embedded::{
    BlockPlan, ChainError, EmbeddedChain, EmbeddedConfig, EmbeddedServer, Finality, Mining,
    Orphans, Reorg,
};
pub use ethereum::{EthereumClient, EthereumConfig};
pub use follower::{BlockMark, FollowEvent, Follower, FollowerError};
pub use ladder::{Ladder, LadderStep, Place, SettledBatch};
pub use poster::{
    BatchSource, CertifiedBatch, Duty, FinalProof, Posted, PostedFlights, Poster, PosterError,
    SourceError,
};
pub use signer::{DEVELOPMENT_CHAIN_ID, SignedTransaction, SignerError, TransactionSigner};
pub use submitter::{
    Flight, FlightId, Intent, Progress, Submitter, SubmitterConfig, SubmitterError, Version,
};
pub use verifier::base_layer::{ProofError, SlotProof, StateProof};
