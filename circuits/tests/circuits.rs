//! Gadgets and circuits against their native twins, against tampered witnesses, and as real proofs.

#[path = "circuits/checker.rs"]
mod checker;
#[path = "circuits/chunk.rs"]
mod chunk;
#[path = "circuits/cost.rs"]
mod cost;
#[path = "circuits/dropped.rs"]
mod dropped;
#[path = "circuits/ends.rs"]
mod ends;
#[path = "circuits/forger.rs"]
mod forger;
#[path = "circuits/forgeries.rs"]
mod forgeries;
#[path = "circuits/harness.rs"]
mod harness;
#[path = "circuits/lanes.rs"]
mod lanes;
#[path = "circuits/ledger.rs"]
mod ledger;
#[path = "circuits/merkle.rs"]
mod merkle;
#[path = "circuits/mutation.rs"]
mod mutation;
#[path = "circuits/noops.rs"]
mod noops;
#[path = "circuits/poseidon.rs"]
mod poseidon;
#[path = "circuits/random.rs"]
mod random;
#[path = "circuits/range.rs"]
mod range;
#[path = "circuits/signature.rs"]
mod signature;
#[path = "circuits/wave.rs"]
mod wave;
