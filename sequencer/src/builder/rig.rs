//! A chain that takes bids, for tests: four validators, two builders with locked collateral, no network.

use std::sync::Arc;

use protocol::{
    account::{L1Address, Leaf},
    block::{Block, BlockHeader, BlockId},
    certificate::{ExtendedCertificate, ExtendedSignature},
    genesis::Genesis,
    number::{Amount, Height, LeafIndex, Round, TokenId},
    params::EPOCH_HEIGHTS,
    validator::{Validator, ValidatorKey, ValidatorSet},
    validity,
    vote::{Extension, Proposal, ProposalKind, Report, SignedProposal, Step, Vote},
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    Exchange, Reveal,
    produce::{payment, sign},
};
use crate::{
    config::{BuilderConfig, BuilderStrategy, MempoolConfig},
    executor::{Judged, Offer, OfferOrder},
    fixture::{Rig, key},
};

/// Collects fees, and is where bids are paid.
pub(crate) const PROPOSER_LEAF: LeafIndex = LeafIndex(0);
/// Where both builders collect fees.
pub(crate) const FEE_LEAF: LeafIndex = LeafIndex(4);
/// Locked for the two builders.
pub(crate) const COLLATERAL: [LeafIndex; 2] = [LeafIndex(5), LeafIndex(6)];
/// Locked too shortly.
pub(crate) const EXPIRING: LeafIndex = LeafIndex(7);
/// What each collateral holds.
pub(crate) const COLLATERAL_VALUE: u128 = 5_000_000_000;

fn validator(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[number; 32]).unwrap()
}

fn key_of(address: &L1Address) -> ValidatorKey {
    let mut keys = (1..=4).map(validator);
    keys.find(|key| key.address() == *address).unwrap()
}

/// Leaves 0 to 4 hold a million of token 0, by keys 0 to 4; 5 to 7 are collateral.
pub(crate) fn genesis() -> Genesis {
    let seats = (1..=4).map(|number| Validator {
        address: validator(number).address(),
        weight: 1,
    });
    let leaf = |number: u8| {
        let (balance, lock_until) = match number {
            0..5 => (1_000_000, 0),
            5 | 6 => (COLLATERAL_VALUE, 4 * EPOCH_HEIGHTS),
            _ => (COLLATERAL_VALUE, EPOCH_HEIGHTS),
        };
        let balance = Amount::new(balance).unwrap();
        let owner = L1Address([number + 1; 20]);
        Leaf {
            lock_until: Height(lock_until),
            ..Leaf::new(key(number).public().into(), owner, TokenId(0), balance)
        }
    };
    Genesis {
        validators: ValidatorSet::new(seats.collect()).unwrap(),
        leaves: (0..8).map(leaf).collect(),
        ..crate::fixture::genesis()
    }
}

/// A builder by the number of its collateral leaf.
pub(crate) fn builder(leaf: LeafIndex) -> BuilderConfig {
    let number = u8::try_from(leaf.0).unwrap();
    BuilderConfig {
        key: ValidatorKey::from_bytes(&[0xb0 + number; 32]).unwrap(),
        collateral_leaf: leaf,
        collateral_key: key(number),
        fee_leaf: FEE_LEAF,
        strategy: BuilderStrategy::HighestFee,
        share_percent: 90,
    }
}

/// A node on that chain.
pub(crate) struct BidRig {
    pub(crate) rig: Rig,
    pub(crate) exchange: Exchange,
    pub(crate) sold: mpsc::Receiver<Reveal>,
}

impl BidRig {
    pub(crate) fn new() -> Self {
        let (dir, config) = (Arc::new(TempDir::new().unwrap()), MempoolConfig::default());
        let rig = Rig::open_chain(&genesis(), dir, config, Default::default()).unwrap();
        let (exchange, sold) = Exchange::new(Arc::clone(&rig.executor));
        Self {
            rig,
            exchange,
            sold,
        }
    }

    pub(crate) fn next(&self) -> Height {
        Height(self.rig.executor.tip().height.0 + 1)
    }

    pub(crate) fn proposer(&self, round: u32) -> L1Address {
        *genesis().validators.proposer(self.next(), Round(round))
    }

