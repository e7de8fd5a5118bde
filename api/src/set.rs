//! The validator set at work: who sits in it, how long operations waited for whom, and what became of bids.
//!
//! Everything that is not on the chain is what this one node has seen since it started, in a window of recent heights:
//! another node has heard messages at other times. Nothing here is evidence against anybody.

use protocol::validator::ValidatorSet;
use serde::{Deserialize, Serialize};

use crate::text::{AddressText, AmountText, HashText};

/// Weights that decide, in one validator set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetWeights {
    /// Weight of all together.
    pub total: u64,
    /// f: the most weight that may be faulty while blocks are safe and go on.
    pub faulty_max: u64,
    /// The least weight that certifies: more than two thirds.
    pub quorum: u64,
}

impl SetWeights {
    /// Weights of a set.
    #[must_use]
    pub fn new(set: &ValidatorSet) -> Self {
        let number = |weight: u128| u64::try_from(weight).unwrap_or(u64::MAX);
        let total = set.total();
        Self {
            total: number(total),
            faulty_max: number(total.saturating_sub(1) / 3),
            quorum: number(total.saturating_mul(2) / 3 + 1),
        }
    }

    /// The least weight above a third: what must sign two contradictions before a certificate falls.
    #[must_use]
    pub fn above_third(&self) -> u64 {
        (self.total / 3).saturating_add(1)
    }
}

/// How numbers are spread. Quantiles are upper bounds, at most a quarter above the true ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// All together.
    pub sum: u64,
    /// The greatest.
    pub max: u64,
    /// Half of them are at most this.
    pub p50: u64,
    /// Nine of ten are at most this.
    pub p90: u64,
    /// Ninety-nine of a hundred are at most this.
    pub p99: u64,
}

/// How long submissions that this node held waited until a block held them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionDelay {
    /// Submissions measured.
    pub entries: u64,
    /// Heights waited; 0 is the height that was being agreed on when the submission came.
    pub heights: Spread,
    /// Milliseconds waited, by this node's clock.
    pub milliseconds: Spread,
    /// Submissions that a block left out although this node could have listed them a height before, they still applied
    /// after the block, and it had room. Each counts once for every block that left it out.
    pub left_out: u64,
}

/// Inclusion delay of one proposer or builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorInclusion {
    /// Its address.
    pub address: AddressText,
    /// Blocks of the window that it proposed, or sold.
    pub blocks: u64,
    /// What waited for them.
    pub delay: InclusionDelay,
}

/// Inclusion delay over the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionJson {
    /// First height of the window; absent before this node has committed one.
    pub first_height: Option<u64>,
    /// Last height of the window.
    pub last_height: Option<u64>,
    /// Heights the window holds at most.
    pub heights_max: u64,
    /// By author of the block, sold blocks included.
    pub proposers: Vec<AuthorInclusion>,
    /// By builder, of sold blocks.
    pub builders: Vec<AuthorInclusion>,
}

/// One validator at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorStatus {
    /// Address of its key.
    pub address: AddressText,
    /// Its weight.
    pub weight: u64,
    /// Its share of the weight in millionths, rounded down.
    pub share_millionths: u32,
    /// Whether its key is this node's.
    pub is_this_node: bool,
    /// Whether it proposes in round 0 of the next height.
    pub is_next_proposer: bool,
    /// Decided blocks of the window that it proposed first.
    pub blocks: u64,
    /// Rounds of the window in which it was to propose and nothing was decided.
    pub rounds_lost: u64,
    /// Last height of the window whose certificate, as this node holds it, has its signature.
    pub last_signed_height: Option<u64>,
    /// What waited for its blocks.
    pub delay: InclusionDelay,
}

/// The validator set of the newest height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorsJson {
    /// Newest height.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Weights that decide.
    pub weights: SetWeights,
    /// Who proposes in round 0 of the next height.
    pub next_proposer: AddressText,
    /// First height of the window; absent before this node has committed one.
    pub first_height: Option<u64>,
    /// Seats by address.
    pub validators: Vec<ValidatorStatus>,
}

/// One bid that this node has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidStatus {
    /// Height it is for.
    pub height: u64,
    /// Hash that the builder signed: its name in reports.
    pub bid: HashText,
    /// Block it is for.
    pub block: HashText,
    /// Address of the builder's key.
    pub builder: AddressText,
    /// Collateral leaf.
    pub leaf: u32,
    /// Base units.
    pub value: AmountText,
    /// Whether a proposer signed its block.
    pub is_chosen: bool,
    /// Whether its payload has come.
    pub is_revealed: bool,
    /// Whether its block was decided: the bid is paid.
    pub is_decided: bool,
    /// Validators whose embedded certificates report it as withheld.
    pub reporters: u32,
    /// Their weight.
    pub weight_reported: u64,
    /// Height of the block that burned it.
    pub burned_at: Option<u64>,
    /// Whether bids of its builder are void at the next height.
    pub is_suspended: bool,
}

/// Bids at recent heights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidsJson {
    /// Newest height.
    pub height: u64,
    /// Heights remembered at most.
    pub heights_max: u64,
    /// Whether blocks of the present set may be sold at all.
    pub may_take_bids: bool,
    /// Newest height first, then the highest value.
    pub bids: Vec<BidStatus>,
}

#[cfg(test)]
mod tests {
    use protocol::{account::L1Address, validator::Validator};

    use super::*;

    #[test]
    fn weights_agree_with_the_rules_of_the_set() {
        for total in 1..=100_u64 {
            let address = L1Address([1; 20]);
            let seats = vec![Validator {
                address,
                weight: total,
            }];
            let set = ValidatorSet::new(seats).unwrap();
            let weights = SetWeights::new(&set);
            assert!(set.is_quorum(weights.quorum.into()), "{total}");
            assert!(!set.is_quorum((weights.quorum - 1).into()), "{total}");
            assert!(set.is_above_third(weights.above_third().into()), "{total}");
            assert!(!set.is_above_third((weights.above_third() - 1).into()));
            // without the faulty ones there is still a quorum
            assert!(set.is_quorum((total - weights.faulty_max).into()));
            assert!(!set.is_quorum((total - weights.faulty_max - 1).into()) || total == 1);
        }
    }
}
