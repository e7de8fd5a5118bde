//! The demo: real payments through the public RPC, proven, and verified offline.
//!
//! Nothing in its table is written down beforehand: every figure is measured in the run that prints it.

pub(crate) mod agreement;
pub(crate) mod figures;
pub(crate) mod ledger;
pub(crate) mod replay;
pub(crate) mod settlement;
pub(crate) mod watch;
pub(crate) mod workload;
