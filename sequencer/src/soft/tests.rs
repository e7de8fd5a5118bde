//! Halves of a set make chains of their own, join in one, and lose nothing but labels when a height is decided.

use std::collections::BTreeSet;

use api::ErrorCode;
use protocol::{genesis::Genesis, number::Height, validator::ValidatorKey};
use tempfile::TempDir;

use super::*;
use crate::{
    config::MempoolConfig,
    fixture::{Rig, domain, genesis, seat_key, set_of_four, sign, soft_rules, transfer, validator},
    storage::TransactionRecord,
};

/// A validator without network.
struct Seat {
    rig: Rig,
    guard_dir: TempDir,
    key: ValidatorKey,
    soft: Soft,
}

fn soft_of(rig: &Rig, key: &ValidatorKey, dir: &TempDir, mode: Mode) -> Soft {
    let guard = SigningGuard::open(&dir.path().join("guard"), key.clone(), domain()).unwrap();
    let standing = &rig.executor.observed.standing;
    standing.take_role(NodeRole::Validator, None);
    Soft::new(
        Arc::clone(&rig.executor),
        Some(Arc::new(guard)),
        soft_rules(mode),
    )
}

impl Seat {
    fn of(genesis: &Genesis, key: ValidatorKey, mode: Mode) -> Self {
        assert_eq!(genesis.domain(), domain());
        let dir = Arc::new(TempDir::new().unwrap());
        let config = MempoolConfig::default();
        let rig = Rig::open_chain(genesis, dir, config, Default::default()).unwrap();
        let guard_dir = TempDir::new().unwrap();
        let soft = soft_of(&rig, &key, &guard_dir, mode);
        Self {
            rig,
            guard_dir,
            key,
            soft,
        }
    }

    fn four(number: u8, mode: Mode) -> Self {
        let genesis = Genesis {
            validators: set_of_four(),
            ..genesis()
        };
        Self::of(&genesis, seat_key(number), mode)
    }

    /// Of a set of its own.
    fn alone() -> Self {
        Self::of(&genesis(), validator(), Mode::Available)
    }

    /// The same after a restart: nothing of the tree is left.
    fn restart(self) -> Self {
        drop(self.soft);
        let soft = soft_of(&self.rig, &self.key, &self.guard_dir, Mode::Available);
        Self { soft, ..self }
    }

    fn pay(&self, from: u8, nonce: u64, amount: u128) -> TransactionId {
        let submission = sign(transfer(from, 3, nonce, amount, 0));
        self.rig.send_one(submission).unwrap()
    }

    /// Whether the chain stands still.
    fn tick(&self) -> bool {
        let (base, _) = self.soft.question();
        self.soft.tick(&BTreeSet::new(), Some(base)).is_some()
    }

    fn all(&self) -> Vec<SoftMessage> {
        let (base, _) = self.soft.question();
        self.soft.answer(&base, &[]).unwrap().0
    }

    /// Takes everything that another knows; what it did not know of goes into the pool.
    fn hear(&self, other: &Self) {
        for message in other.all() {
            let (acceptance, unknown) = self.soft.take(message);
            assert_ne!(acceptance, Acceptance::Reject);
            self.rig.send(unknown);
        }
        assert!(self.tick());
    }

    fn signed(&self, id: &TransactionId) -> Option<u64> {
        self.soft.told(id).map(|told| told.weight_signed)
    }

    /// A soft block under this seat's signature, past its guard.
    fn propose(&self, number: u64, parent: SoftHash, submissions: Vec<Submission>) -> SoftMessage {
        let (base_height, base) = self.soft.above().tree.base();
        let block = protocol::soft::SoftBlock {
            base_height,
            base,
            number,
            parent,
            author: self.key.address(),
            time_ms: 1,
            submissions,
        };
        let signature = block.vote().sign(&domain(), &self.key).signature;
        SoftMessage::Proposal(SoftProposal { block, signature })
    }

    fn root(&self) -> SoftHash {
        self.soft.above().tree.root()
    }
}

