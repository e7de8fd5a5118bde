//! A small economy that grows by random blocks, and batches traced from blocks.

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use rand::{Rng, seq::SliceRandom};

use super::{Drafter, Keyring, l1_owner, leaf, random_leaf_key};
use crate::{
    account::{L1Address, Leaf},
    batch::{Usage, pairs_of_block},
    block::{
        Block, BlockCore, BlockEffects, BlockExecution, BlockHeader, BlockId, Entry, L1Origin,
        Payload, Tip, apply_block,
    },
    certificate::{ExtendedCertificate, ExtendedSignature},
    chunk::ChunkSize,
    genesis::Genesis,
    history::History,
    inbox::InboxItem,
    number::{Amount, Epoch, Height, LeafIndex, Round, TokenId},
    params::EPOCH_HEIGHTS,
    state::State,
    threaded::FeeLeaves,
    transaction::{Domain, OperationKind, SignedBid},
    transition::{InvalidOperation, Operation},
    validator::{Validator, ValidatorKey, ValidatorSet},
    validity::{BaseLayerView, DecidedPrefix},
    vote::{Extension, Step, Vote},
    witness::{BatchTrace, ChunkWitness, FinishedBatch},
};

/// How many operations a random block tries to hold.
#[derive(Clone, Copy, Debug)]
pub struct BlockShape {
    /// Inbox items.
    pub inbox: usize,
    /// Single signed operations and groups.
    pub entries: usize,
    /// Whether to pay a bid, if there is collateral.
    pub bid: bool,
}

impl BlockShape {
    /// Any shape of up to `most` items and entries; one in six is empty.
    pub fn random(rng: &mut impl Rng, most: usize) -> Self {
        if rng.gen_range(0..6) == 0 {
            return Self {
                inbox: 0,
                entries: 0,
                bid: false,
            };
        }
        Self {
            inbox: rng.gen_range(0..=most / 2),
            entries: rng.gen_range(0..=most),
            bid: rng.gen_range(0..3) == 0,
        }
    }
}

/// Kinds of a signed transaction, plain transfers preferred.
const KINDS: [OperationKind; 7] = [
    OperationKind::Transfer,
    OperationKind::Transfer,
    OperationKind::Transfer,
    OperationKind::TransferToNew,
    OperationKind::Withdraw,
    OperationKind::ChangeKey,
    OperationKind::Lock,
];

/// A chain under test: where it started, where it stands, and all keys.
#[derive(Clone, Debug)]
pub struct World {
    /// Keys of nearly all leaves.
    pub keyring: Keyring,
    /// Keys of the validators, in the order of their addresses; one weight each.
    pub validators: Vec<ValidatorKey>,
    /// Key of a builder.
    pub builder: ValidatorKey,
    /// Where it started.
    pub genesis: Genesis,
    /// Domain of its messages.
    pub domain: Domain,
    /// State after the last block.
    pub state: State,
    /// Where execution stands.
    pub tip: Tip,
    /// The last blocks.
    pub history: History,
    /// Certificate of the last block, which the next one embeds.
    pub certificate: Option<ExtendedCertificate>,
}

impl World {
    /// A development genesis with these leaves, fees to leaf 0, and keys 0 to `keys - 1`.
    #[must_use]
    pub fn new(leaves: Vec<Leaf>, keys: usize) -> Self {
        let mut validators: Vec<ValidatorKey> = (1..=4)
            .filter_map(|seed| ValidatorKey::from_bytes(&[seed; 32]))
            .collect();
        validators.sort_by_key(ValidatorKey::address);
        let seats = validators.iter().map(|key| Validator {
            address: key.address(),
            weight: 1,
        });
        let genesis = Genesis {
            chain_id: 31_337,
            rollup: L1Address([0x52; 20]),
            reference_string: "development".to_owned(),
            validators: ValidatorSet::new(seats.collect()).expect("four validators"),
            fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one fee leaf"),
            timestamp_ms: 1_700_000_000_000,
            leaves,
        };
        Self {
            keyring: Keyring::new(keys),
            validators,
            builder: ValidatorKey::from_bytes(&[0xbb; 32]).expect("a key"),
            history: History::default(),
            certificate: None,
            domain: genesis.domain(),
            state: genesis.state(),
            tip: genesis.tip(),
            genesis,
        }
    }

