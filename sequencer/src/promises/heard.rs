//! Promises that this node has heard, its own among them: of the proposers of the open height and of the one after it, where peers
//! may be already.
//!
//! Invariants: only promises signed by the first proposer of their height are kept, one for each of [`PROMISES_MAX`] places and
//! one for each operation, of three heights at most; what contradicts a kept one is shown once. What this module does not do:
//! compare promises with blocks (`consensus`), or sign.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    number::{Height, Round},
    preconfirmation::SignedPreconfirmation,
    transaction::TransactionId,
};

use crate::{
    chain::now_ms,
    events::Event,
    executor::{Executor, PROMISES_MAX},
    sightings::Sighting,
};

/// What became of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It is kept, and may be told on.
    New,
    /// Known, or one of many that contradict each other.
    Known,
    /// Of another height, or not of its proposer, as far as this node knows; or of a place that nobody promises.
    Elsewhere,
    /// The signature is not its maker's.
    Forged,
    /// No block keeps both this one and the one kept before.
    Contradiction(Box<(SignedPreconfirmation, SignedPreconfirmation)>),
}

/// Promises for one height.
#[derive(Debug, Default)]
struct Page {
    /// Each with the time at which it was heard.
    kept: Vec<(SignedPreconfirmation, u64)>,
    /// The maker has contradicted itself: its word counts for nothing.
    is_contradicted: bool,
}

/// Promises by height.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pages: Mutex<BTreeMap<Height, Page>>,
}

impl Heard {
    fn pages(&self) -> MutexGuard<'_, BTreeMap<Height, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a promise that is signed.
    fn keep(&self, signed: SignedPreconfirmation, tip: Height, now_ms: u64) -> Hearing {
        let promise = &signed.preconfirmation;
        let mut pages = self.pages();
        // the page of the newest block may still be compared with what its proposer sent
        pages.retain(|height, _| *height >= tip);
        let page = pages.entry(promise.height).or_default();
        let mut kept = page.kept.iter();
        if page.is_contradicted || kept.any(|(known, _)| known.preconfirmation == *promise) {
            return Hearing::Known;
        }
        let contradicts = |(known, _): &&(SignedPreconfirmation, u64)| {
            known.preconfirmation.conflicts_with(promise)
        };
        if let Some((known, _)) = page.kept.iter().find(contradicts) {
            page.is_contradicted = true;
            return Hearing::Contradiction(Box::new((*known, signed)));
        }
        page.kept.push((signed, now_ms)); // places differ and are below a limit
        Hearing::New
    }

    /// The promise of an operation at a height above the newest block, and when it was heard.
    pub(crate) fn of(
        &self,
        id: &TransactionId,
        tip: Height,
    ) -> Option<(SignedPreconfirmation, u64)> {
        let pages = self.pages();
        let open = pages
            .iter()
            .filter(|(height, page)| **height > tip && !page.is_contradicted);
        let mut kept = open.flat_map(|(_, page)| &page.kept);
        kept.find(|(signed, _)| signed.preconfirmation.transaction == *id)
            .copied()
    }

    /// Takes out what was promised for a height that has been decided.
    pub(crate) fn close(&self, height: Height) -> Vec<SignedPreconfirmation> {
        let page = self.pages().remove(&height).unwrap_or_default();
        page.kept.into_iter().map(|(signed, _)| signed).collect()
    }
}

impl Executor {
    /// Takes a promise that anybody has told.
    pub(crate) fn hear(&self, signed: SignedPreconfirmation) -> Hearing {
        let promise = &signed.preconfirmation;
        let tip = self.tip().height;
        let is_open = promise.height > tip && promise.height.0 <= tip.0.saturating_add(2);
        let is_made = usize::try_from(promise.place).is_ok_and(|place| place < PROMISES_MAX);
        let set = self.set_of(promise.height).filter(|_| is_open && is_made);
        if set.is_none_or(|set| *set.proposer(promise.height, Round(0)) != signed.proposer) {
            return Hearing::Elsewhere;
        }
        if !signed.is_authentic(&self.shared.chain.constants.domain) {
            return Hearing::Forged;
        }
        let hearing = self.heard.keep(signed, tip, now_ms());
        if hearing == Hearing::New {
            self.saw(Sighting::Promise(signed));
            let ids = Arc::new(vec![promise.transaction]);
            self.shared.events.send(Event::Transactions(ids));
        }
        hearing
    }
}

