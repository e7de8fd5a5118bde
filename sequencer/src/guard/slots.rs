//! What was signed, as a fold over the records of the log. No disk, no key.
//!
//! Applying a record gives the same state whether it was just written or is read again, and whether the log was
//! rewritten in between.

use std::collections::{BTreeMap, btree_map};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    block::BlockId,
    codec::abi_word,
    number::{Height, Round},
    transaction::Domain,
    validator::ValidatorSignature,
    vote::Extension,
};

/// Rounds of one height that stay stored. With timeouts that grow by the round, the last 256 of a height that does not
/// end span hours; the engine signs in its current round only.
pub const ROUNDS_KEPT: u32 = 256;
/// Numbers of one kind that stay stored: more than the batches between the last sealed and the last one proven.
pub const NUMBERS_KEPT: u64 = 64;

/// Messages of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum RoundKind {
    /// The engine's proposal.
    Proposal,
    /// The opening of its parts.
    Init,
    /// First vote.
    Prevote,
    /// What a precommit of a block carries.
    Extension,
    /// Second vote.
    Precommit,
}

/// Heights of which promises stay stored: one is made for the next height only.
const PROMISED_HEIGHTS_KEPT: u64 = 2;
/// Base heights of which soft blocks stay stored: they are signed above the newest block only.
const SOFT_HEIGHTS_KEPT: u64 = 2;

/// Messages that have a number of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum NumberedKind {
    /// Certificate of a sealed batch, once per (number, root before).
    Batch,
    /// A soft block, once per (base height, number), in rising numbers.
    Soft,
    /// A restart, once per last height.
    Restart,
    /// A promise, once per (height, place).
    PromisedPlace,
    /// The same promise, once per (height, operation).
    PromisedOperation,
}

impl NumberedKind {
    /// Numbers of the kind that stay stored.
    fn kept(self) -> u64 {
        match self {
            Self::Batch | Self::Restart => NUMBERS_KEPT,
            Self::Soft => SOFT_HEIGHTS_KEPT,
            Self::PromisedPlace | Self::PromisedOperation => PROMISED_HEIGHTS_KEPT,
        }
    }
}

/// A place for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Slot {
    /// In a round of a height.
    Round {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// Which message.
        kind: RoundKind,
    },
    /// Outside of rounds.
    Numbered {
        /// Which message.
        kind: NumberedKind,
        /// Its number.
        number: u64,
        /// What the number counts on.
        subject: [u8; 32],
    },
}

/// A block that was precommitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Lock {
    /// Where.
    pub height: Height,
    /// In which round.
    pub round: Round,
    /// The block.
    pub block: BlockId,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Entry {
    pub(super) digest: [u8; 32],
    pub(super) signature: ValidatorSignature,
    /// The block that the message names.
    pub(super) block: Option<BlockId>,
    /// Of an extension, its content.
    pub(super) extension: Option<Extension>,
}

/// What outlives the entries it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Floor {
    /// Highest height signed in.
    pub(super) signed: Height,
    /// Highest height that was caught up with.
    pub(super) passed: Height,
    /// Lock of the latest round.
    pub(super) lock: Option<Lock>,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Record {
    /// The first record, and only it: whose guard this is.
    Owner(L1Address, Domain),
    /// The floor, raised by hand or carried over into a rewritten log.
    Floor(Floor),
    /// A signature.
    Signed(Slot, Entry),
    /// Signatures that became durable together: all of them or none.
    Together(Vec<(Slot, Entry)>),
}

/// The slot is not stored and below this.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) floor: u64,
}

/// Everything that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    owner: L1Address,
    domain: Domain,
    floor: Floor,
    entries: BTreeMap<Slot, Entry>,
}