    /// `leaf_count` random leaves of three tokens: leaves 0 to 3 collect fees of tokens 0, 1, 2, 0, leaf 4 is
    /// collateral of token 0; some leaves have no key, some one that cannot sign.
    pub fn random(rng: &mut impl Rng, leaf_count: usize) -> Self {
        let keys = leaf_count.clamp(1, 32);
        let keyring = Keyring::new(keys);
        let leaves = (0_u64..)
            .take(leaf_count)
            .map(|place| {
                let token = match place {
                    0..3 => u32::try_from(place).unwrap_or(0),
                    3..5 => 0,
                    _ => rng.gen_range(0..3),
                };
                let balance = rng.r#gen::<u128>() >> rng.gen_range(20..100);
                let mut drawn = leaf(place, token, balance);
                drawn.l1_owner = l1_owner(rng.gen_range(0..32));
                if place >= 5 {
                    drawn.key = random_leaf_key(rng, &keyring);
                }
                if place == 4 {
                    drawn.balance = super::amount(1 << 100);
                    drawn.lock_until = Height(4 * EPOCH_HEIGHTS);
                }
                drawn
            })
            .collect();
        Self::new(leaves, keys)
    }

    /// What the next block is judged by.
    #[must_use]
    pub fn prefix<'a>(&'a self, base_layer: &'a dyn BaseLayerView) -> DecidedPrefix<'a> {
        DecidedPrefix {
            chain_id: self.genesis.chain_id,
            domain: &self.domain,
            state: &self.state,
            tip: &self.tip,
            set: &self.genesis.validators,
            next_set_hash: self.genesis.validators.hash(),
            history: &self.history,
            base_layer,
        }
    }

    /// The next block with this payload and no bid, whatever its validity.
    #[must_use]
    pub fn block(&self, payload: Payload, fee_leaves: FeeLeaves) -> Block {
        let height = Height(self.tip.height.0.saturating_add(1));
        let certificate = self.certificate.clone();
        let median = certificate
            .as_ref()
            .and_then(|certificate| certificate.median_time_ms(&self.genesis.validators));
        let core = BlockCore {
            chain_id: self.genesis.chain_id,
            height,
            epoch: Epoch::of(height),
            next_set_hash: self.genesis.validators.hash(),
            birth_round: Round(0),
            author: *self.genesis.validators.proposer(height, Round(0)),
            parent: self.tip.id,
            payload_root: [0; 32],
            fee_leaves,
            certificate_hash: certificate
                .as_ref()
                .map_or([0; 32], ExtendedCertificate::hash),
            l1_origin: L1Origin::default(),
            timestamp_ms: median
                .unwrap_or(0)
                .max(self.tip.timestamp_ms.saturating_add(1)),
            state_root_before: self.state.root(),
            usage: Usage::default(),
        };
        let header = BlockHeader {
            core,
            bid: None,
            certificate,
            restart: None,
        };
        let mut block = Block { header, payload };
        self.seal(&mut block);
        block
    }

    /// Makes payload root, resources and the bid, if there is one, fit the rest of the block.
    pub fn seal(&self, block: &mut Block) {
        block.header.core.payload_root = block.payload.root();
        block.header.core.usage = Usage::of(&block.operations(&self.domain));
        if let Some(signed) = block.header.bid {
            let execution =
                BlockExecution::new(&self.state, &self.tip, &block.header.core.fee_leaves, true);
            let (core, bid) = (&block.header.core, signed.bid);
            let bid =
                self.drafter(&execution)
                    .bid(bid.leaf, core.height, bid.value, core.bid_hash());
            block.header.bid = Some(SignedBid::new(bid, &self.domain, &self.builder));
        }
    }