#[test]
fn two_halves_have_two_chains_and_agree_on_one_when_they_meet() {
    let seats: Vec<Seat> = (1..=4)
        .map(|number| Seat::four(number, Mode::Available))
        .collect();
    let [one, two, three, four] = &seats[..] else {
        panic!("four seats")
    };
    // the same leaf and nonce on both sides
    let (left, right) = (one.pay(1, 0, 10), three.pay(1, 0, 20));
    let other = three.pay(2, 0, 5);
    assert!(one.tick());
    assert_eq!(one.signed(&left), Some(1));
    two.hear(one);
    one.hear(two);
    assert!(three.tick());
    four.hear(three);
    three.hear(four);
    for seat in [one, two] {
        assert_eq!((seat.signed(&left), seat.signed(&right)), (Some(2), None));
    }
    for seat in [three, four] {
        assert_eq!((seat.signed(&left), seat.signed(&right)), (None, Some(2)));
        assert_eq!(seat.signed(&other), Some(2));
    }
    let head = |seat: &Seat| seat.soft.shown().head;
    assert_ne!(head(one), head(three));

    // still no quorum decides, but everybody hears everybody
    for _ in 0..4 {
        for (place, seat) in seats.iter().enumerate() {
            for from in seats.iter().skip(place + 1) {
                seat.hear(from);
                from.hear(seat);
            }
        }
    }
    assert_eq!(one.soft.shown().heads.len(), 2, "the lost chain is seen");
    let winner = if one.signed(&left).is_some() {
        left
    } else {
        right
    };
    for seat in &seats {
        assert_eq!(head(seat), head(one));
        assert!(seat.signed(&winner).unwrap() >= 2);
        // what does not contradict the winner is soft in its chain too
        assert!(seat.signed(&other).is_some());
    }
}

#[test]
fn a_node_in_mode_halt_keeps_and_signs_nothing_but_sees_forgeries() {
    let (halted, other) = (Seat::four(1, Mode::Halt), Seat::four(2, Mode::Available));
    let id = halted.pay(1, 0, 10);
    assert!(!halted.tick());
    other.pay(1, 0, 10);
    assert!(other.tick());
    let Some(SoftMessage::Proposal(good)) = other.all().first().cloned() else {
        panic!("a soft block")
    };
    let taken = halted.soft.take(SoftMessage::Proposal(good.clone()));
    assert_eq!(taken, (Acceptance::Ignore, vec![]));
    assert_eq!(halted.signed(&id), None);
    let shown = halted.soft.shown();
    assert!(shown.heads.is_empty() && !shown.is_active);
    let mut forged = good;
    forged.block.time_ms += 1;
    let taken = halted.soft.take(SoftMessage::Proposal(forged));
    assert_eq!(taken.0, Acceptance::Reject);
}

#[test]
fn what_does_not_apply_or_is_not_signed_is_refused_as_the_senders_fault() {
    let (seat, author) = (
        Seat::four(1, Mode::Available),
        Seat::four(2, Mode::Available),
    );
    let root = seat.root();
    let take = |number, parent, submissions| {
        let message = author.propose(number, parent, submissions);
        seat.soft.take(message).0
    };
    let gap = sign(transfer(1, 3, 1, 10, 0));
    assert_eq!(take(1, root, vec![gap.clone()]), Acceptance::Reject);
    let poor = sign(transfer(1, 3, 0, 2_000_000, 0));
    assert_eq!(take(1, root, vec![poor]), Acceptance::Reject);
    let mut unsigned = sign(transfer(1, 3, 0, 10, 0));
    if let Submission::Single(signed) = &mut unsigned {
        signed.signature = sign(transfer(1, 3, 0, 11, 0)).members()[0].signature;
    }
    assert_eq!(take(1, root, vec![unsigned]), Acceptance::Reject);
    assert!(seat.soft.shown().heads.is_empty());
    // the parent may be on its way
    let first = sign(transfer(1, 3, 0, 10, 0));
    let parent = SoftHash([1; 32]);
    assert_eq!(take(2, parent, vec![first.clone()]), Acceptance::Ignore);
    assert_eq!(take(1, root, vec![first, gap]), Acceptance::Accept);
    assert_eq!(seat.soft.shown().heads[0].operations, 2);
}

