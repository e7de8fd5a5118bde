//! Genesis: what a chain starts from, and the domain it fixes.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, Leaf},
    block::{BlockId, L1Origin, Tip},
    codec::to_bytes,
    hash::keccak256,
    number::{Amount, Height, TokenId},
    params::{CIRCUIT_VERSION, LEAF_COUNT_MAX, NONCE_LAST, params_hash},
    state::State,
    threaded::FeeLeaves,
    transaction::Domain,
    validator::ValidatorSet,
};

/// Chain ids on which insecure development tools are permitted (anvil's and geth's development chains).
pub const DEVELOPMENT_CHAIN_IDS: [u64; 2] = [31_337, 1_337];

/// The first state of a chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Genesis {
    /// Chain id of the base layer.
    pub chain_id: u64,
    /// Address of the Rollup contract.
    pub rollup: L1Address,
    /// Name of the reference string the circuits' keys are made from.
    pub reference_string: String,
    /// The validators of the first epochs, who certify blocks.
    pub validators: ValidatorSet,
    /// Leaves that collect the fees of blocks.
    pub fee_leaves: FeeLeaves,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Leaves 0..n; every one has an owner.
    pub leaves: Vec<Leaf>,
}

/// Why a genesis is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A leaf without an owner on the base layer.
    #[error("leaf {0} has no l1_owner")]
    ZeroOwner(usize),
    /// A nonce of 2^40 or more: it would spill into nothing a leaf hash can hold.
    #[error("leaf {0} has a nonce of 2^40 or more")]
    Nonce(usize),
    /// All balances of one token together reach 2^120, so a credit could overflow.
    #[error("the balances of token {0} reach 2^120 together")]
    Supply(TokenId),
    /// More leaves than the tree holds.
    #[error("more than 2^32 leaves")]
    TooManyLeaves,
    /// A fee leaf that does not exist, or none at all.
    #[error("genesis needs at least one fee leaf, and each must exist")]
    FeeLeaves,
}

impl Genesis {
    /// Checks what the state rules rely on.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn check(&self) -> Result<(), GenesisError> {
        if let Some(place) = self
            .leaves
            .iter()
            .position(|leaf| leaf.l1_owner == L1Address::ZERO)
        {
            return Err(GenesisError::ZeroOwner(place));
        }
        if let Some(place) = self
            .leaves
            .iter()
            .position(|leaf| leaf.nonce.0 > NONCE_LAST)
        {
            return Err(GenesisError::Nonce(place));
        }
        let mut supply = BTreeMap::new();
        for leaf in &self.leaves {
            let sum = supply.entry(leaf.token).or_insert(Amount::ZERO);
            *sum = sum
                .checked_add(leaf.balance)
                .ok_or(GenesisError::Supply(leaf.token))?;
        }
        let count = u64::try_from(self.leaves.len()).unwrap_or(u64::MAX);
        if count > LEAF_COUNT_MAX {
            return Err(GenesisError::TooManyLeaves);
        }
        let exist = self.fee_leaves.iter().all(|leaf| u64::from(leaf.0) < count);
        if self.fee_leaves.count() == 0 || !exist {
            return Err(GenesisError::FeeLeaves);
        }
        Ok(())
    }

    /// Whether development tools (an insecure reference string) are permitted on this chain.
    #[must_use]
    pub fn is_development(&self) -> bool {
        DEVELOPMENT_CHAIN_IDS.contains(&self.chain_id)
    }

    /// Hash of the protocol's parameters under this genesis.
    #[must_use]
    pub fn params_hash(&self) -> [u8; 32] {
        params_hash(&self.reference_string)
    }

    /// The domain of every message and proof of this chain.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::new(
            self.chain_id,
            self.rollup,
            self.params_hash(),
            CIRCUIT_VERSION,
        )
    }

    /// keccak256("QUORATE/protocol/genesis/v1", params_hash and the encoding): the parent of the first block.
    #[must_use]
    pub fn hash(&self) -> BlockId {
        let mut bytes = b"QUORATE/protocol/genesis/v1".to_vec();
        bytes.extend_from_slice(&self.params_hash());
        bytes.extend_from_slice(&to_bytes(self));
        BlockId(keccak256(&bytes))
    }

    /// The first state.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(self.leaves.clone())
    }

    /// Where execution starts.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip {
            height: Height(0),
            id: self.hash(),
            timestamp_ms: self.timestamp_ms,
            inbox_count: 0,
            l1_origin: L1Origin::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        number::{LeafIndex, Nonce},
        params::BALANCE_LIMIT,
        testing::{World, amount, leaf},
    };

    fn genesis() -> Genesis {
        World::new((0..3).map(|number| leaf(number, 0, 10)).collect(), 1).genesis
    }

    #[test]
    fn only_states_the_rules_can_hold_are_accepted() {
        let good = genesis();
        assert_eq!(good.check(), Ok(()));
        let with = |alter: fn(&mut Genesis)| {
            let mut genesis = good.clone();
            alter(&mut genesis);
            genesis.check()
        };
        assert_eq!(
            with(|genesis| genesis.leaves[1].l1_owner = L1Address::ZERO),
            Err(GenesisError::ZeroOwner(1))
        );
        assert_eq!(
            with(|genesis| genesis.leaves[2].nonce = Nonce(NONCE_LAST + 1)),
            Err(GenesisError::Nonce(2))
        );
        assert_eq!(
            with(|genesis| genesis.leaves[2].nonce = Nonce(NONCE_LAST)),
            Ok(())
        );
        assert_eq!(
            with(|genesis| genesis.leaves[0].balance = amount(BALANCE_LIMIT - 20)),
            Err(GenesisError::Supply(TokenId(0)))
        );
        assert_eq!(
            with(|genesis| genesis.leaves[0].balance = amount(BALANCE_LIMIT - 21)),
            Ok(())
        );
        assert_eq!(
            with(|genesis| genesis.fee_leaves = FeeLeaves::NONE),
            Err(GenesisError::FeeLeaves)
        );
        assert_eq!(
            with(|genesis| genesis.fee_leaves = FeeLeaves::new(&[LeafIndex(3)]).unwrap()),
            Err(GenesisError::FeeLeaves)
        );
    }

    #[test]
    fn chain_contract_and_reference_string_separate_domains() {
        let good = genesis();
        let with = |alter: fn(&mut Genesis)| {
            let mut genesis = good.clone();
            alter(&mut genesis);
            genesis
        };
        for other in [
            with(|genesis| genesis.chain_id = 1),
            with(|genesis| genesis.rollup = L1Address([1; 20])),
            with(|genesis| genesis.reference_string = "ceremony".to_owned()),
        ] {
            assert_ne!(other.domain(), good.domain());
            assert_ne!(other.hash(), good.hash());
        }
        let richer = with(|genesis| genesis.leaves[0].balance = amount(11));
        assert_ne!(richer.hash(), good.hash());
    }
}
