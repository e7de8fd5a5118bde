//! Builders: their bids as every node sees them, and the one that this node may be itself (`sequencing.md`, rules 3 to 9).
//!
//! A builder sells the content of a block to the proposer of round 0: it signs a bid for a block core whose payload only
//! it knows, and reveals the payload when it sees that the proposer has signed that very block. Map: [`BidBook`] keeps
//! the best bids, [`Exchange`] judges what peers send and hands it to agreement, [`Reports`] remembers who withheld,
//! `produce` is the builder itself.
//!
//! What this module does not do: decide what is valid (`protocol::validity`), build payloads (`executor`), or choose
//! what is proposed (`consensus`).

mod book;
mod exchange;
mod leaves;
mod produce;
mod reports;
#[cfg(test)]
pub(crate) mod rig;

pub(crate) use book::BidBook;
pub(crate) use exchange::{Exchange, Reveal};
pub(crate) use leaves::{Leaves, run_leaves};
pub(crate) use produce::{Producer, run_producer};
pub(crate) use reports::{Charge, Reports};
