//! A forger: executes one operation and claims another, or tampers with effects, and keeps everything
//! else - paths, roots, words, counters, digests - consistent, as an attacker would.

use std::collections::BTreeMap;

use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::batch::{Pair, pair_groups};
use protocol::number::{Height, LeafIndex, TokenId};
use protocol::state::State;
use protocol::threaded::Threaded;
use protocol::transaction::Domain;
use protocol::transition::{Access, Executed, Header, Operation, execute, open_block};
use protocol::witness::{AccessWitness, ChunkWitness, PairWitness, SlotWitness};
use protocol::words::absorb;

use crate::ledger::{START_HEIGHT, amount, owner, secret};

/// A change of an operation's effects.
type Tweak = Box<dyn Fn(&mut Executed, &mut Threaded)>;

/// What is claimed, what is executed, and how the effects are changed.
pub(crate) struct Forgery {
    pub(crate) claimed: Operation,
    pub(crate) executed: Operation,
    pub(crate) tweak: Tweak,
}

impl Forgery {
    /// Claims one operation and executes another.
    pub(crate) fn swap(claimed: Operation, executed: Operation) -> Self {
        Self {
            claimed,
            executed,
            tweak: Box::new(|_, _| {}),
        }
    }

    /// Executes an operation and changes its effects.
    pub(crate) fn tweak(
        operation: Operation,
        tweak: impl Fn(&mut Executed, &mut Threaded) + 'static,
    ) -> Self {
        Self {
            claimed: operation,
            executed: operation,
            tweak: Box::new(tweak),
        }
    }

    /// An honest slot.
    pub(crate) fn honest(operation: Operation) -> Self {
        Self::swap(operation, operation)
    }
}

/// The state under forgery: the ledger's leaves, leaf 1 locked for 50 heights if asked.
pub(crate) struct Forger {
    pub(crate) state: State,
    pub(crate) threaded: Threaded,
    start: Threaded,
    domain: Domain,
    pairs: Vec<PairWitness>,
}

impl Forger {
    pub(crate) fn new(locked: bool) -> Self {
        let leaf = |index: u32| {
            let key: LeafKey = secret(index).public().into();
            let token = TokenId(u32::from(index == 5));
            let mut leaf = Leaf::new(key, owner(index), token, amount(10_000_000_000_000));
            if index == 1 && locked {
                leaf.lock_until = Height(START_HEIGHT + 50);
            }
            leaf
        };
        let state = State::new((0..6).map(leaf).collect());
        let domain = Domain::new(31_337, L1Address([7; 20]), [9; 32], 1);
        Self::on(state, domain)
    }

    /// Any other state, at the start of a batch.
    pub(crate) fn on(state: State, domain: Domain) -> Self {
        let start =
            Threaded::batch_start(state.root(), state.leaf_count(), Height(START_HEIGHT), 5);
        Self {
            state,
            threaded: start,
            start,
            domain,
            pairs: Vec::new(),
        }
    }

    /// The state as if it had been threaded so from the start of the chunk.
    pub(crate) fn starting_with(mut self, change: impl Fn(&mut Threaded)) -> Self {
        change(&mut self.start);
        self.threaded = self.start;
        self
    }

    /// Adds a pair; headers are opened natively, then `open` changes what that did.
    pub(crate) fn pair(
        &mut self,
        claimed: Option<Header>,
        executed: Option<Header>,
        slots: [Forgery; 2],
    ) {
        if let Some(header) = &executed {
            open_block(&mut self.threaded, header).expect("the executed header is valid");
        }
        let operations = [slots[0].claimed, slots[1].claimed];
        let [first, second] = slots;
        let (first, first_done) = self.slot(&first);
        let (second, second_done) = self.slot(&second);
        let pair = Pair {
            header: claimed.clone(),
            slots: operations,
        };
        let groups = pair_groups(&pair, &[first_done, second_done]);
        for group in groups
            .iter()
            .filter(|group| group.iter().any(Option::is_some))
        {
            self.threaded.h = absorb(&self.threaded.h, group);
            self.threaded.counts.count(group);
        }
        self.pairs.push(PairWitness {
            header: claimed,
            slots: [first, second],
            groups,
        });
    }

    fn slot(&mut self, forgery: &Forgery) -> (SlotWitness, Executed) {
        let mut done = execute(
            &self.state,
            &mut self.threaded,
            &self.domain,
            &forgery.executed,
        )
        .expect("the executed operation is valid");
        (forgery.tweak)(&mut done, &mut self.threaded);
        let accesses = done.accesses.map(|access| {
            let siblings = self.state.siblings(access.index);
            if let Some(after) = access.after {
                self.state.commit(&BTreeMap::from([(access.index, after)]));
            }
            AccessWitness { access, siblings }
        });
        self.threaded.root = self.state.root();
        (
            SlotWitness {
                operation: forgery.claimed,
                accesses,
            },
            done,
        )
    }

    pub(crate) fn finish(self) -> ChunkWitness {
        let leaf = self.state.leaves().first().copied();
        let access = Access {
            index: LeafIndex(0),
            before: leaf,
            after: leaf,
        };
        let siblings = self.state.siblings(LeafIndex(0));
        ChunkWitness {
            domain: self.domain,
            before: self.start,
            after: self.threaded,
            pairs: self.pairs,
            idle: AccessWitness { access, siblings },
        }
    }
}