impl Slots {
    pub(super) fn new(owner: L1Address, domain: Domain) -> Self {
        Self {
            owner,
            domain,
            floor: Floor::default(),
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn owner(&self) -> (L1Address, Domain) {
        (self.owner, self.domain)
    }

    pub(super) fn floor(&self) -> Floor {
        self.floor
    }

    /// What the slot holds; `None` if something may be signed in it.
    pub(super) fn find(&self, slot: &Slot) -> Result<Option<&Entry>, Refusal> {
        let stored = self.entries.get(slot);
        if stored.is_some() {
            return Ok(stored);
        }
        match *slot {
            Slot::Round { height, round, .. } => {
                let passed = self.floor.passed.0;
                // genesis is height 0, and nobody votes on it
                if height < self.floor.signed || height.0 <= passed {
                    let floor = self.floor.signed.0.max(passed.saturating_add(1));
                    return Err(Refusal { floor });
                }
                let floor = self.round_floor(height);
                if round < floor {
                    let floor = u64::from(floor.0);
                    return Err(Refusal { floor });
                }
            }
            Slot::Numbered {
                kind,
                number,
                subject,
            } => {
                let mut floor = self.number_floor(kind);
                let Floor { signed, passed, .. } = self.floor;
                match kind {
                    // it ends at or above every height that anyone signed in
                    NumberedKind::Restart => floor = floor.max(signed.0).max(passed.0),
                    // as votes of that height
                    NumberedKind::PromisedPlace | NumberedKind::PromisedOperation => {
                        floor = floor.max(signed.0).max(passed.0.saturating_add(1));
                    }
                    // a key that may have voted above this base may have signed soft blocks on it
                    NumberedKind::Soft => {
                        floor = floor.max(passed.0);
                        let last = self.last_soft(Height(number));
                        if subject <= abi_word(u128::from(last)) {
                            let floor = last.saturating_add(1);
                            return Err(Refusal { floor });
                        }
                    }
                    NumberedKind::Batch => {}
                }
                if number < floor {
                    return Err(Refusal { floor });
                }
            }
        }
        Ok(None)
    }

    /// The least round of a height in which something new may be signed.
    fn round_floor(&self, height: Height) -> Round {
        let first = |height, round, kind| Slot::Round {
            height,
            round,
            kind,
        };
        let from = first(height, Round(0), RoundKind::Proposal);
        let to = first(height, Round(u32::MAX), RoundKind::Precommit);
        let last = self.entries.range(from..=to).next_back();
        match last {
            Some((Slot::Round { round, .. }, _)) => {
                Round(round.0.saturating_add(1).saturating_sub(ROUNDS_KEPT))
            }
            _ => Round(0),
        }
    }

    /// The least number of a kind for which something new may be signed.
    fn number_floor(&self, kind: NumberedKind) -> u64 {
        let at = |number, subject| Slot::Numbered {
            kind,
            number,
            subject,
        };
        let all = at(0, [0; 32])..=at(u64::MAX, [0xff; 32]);
        match self.entries.range(all).next_back() {
            Some((Slot::Numbered { number, .. }, _)) => {
                number.saturating_add(1).saturating_sub(kind.kept())
            }
            _ => 0,
        }
    }

    /// Highest number of a soft block that was signed above this height; 0 if none is stored.
    pub(super) fn last_soft(&self, base_height: Height) -> u64 {
        let at = |subject| Slot::Numbered {
            kind: NumberedKind::Soft,
            number: base_height.0,
            subject,
        };
        let all = at([0; 32])..=at([0xff; 32]);
        match self.entries.range(all).next_back() {
            Some((Slot::Numbered { subject, .. }, _)) => {
                let low = subject.last_chunk::<8>().copied().unwrap_or_default();
                u64::from_be_bytes(low)
            }
            _ => 0,
        }
    }

    /// Makes a record true. One that contradicts what is stored changes nothing and returns false: the guard never
    /// wrote it.
    pub(super) fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Owner(..) => false,
            Record::Floor(floor) => {
                self.floor.signed = self.floor.signed.max(floor.signed);
                self.floor.passed = self.floor.passed.max(floor.passed);
                self.floor.lock = self.floor.lock.max(floor.lock);
                true
            }
            Record::Signed(slot, entry) => self.sign(slot, entry),
            Record::Together(signed) => {
                // at the first that contradicts, the log is damaged and none of this is used
                signed
                    .into_iter()
                    .all(|(slot, entry)| self.sign(slot, entry))
            }
        }
    }

    fn sign(&mut self, slot: Slot, entry: Entry) -> bool {
        let block = entry.block;
        match self.entries.entry(slot) {
            btree_map::Entry::Occupied(_) => return false,
            btree_map::Entry::Vacant(place) => place.insert(entry),
        };
        self.advance(slot, block);
        true
    }

    /// Raises the floor to a new entry, and drops what is not kept.
    fn advance(&mut self, slot: Slot, block: Option<BlockId>) {
        match slot {
            Slot::Round {
                height,
                round,
                kind,
            } => {
                self.floor.signed = self.floor.signed.max(height);
                if let (RoundKind::Precommit, Some(block)) = (kind, block) {
                    let lock = Lock {
                        height,
                        round,
                        block,
                    };
                    self.floor.lock = self.floor.lock.max(Some(lock));
                }
                let (signed, floor) = (self.floor.signed, self.round_floor(height));
                self.entries.retain(|stored, _| match stored {
                    Slot::Round {
                        height: its, round, ..
                    } => its.0.saturating_add(1) >= signed.0 && (*its != height || *round >= floor),
                    Slot::Numbered { .. } => true,
                });
            }
            Slot::Numbered { kind, .. } => {
                let floor = self.number_floor(kind);
                self.entries.retain(|stored, _| match stored {
                    Slot::Numbered {
                        kind: its, number, ..
                    } => *its != kind || *number >= floor,
                    Slot::Round { .. } => true,
                });
            }
        }
    }

    /// The shortest log that says the same, owner first.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let head = [
            Record::Owner(self.owner, self.domain),
            Record::Floor(self.floor),
        ];
        let signed = self
            .entries
            .iter()
            .map(|(slot, entry)| Record::Signed(*slot, entry.clone()));
        head.into_iter().chain(signed)
    }
}