    /// Puts a bid of collateral `leaf` for this very block into the header, whatever its validity.
    pub fn seal_bid(&self, block: &mut Block, leaf: LeafIndex, value: Amount) {
        let execution =
            BlockExecution::new(&self.state, &self.tip, &block.header.core.fee_leaves, true);
        let bid = self
            .drafter(&execution)
            .bid(leaf, block.header.core.height, value, Fr::ZERO);
        block.header.bid = Some(SignedBid::new(bid, &self.domain, &self.builder));
        self.seal(block);
    }

    /// A certificate of this block by these validators (seat and extension).
    #[must_use]
    pub fn certify(
        &self,
        (height, id): (Height, BlockId),
        signers: &[(usize, Extension)],
    ) -> ExtendedCertificate {
        let round = Round(0);
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(id),
        };
        let signatures = signers.iter().filter_map(|(seat, extension)| {
            let key = self.validators.get(*seat)?;
            let digest = extension.digest(&self.domain, height, round, id);
            Some(ExtendedSignature {
                validator: key.address(),
                signature: key.sign(&vote.digest(&self.domain)),
                extension: extension.clone(),
                extension_signature: key.sign(&digest),
            })
        });
        ExtendedCertificate {
            height,
            round,
            block: id,
            signatures: signatures.collect(),
        }
    }

    /// The next block with these operations, fees to the genesis' leaves.
    #[must_use]
    pub fn plain_block(&self, inbox: Vec<InboxItem>, entries: Vec<Entry>) -> Block {
        let payload = Payload {
            inbox,
            entries,
            excuses: Vec::new(),
        };
        self.block(payload, self.genesis.fee_leaves)
    }

    /// A valid next block: inbox items of every sort, a bid, signed operations of every kind, groups.
    pub fn random_block(&self, rng: &mut impl Rng, shape: &BlockShape) -> Block {
        let fee_leaves = self.random_fee_leaves(rng);
        let mut execution = BlockExecution::new(&self.state, &self.tip, &fee_leaves, shape.bid);
        let mut payload = Payload::default();
        let mut bid = None;
        if shape.bid {
            bid = self.drafter(&execution).payable_bid(rng);
            if bid.is_none() {
                execution = BlockExecution::new(&self.state, &self.tip, &fee_leaves, false);
            }
        }
        for _ in 0..shape.inbox {
            let item = self.drafter(&execution).item(rng);
            execution
                .push(&self.domain, &Operation::Inbox(item))
                .expect("inbox items never fail in their place");
            payload.inbox.push(item);
        }
        if let Some(bid) = bid {
            execution
                .push(&self.domain, &Operation::BidPay(bid))
                .expect("locked collateral covers the bid");
        }
        for _ in 0..shape.entries {
            let entry = self.random_entry(rng, &execution);
            if let Some(entry) = entry
                && execution.push_entry(&self.domain, &entry).is_ok()
            {
                payload.entries.push(entry);
            }
        }
        let mut block = self.block(payload, fee_leaves);
        if let Some(bid) = bid {
            block.header.bid = Some(SignedBid::new(bid, &self.domain, &self.builder));
            self.seal(&mut block);
        }
        block
    }

    fn drafter<'a>(&'a self, execution: &'a BlockExecution<'a>) -> Drafter<'a, BlockExecution<'a>> {
        Drafter {
            view: execution,
            threaded: &execution.threaded,
            domain: &self.domain,
            keyring: &self.keyring,
        }
    }

    fn random_entry(&self, rng: &mut impl Rng, execution: &BlockExecution<'_>) -> Option<Entry> {
        let drafter = self.drafter(execution);
        match rng.gen_range(0..12) {
            0 => {
                let count = *[2, 3, 16].choose(rng).unwrap_or(&2);
                let drafts = drafter.sequence(rng, count, &KINDS);
                Some(drafter.group(&drafts))
            }
            1 => drafter
                .burnable_bid(rng)
                .map(|bid| Entry::BidBurn(SignedBid::new(bid, &self.domain, &self.builder))),
            _ => {
                let kind = *KINDS.choose(rng).unwrap_or(&OperationKind::Transfer);
                let draft = drafter.transaction(rng, kind)?;
                Some(drafter.entry(&draft))
            }
        }
    }

    fn random_fee_leaves(&self, rng: &mut impl Rng) -> FeeLeaves {
        let all = [0, 1, 2, 3].map(LeafIndex);
        let named = match rng.gen_range(0..4) {
            0 => all.to_vec(),
            1 => vec![LeafIndex(0)],
            2 => {
                let count = u32::try_from(self.state.leaf_count()).unwrap_or(1);
                (0..rng.gen_range(1..=4))
                    .map(|_| LeafIndex(rng.gen_range(0..count.max(1))))
                    .collect()
            }
            _ => vec![LeafIndex(2), LeafIndex(1), LeafIndex(0)],
        };
        FeeLeaves::new(&named).unwrap_or(self.genesis.fee_leaves)
    }

    /// Applies a block and moves on; all validators certify it, with clocks 25 ms later.
    ///
    /// # Panics
    /// If the block is invalid.
    pub fn apply(&mut self, block: &Block) -> BlockEffects {
        let effects = apply_block(
            &self.state,
            &self.tip,
            &self.domain,
            self.genesis.chain_id,
            block,
        )
        .unwrap_or_else(|error| unreachable!("the caller applies valid blocks: {error}"));
        self.state.commit(&effects.changes);
        self.tip = effects.tip;
        self.history
            .push(block, &self.genesis.validators, &self.domain);
        let extension = Extension {
            time_ms: self.tip.timestamp_ms.saturating_add(25),
            ..Extension::default()
        };
        let signers: Vec<(usize, Extension)> = (0..self.validators.len())
            .map(|seat| (seat, extension.clone()))
            .collect();
        self.certificate = Some(self.certify((self.tip.height, self.tip.id), &signers));
        effects
    }

    /// Applies `blocks` random blocks and returns them.
    pub fn grow(&mut self, rng: &mut impl Rng, blocks: usize, most: usize) -> Vec<Block> {
        (0..blocks)
            .map(|_| {
                let shape = BlockShape::random(rng, most);
                let block = self.random_block(rng, &shape);
                self.apply(&block);
                block
            })
            .collect()
    }

    /// Leaves' tokens and what all leaves of each hold together.
    #[must_use]
    pub fn supply(&self) -> std::collections::BTreeMap<TokenId, u128> {
        let mut supply = std::collections::BTreeMap::new();
        for leaf in self.state.leaves() {
            *supply.entry(leaf.token).or_insert(0) += leaf.balance.get();
        }
        supply
    }
}

