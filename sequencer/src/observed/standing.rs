//! What this node does in agreement, as agreement last said.

use std::sync::{Mutex, MutexGuard, PoisonError};

use api::status::NodeRole;
use protocol::number::{Height, Round};

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) role: NodeRole,
    /// Height after which an observer votes.
    pub(crate) observes_until: Option<Height>,
    /// Round that was started last.
    pub(crate) started: Option<(Height, Round)>,
    /// First height that peers have, while none has the next one.
    pub(crate) peers_keep_from: Option<Height>,
}

/// Set by agreement, read by whoever asks.
#[derive(Debug)]
pub(crate) struct Standing(Mutex<Status>);

impl Default for Standing {
    fn default() -> Self {
        Self(Mutex::new(Status {
            role: NodeRole::Starting,
            observes_until: None,
            started: None,
            peers_keep_from: None,
        }))
    }
}

impl Standing {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> Status {
        *self.status()
    }

    pub(crate) fn take_role(&self, role: NodeRole, observes_until: Option<Height>) {
        let mut status = self.status();
        (status.role, status.observes_until) = (role, observes_until);
    }

    pub(crate) fn set_peers_keep_from(&self, first: Option<Height>) {
        self.status().peers_keep_from = first;
    }

    pub(crate) fn start_round(&self, height: Height, round: Round) {
        self.status().started = Some((height, round));
    }
}
