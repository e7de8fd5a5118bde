//! A whole node over its interfaces: HTTP, WebSocket, job port. Proofs are checked by a stand-in for the circuits'
//! verifier (the real one is exercised where real proofs are made); everything else is what runs in production.

#[path = "node/setup.rs"]
mod setup;

#[path = "node/bad_input.rs"]
mod bad_input;
#[path = "node/bids.rs"]
mod bids;
#[path = "node/blind.rs"]
mod blind;
#[path = "node/bridge.rs"]
mod bridge;
#[path = "node/finals.rs"]
mod finals;
#[path = "node/inbox.rs"]
mod inbox;
#[path = "node/life.rs"]
mod life;
#[path = "node/market.rs"]
mod market;
#[path = "node/missing.rs"]
mod missing;
#[path = "node/observe.rs"]
mod observe;
#[path = "../src/sets/tests/ports.rs"]
mod ports;
#[path = "node/promises.rs"]
mod promises;
#[path = "node/rebuilding.rs"]
mod rebuilding;
#[path = "node/restart.rs"]
mod restart;
#[path = "node/restored.rs"]
mod restored;
#[path = "node/set.rs"]
mod set;
#[path = "node/settled.rs"]
mod settled;
#[path = "node/snapshots.rs"]
mod snapshots;
#[path = "../src/base_layer/tests/stage.rs"]
mod stage;
#[path = "node/thief.rs"]
mod thief;