/// A batch cut into chunks.
pub struct TracedBatch {
    /// All chunks, the last partly filled one included.
    pub chunks: Vec<ChunkWitness>,
    /// Ends, words, groups and state.
    pub finished: FinishedBatch,
}

/// Traces blocks as one batch on the state before them; `height` is that of the last published block.
///
/// # Errors
/// The rule an operation breaks.
pub fn trace_batch(
    domain: Domain,
    before: (State, Height, u64),
    blocks: &[Block],
) -> Result<TracedBatch, InvalidOperation> {
    trace_in_chunks(ChunkSize::PROTOCOL, domain, before, blocks)
}

/// As [`trace_batch`], in chunks of this size.
///
/// # Errors
/// The rule an operation breaks.
pub fn trace_in_chunks(
    size: ChunkSize,
    domain: Domain,
    (state, height, inbox_count): (State, Height, u64),
    blocks: &[Block],
) -> Result<TracedBatch, InvalidOperation> {
    let mut trace = BatchTrace::with_chunks(size, domain, state, height, inbox_count);
    let mut chunks = Vec::new();
    for block in blocks {
        let published = (trace.threaded().height, trace.threaded().fee_leaves);
        for pair in pairs_of_block(block, published, &domain) {
            chunks.extend(trace.push(&pair)?);
        }
    }
    let mut finished = trace.finish();
    chunks.extend(finished.chunk.take());
    Ok(TracedBatch { chunks, finished })
}