    /// Operations that pay this fee each.
    pub(crate) fn send(&self, count: u64, fee: u128) {
        let nonce = self.rig.shared().chain.view().leaves[1].nonce.0;
        let domain = genesis().domain();
        for place in 0..count {
            let transaction = crate::fixture::transfer(1, 2, nonce + place, 10, fee);
            let signature = key(1).sign(&transaction.message(&domain, false));
            let signed = protocol::transaction::SignedTransaction {
                transaction,
                key: key(1).public(),
                signature,
            };
            let submission = protocol::transaction::Submission::Single(signed);
            self.rig.send_one(submission).unwrap();
        }
    }

    pub(crate) fn order(&self, leaf: LeafIndex) -> OfferOrder {
        OfferOrder {
            height: self.next(),
            author: self.proposer(0),
            proposer_leaf: PROPOSER_LEAF,
            fee_leaf: FEE_LEAF,
            strategy: BuilderStrategy::HighestFee,
            share_percent: 90,
            payment: payment(&builder(leaf), self.next()),
        }
    }

    pub(crate) fn offer(&self, leaf: LeafIndex) -> Offer {
        let offer = self.rig.executor.offer(&self.order(leaf)).unwrap();
        offer.expect("there are fees")
    }

    /// An offer signed by the builder of this collateral.
    pub(crate) fn sign(&self, leaf: LeafIndex, offer: &Offer) -> BlockHeader {
        let config = builder(leaf);
        let payment = payment(&config, offer.core.height);
        sign(&config, &genesis().domain(), payment, offer)
    }

    /// The header of a bid of this value, whatever fees there are.
    pub(crate) fn bid(&self, leaf: LeafIndex, value: u128) -> BlockHeader {
        let mut offer = self.offer(leaf);
        offer.value = Amount::new(value).unwrap();
        self.sign(leaf, &offer)
    }

    pub(crate) fn init(&self, round: u32, header: &BlockHeader) -> SignedProposal {
        let proposal = Proposal {
            height: header.core.height,
            round: Round(round),
            pol_round: None,
            block: header.id(),
        };
        let proposer = *genesis()
            .validators
            .proposer(header.core.height, Round(round));
        proposal.sign(ProposalKind::Init, &genesis().domain(), &key_of(&proposer))
    }

    /// The block that this node would propose itself.
    pub(crate) fn propose(&self) -> Judged {
        let author = self.proposer(0);
        self.rig
            .executor
            .propose(self.next(), Round(0), author)
            .unwrap()
    }

    /// Judges and commits a block; `reporters` validators report this in their precommits.
    pub(crate) fn decide(&mut self, block: Block, reporters: usize, report: Option<Report>) {
        self.rig.now_ms += 200;
        let verdict = self.rig.executor.judge(&block).unwrap();
        let validity::Verdict::Valid(effects) = verdict else {
            panic!("{verdict:?}");
        };
        let certificate = certify(&block, self.rig.now_ms, reporters, report);
        let judged = Judged {
            block: block.into(),
            effects: Arc::new(*effects),
        };
        let executor = &self.rig.executor;
        executor
            .commit(judged, certificate, self.rig.now_ms)
            .unwrap();
    }

    /// Decides what this node builds.
    pub(crate) fn decide_own(&mut self, reporters: usize, report: Option<Report>) {
        let block = (*self.propose().block).clone();
        self.decide(block, reporters, report);
    }
}

fn certify(
    block: &Block,
    time_ms: u64,
    reporters: usize,
    report: Option<Report>,
) -> ExtendedCertificate {
    let domain = genesis().domain();
    let (height, round, id): (Height, Round, BlockId) =
        (block.header.core.height, Round(0), block.id());
    let vote = Vote {
        height,
        round,
        step: Step::Precommit,
        block: Some(id),
    };
    let set = genesis().validators;
    let signatures = set.validators().iter().enumerate().map(|(place, seat)| {
        let key = key_of(&seat.address);
        let extension = Extension {
            time_ms,
            reports: report.filter(|_| place < reporters).into_iter().collect(),
            ..Extension::default()
        };
        ExtendedSignature {
            validator: seat.address,
            signature: key.sign(&vote.digest(&domain)),
            extension_signature: key.sign(&extension.digest(&domain, height, round, id)),
            extension,
        }
    });
    ExtendedCertificate {
        height,
        round,
        block: id,
        signatures: signatures.collect(),
    }
}
