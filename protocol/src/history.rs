//! The last blocks as the vote rule needs them: their sets, bids, burns, and the reports embedded in them
//! (`sequencing.md`, rules 0 and 8). Part of every snapshot: with the state and genesis it is all a vote depends on.
//!
//! Invariants: one entry per height, consecutive, at most [`HISTORY_BLOCKS`]; a restart only while there is no entry.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::{Block, BlockId, Entry},
    number::Height,
    params::BID_BURN_HEIGHTS_MAX,
    restart::Restart,
    transaction::{BidHash, Domain},
    validator::ValidatorSet,
    vote::Report,
};

/// Blocks that the vote rule looks back on: a burn falls at most this many heights after its bid.
pub const HISTORY_BLOCKS: usize = 17;

/// Blocks after the bid's in which reports of it may be embedded.
const REPORT_BLOCKS: u64 = BID_BURN_HEIGHTS_MAX - 1;

/// What is remembered of one decided block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Decided {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// The set that decided it.
    pub set: ValidatorSet,
    /// Bids it burned.
    pub burned: Vec<BidHash>,
    /// Reports in the certificate it embeds, each with who made it.
    pub reports: Vec<(L1Address, Report)>,
}

/// A bid that must be burned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueBurn {
    /// Height of the bid.
    pub height: Height,
    /// The bid.
    pub bid: BidHash,
    /// Who made it.
    pub builder: L1Address,
}

/// The last decided blocks, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct History {
    blocks: VecDeque<Decided>,
    /// What the next block stands on, if that is a restart and no block.
    restart: Option<Restart>,
}

/// Reports that agree on everything but the fault.
type Charge = (Height, BidHash, L1Address, BlockId);

impl History {
    /// Before the first block after a restart: nothing is remembered of what was before.
    #[must_use]
    pub fn after_restart(restart: Restart) -> Self {
        Self {
            blocks: VecDeque::new(),
            restart: Some(restart),
        }
    }

    /// What the next block stands on, if that is a restart and no block.
    #[must_use]
    pub fn restart(&self) -> Option<&Restart> {
        self.restart.as_ref()
    }

    /// Remembers a decided block; forgets what is too old.
    pub fn push(&mut self, block: &Block, set: &ValidatorSet, domain: &Domain) {
        let certificate = block.header.certificate.iter();
        let burned = block
            .payload
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::BidBurn(signed) => Some(signed.hash(domain)),
                Entry::Submission { .. } => None,
            });
        self.restart = None;
        self.blocks.push_back(Decided {
            height: block.header.core.height,
            id: block.id(),
            set: set.clone(),
            burned: burned.collect(),
            reports: certificate
                .flat_map(|certificate| certificate.reports())
                .map(|(reporter, report)| (*reporter, *report))
                .collect(),
        });
        while self.blocks.len() > HISTORY_BLOCKS {
            self.blocks.pop_front();
        }
    }

    /// The newest block.
    #[must_use]
    pub fn last(&self) -> Option<&Decided> {
        self.blocks.back()
    }

    /// Burns that the block at `height`, the next one, must hold, no more and no fewer: bids reported by more than a
    /// third of the weight, whose block was not the one decided, and which no block has burned.
    #[must_use]
    pub fn due_burns(&self, height: Height) -> BTreeSet<DueBurn> {
        let burned: BTreeSet<&BidHash> =
            self.blocks.iter().flat_map(|block| &block.burned).collect();
        self.charges()
            .into_iter()
            .filter(|((at, bid, _, block), reporters)| {
                let decided = self.decided(*at);
                height.0 <= at.0.saturating_add(BID_BURN_HEIGHTS_MAX)
                    && !burned.contains(bid)
                    && decided.is_some_and(|decided| {
                        decided.id != *block
                            && decided.set.is_above_third(weight(decided, reporters))
                    })
            })
            .map(|((height, bid, builder, _), _)| DueBurn {
                height,
                bid,
                builder,
            })
            .collect()
    }

    /// Whether a builder's bids are void: more than two thirds of the weight reported one of its bids in these blocks.
    #[must_use]
    pub fn is_suspended(&self, builder: &L1Address) -> bool {
        self.charges()
            .iter()
            .filter(|((_, _, accused, _), _)| accused == builder)
            .any(|((at, ..), reporters)| {
                self.decided(*at)
                    .is_some_and(|decided| decided.set.is_quorum(weight(decided, reporters)))
            })
    }

    fn decided(&self, height: Height) -> Option<&Decided> {
        self.blocks.iter().find(|block| block.height == height)
    }

    /// Distinct reporters of each charge, in the blocks that may carry them.
    fn charges(&self) -> BTreeMap<Charge, BTreeSet<L1Address>> {
        let mut charges: BTreeMap<Charge, BTreeSet<L1Address>> = BTreeMap::new();
        for block in &self.blocks {
            for (reporter, report) in &block.reports {
                let after = block.height.0.checked_sub(report.height.0);
                if after.is_some_and(|after| (1..=REPORT_BLOCKS).contains(&after)) {
                    let charge = (report.height, report.bid, report.builder, report.block);
                    charges.entry(charge).or_default().insert(*reporter);
                }
            }
        }
        charges
    }
}

