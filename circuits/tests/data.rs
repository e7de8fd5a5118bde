//! The data circuit against its native twin, against every lie a table can tell, and as real proofs.

#[path = "data/cost.rs"]
mod cost;
#[path = "data/judge.rs"]
mod judge;
#[path = "data/lies.rs"]
mod lies;
#[path = "data/mutation.rs"]
mod mutation;
#[path = "data/proofs.rs"]
mod proofs;
#[path = "data/samples.rs"]
mod samples;
#[path = "data/twin.rs"]
mod twin;