#[test]
fn after_a_restart_a_validator_signs_nothing_that_contradicts_what_it_signed() {
    let (seat, other) = (
        Seat::four(1, Mode::Available),
        Seat::four(2, Mode::Available),
    );
    seat.pay(1, 0, 10);
    assert!(seat.tick());
    let before = seat.all();
    let seat = seat.restart();
    assert!(seat.soft.shown().heads.is_empty());
    // it could make another first block now, but for its peers, who may know of one
    seat.pay(2, 0, 7);
    assert!(seat.soft.tick(&BTreeSet::new(), None).is_some());
    assert!(seat.soft.shown().heads.is_empty());
    assert!(seat.tick());
    let shown = seat.soft.shown();
    let numbers: Vec<u64> = shown.heads.iter().map(|head| head.number).collect();
    assert_eq!(numbers, [2], "number 1 was signed in the life before");
    // whoever heard both lives counts the vote of the second, and no contradiction
    for message in before {
        assert_ne!(other.soft.take(message).0, Acceptance::Reject);
    }
    assert_eq!(other.soft.shown().heads.len(), 1);
    // which of two chains of one weight wins is for their hashes to say; that the next block ends the fork, is not
    seat.pay(2, 1, 5);
    for _ in 0..3 {
        other.hear(&seat);
        seat.hear(&other);
    }
    let heads = other.soft.shown().heads;
    assert_eq!(heads[0].weight_signed, 2, "{heads:?}");
    assert_eq!(seat.soft.shown().head, other.soft.shown().head);
}

#[test]
fn a_decided_height_ends_the_chain_and_its_operations_stand_first_in_its_order() {
    let mut seat = Seat::alone();
    let first = seat.pay(1, 0, 10);
    let second = seat.pay(2, 0, 10);
    let listed = [2, 1].map(|from| sign(transfer(from, 3, 0, 10, 0)));
    let message = seat.propose(1, seat.root(), listed.to_vec());
    assert_eq!(seat.soft.take(message).0, Acceptance::Accept);
    assert_eq!(
        (seat.signed(&first), seat.signed(&second)),
        (Some(1), Some(1))
    );
    let dearer = seat.rig.send_one(sign(transfer(1, 2, 0, 10, 200)));
    assert_eq!(dearer.unwrap_err().code, ErrorCode::BeingOrdered);
    seat.rig.block();
    assert_eq!(seat.signed(&first), None);
    assert_eq!(seat.soft.shown().base_height, 1);
    let store = &seat.rig.shared().store;
    for (id, at) in [(second, 0), (first, 1)] {
        match store.transaction(&id).unwrap() {
            Some(TransactionRecord::Ordered { height, place, .. }) => {
                assert_eq!((height, place), (Height(1), at));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_soft_and_is_overtaken_fails_as_reverted() {
    let (seat, rival) = (Seat::alone(), Rig::new(MempoolConfig::default()));
    let (soft, pending) = (seat.pay(1, 0, 10), seat.pay(2, 1, 10));
    assert!(seat.tick());
    assert_eq!((seat.signed(&soft), seat.signed(&pending)), (Some(1), None));
    for (from, nonce) in [(1, 0), (2, 0), (2, 1)] {
        let other = sign(transfer(from, 3, nonce, 11, 0));
        rival.send_one(other).unwrap();
    }
    seat.rig.commit(rival.propose());
    let store = &seat.rig.shared().store;
    let failure = |id| match store.transaction(&id).unwrap() {
        Some(TransactionRecord::Failed { code, reason, .. }) => (code, reason),
        other => panic!("{other:?}"),
    };
    let (code, reason) = failure(soft);
    assert_eq!(code, ErrorCode::Reverted.number());
    assert!(
        reason.contains("nonce") && reason.contains("soft block"),
        "{reason}"
    );
    assert_eq!(failure(pending).0, ErrorCode::NonceUsed.number());
}