#[cfg(test)]
mod tests {
    use protocol::{number::Height, preconfirmation::Preconfirmation, validator::ValidatorKey};

    use super::*;
    use crate::{
        config::MempoolConfig,
        fixture::{Rig, domain, validator},
    };

    fn promise(height: u64, place: u32, transaction: u8) -> Preconfirmation {
        Preconfirmation {
            height: Height(height),
            place,
            transaction: TransactionId([transaction; 32]),
        }
    }

    fn signed(height: u64, place: u32, transaction: u8) -> SignedPreconfirmation {
        promise(height, place, transaction).sign(&domain(), &validator())
    }

    #[test]
    fn the_proposers_promises_are_kept_until_their_height_is_decided() {
        let mut rig = Rig::new(MempoolConfig::default());
        rig.block();
        let executor = Arc::clone(&rig.executor);
        let one = signed(2, 0, 1);
        assert_eq!(executor.hear(one), Hearing::New);
        assert_eq!(executor.hear(one), Hearing::Known);
        assert_eq!(
            executor.hear(signed(3, 0, 2)),
            Hearing::New,
            "peers may be ahead"
        );
        let of = |id: u8, tip: u64| {
            let found = executor.heard.of(&TransactionId([id; 32]), Height(tip));
            found.map(|(signed, _)| signed)
        };
        assert_eq!(of(1, 1), Some(one));
        assert_eq!((of(1, 2), of(9, 1)), (None, None));
        rig.block();
        assert_eq!(
            executor.hear(signed(2, 1, 3)),
            Hearing::Elsewhere,
            "decided"
        );
        assert_eq!(executor.heard.close(Height(2)), [one]);
        assert_eq!(executor.heard.close(Height(2)), []);
        assert_eq!(of(2, 2), Some(signed(3, 0, 2)));
    }

    #[test]
    fn what_is_forged_far_ahead_or_another_keys_is_not_kept() {
        let mut rig = Rig::new(MempoolConfig::default());
        rig.block();
        let hear = |signed| rig.executor.hear(signed);
        let stranger = ValidatorKey::from_bytes(&[99; 32]).unwrap();
        let theirs = promise(2, 0, 1).sign(&domain(), &stranger);
        assert_eq!(hear(theirs), Hearing::Elsewhere);
        let mut forged = signed(2, 0, 1);
        forged.signature.0[4] ^= 1;
        assert_eq!(hear(forged), Hearing::Forged);
        assert_eq!(hear(signed(1, 0, 1)), Hearing::Elsewhere);
        assert_eq!(hear(signed(4, 0, 1)), Hearing::Elsewhere);
        let many = u32::try_from(PROMISES_MAX).unwrap();
        assert_eq!(hear(signed(2, many, 1)), Hearing::Elsewhere);
        for place in 0..many {
            let id = u8::try_from(place).unwrap();
            assert_eq!(hear(signed(2, place, id)), Hearing::New);
        }
    }

    #[test]
    fn a_contradiction_is_shown_once_and_the_makers_word_counts_no_more() {
        let mut rig = Rig::new(MempoolConfig::default());
        rig.block();
        let (first, second) = (signed(2, 0, 1), signed(2, 0, 2));
        assert_eq!(rig.executor.hear(first), Hearing::New);
        let pair = Box::new((first, second));
        assert_eq!(rig.executor.hear(second), Hearing::Contradiction(pair));
        for place in 0..3 {
            assert_eq!(rig.executor.hear(signed(2, place, 7)), Hearing::Known);
        }
        let shown = rig.executor.heard.of(&TransactionId([1; 32]), Height(1));
        assert_eq!(shown, None);
        assert_eq!(
            rig.executor.heard.close(Height(2)),
            [first],
            "it is still bound by it"
        );
    }
}
