//! Whether proposers kept their promises: at the end of a height, what was promised for it is compared with what the makers
//! themselves proposed, whichever block was decided.
//!
//! What this module does not do: hear promises ([`crate::promises`]), or believe this comparison; the evidence is judged from its
//! bytes before it becomes a file.

use std::sync::Arc;

use protocol::{
    evidence::{BrokenPreconfirmation, Evidence, is_own},
    preconfirmation::SignedPreconfirmation,
};

use super::App;
use crate::events::Event;

impl App {
    /// Accuses the makers of broken promises, at the end of the present height.
    pub(super) fn compare_promises(&mut self) {
        let promises = self.executor.heard.close(self.height());
        if promises.is_empty() {
            return;
        }
        // those that are not in the block are pending again
        let ids = promises.iter().map(|one| one.preconfirmation.transaction);
        let ids = Arc::new(ids.collect());
        self.executor.shared.events.send(Event::Transactions(ids));
        if let Some(broken) = self.broken(&promises) {
            let evidence = Evidence::BrokenPreconfirmation(Box::new(broken));
            self.accuse(evidence);
        }
    }

    /// The first promise that a block of its maker's own, of this height and here with its payload, does not keep: one convicts.
    fn broken(&self, promises: &[SignedPreconfirmation]) -> Option<BrokenPreconfirmation> {
        let domain = &self.executor.shared.chain.constants.domain;
        self.parts.inits().find_map(|init| {
            let (proposal, header) = (init.signed, &init.header);
            if !is_own(&proposal, &header.core) {
                return None;
            }
            let theirs = promises
                .iter()
                .filter(|one| one.proposer == proposal.proposer);
            let mut theirs = theirs.peekable();
            theirs.peek()?;
            let payload = self.payload_of(proposal.proposal.block)?;
            let promise = theirs.find(|one| !one.preconfirmation.is_kept_by(&payload, domain))?;
            Some(BrokenPreconfirmation {
                promise: *promise,
                proposal,
                core: header.core.clone(),
                bid: header.bid,
                payload,
            })
        })
    }
}