/// Weight of the reporters in the set that was to vote on the bid.
fn weight(decided: &Decided, reporters: &BTreeSet<L1Address>) -> u128 {
    let weights = reporters.iter();
    weights
        .map(|reporter| decided.set.weight_of(reporter))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{validator::Validator, vote::Withheld};

    const BUILDER: L1Address = L1Address([0xbb; 20]);
    const BID: BidHash = BidHash([7; 32]);
    const WITHHELD: BlockId = BlockId([1; 32]);
    const DECIDED: BlockId = BlockId([2; 32]);

    fn set() -> ValidatorSet {
        let seats = (1..=4).map(|seat| Validator {
            address: L1Address([seat; 20]),
            weight: 1,
        });
        ValidatorSet::new(seats.collect()).unwrap()
    }

    fn report(height: u64) -> Report {
        Report {
            height: Height(height),
            bid: BID,
            builder: BUILDER,
            block: WITHHELD,
            fault: Withheld::Missing,
        }
    }

    /// Blocks from height 10 on; at each the reporters (seats) whose report of height 10's bid is embedded.
    fn history(embedded: &[&[u8]]) -> History {
        let blocks = (10..).zip(embedded).map(|(height, reporters)| Decided {
            height: Height(height),
            id: DECIDED,
            set: set(),
            burned: vec![],
            reports: reporters
                .iter()
                .map(|seat| (L1Address([*seat; 20]), report(10)))
                .collect(),
        });
        History {
            blocks: blocks.collect(),
            restart: None,
        }
    }

    fn due() -> BTreeSet<DueBurn> {
        BTreeSet::from([DueBurn {
            height: Height(10),
            bid: BID,
            builder: BUILDER,
        }])
    }

    #[test]
    fn reports_add_up_over_blocks_and_reporters_count_once() {
        let none = BTreeSet::new();
        assert_eq!(history(&[&[], &[1]]).due_burns(Height(12)), none);
        assert_eq!(history(&[&[], &[1], &[1]]).due_burns(Height(13)), none);
        assert_eq!(history(&[&[], &[1], &[2]]).due_burns(Height(13)), due());
        assert_eq!(
            history(&[&[], &[1, 9]]).due_burns(Height(12)),
            none,
            "a stranger"
        );
        // reports in the bid's own block are about the past
        assert_eq!(history(&[&[1, 2, 3]]).due_burns(Height(11)), none);
    }

    #[test]
    fn a_decided_bid_is_never_burned_and_a_burned_one_not_again() {
        let mut paid = history(&[&[], &[1, 2, 3]]);
        paid.blocks[0].id = WITHHELD;
        assert!(paid.due_burns(Height(12)).is_empty());
        let mut burned = history(&[&[], &[1, 2, 3], &[]]);
        burned.blocks[2].burned.push(BID);
        assert!(burned.due_burns(Height(13)).is_empty());
    }

    #[test]
    fn reports_count_for_sixteen_blocks_and_a_burn_falls_by_the_seventeenth() {
        let mut late: Vec<&[u8]> = vec![&[]; 17];
        late[16] = &[1, 2];
        let history_late = history(&late);
        assert_eq!(history_late.due_burns(Height(27)), due());
        assert!(history_late.due_burns(Height(28)).is_empty());
        let mut too_late = history(&vec![&[][..]; 18]);
        too_late.blocks[17].reports = vec![
            (L1Address([1; 20]), report(10)),
            (L1Address([2; 20]), report(10)),
        ];
        assert!(too_late.due_burns(Height(27)).is_empty());
    }

    #[test]
    fn two_thirds_suspend() {
        assert!(!history(&[&[], &[1, 2]]).is_suspended(&BUILDER));
        let suspended = history(&[&[], &[1, 2], &[3]]);
        assert!(suspended.is_suspended(&BUILDER));
        assert!(!suspended.is_suspended(&L1Address([0xcc; 20])));
    }
}
