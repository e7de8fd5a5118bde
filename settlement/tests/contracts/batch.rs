//! One batch, made by `protocol` before anything is deployed: its domain names the Rollup that will be.
//!
//! It consumes a deposit and a forced exit, and holds a withdrawal and a transfer that are signed, so it has two withdrawals.
//! `tests/tests/final_proof.rs` reads this file too: it makes the real proof of this batch.

use alloy_primitives::{Address, U256};
use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::block::Block;
use protocol::checkpoint::{BatchCommitment, Checkpoint, SignedCommitment};
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Amount, BatchNumber, Height, LeafIndex, Nonce, TokenId, floor_amount};
use protocol::public_inputs::PublicInputs;
use protocol::testing::{
    Draft, Drafter, TracedBatch, World, amount, leaf, secret_key, trace_batch,
};
use protocol::threaded::Threaded;
use protocol::transaction::{Action, Transaction};
use protocol::witness::{ChunkWitness, FinishedBatch};
use settlement::TransactionSigner;
use settlement::bindings::{Claim, claim, l1_address};

/// A thousandth of an ether, in wei.
const MILLI_ETHER: u128 = 1_000_000_000_000_000;

/// The string under which the real proof is made, so that the domain is the same.
const STRING: &str = "insecure-development";

/// A development account of the base layer.
pub(crate) fn account(index: usize) -> TransactionSigner {
    TransactionSigner::development(index).expect("there are ten accounts")
}

/// Who is paid for the proof.
pub(crate) fn prover() -> Address {
    Address::repeat_byte(0x77)
}

/// The batch with everything around it.
pub(crate) struct Batch {
    /// The chain after the batch.
    pub(crate) world: World,
    /// The batch's one block.
    pub(crate) block: Block,
    /// What must be enqueued, in order; `owner` sends it.
    pub(crate) items: Vec<InboxRequest>,
    /// What its proofs are made of.
    pub(crate) chunks: Vec<ChunkWitness>,
    /// Ends and words.
    pub(crate) finished: FinishedBatch,
    /// What is signed.
    pub(crate) commitment: BatchCommitment,
    /// What a proof by [`prover`] states.
    pub(crate) inputs: PublicInputs,
}

impl Batch {
    pub(crate) fn new(rollup: Address) -> Self {
        Self::among(rollup, &[], &[])
    }

    /// The same batch on a chain with more leaves, consuming more items after the two.
    pub(crate) fn among(rollup: Address, others: &[Leaf], more: &[InboxRequest]) -> Self {
        let mut leaves: Vec<_> = (0..4).map(|n| leaf(n, 0, 5_000 * MILLI_ETHER)).collect();
        leaves[3].l1_owner = l1_address(account(2).address());
        leaves.extend_from_slice(others);
        let mut world = World::new(leaves, 4);
        world.genesis.rollup = l1_address(rollup);
        world.genesis.reference_string = STRING.to_owned();
        world.domain = world.genesis.domain();
        world.tip = world.genesis.tip();

        let items = [&[deposit(), forced_exit()], more].concat();
        let state = world.state.clone();
        let start = Threaded::batch_start(state.root(), state.leaf_count(), Height(0), 0);
        let drafter = Drafter {
            view: &state,
            threaded: &start,
            domain: &world.domain,
            keyring: &world.keyring,
        };
        let withdraw = Action::Withdraw {
            amount: amount(1_234 * MILLI_ETHER),
        };
        let transfer = Action::Transfer {
            to: LeafIndex(0),
            amount: floor_amount(amount(10 * MILLI_ETHER)),
        };
        let entries = [(1, withdraw), (2, transfer)].map(|(from, action)| {
            drafter.entry(&Draft {
                transaction: Transaction {
                    from: LeafIndex(from),
                    nonce: Nonce(0),
                    valid_until: Height(100),
                    fee: Amount::ZERO,
                    action,
                },
                fee_leaf: 0,
            })
        });
        let consumed = items.iter().map(InboxRequest::to_item).collect();
        let block = world.plain_block(consumed, entries.into());
        world.apply(&block);
        let traced = trace_batch(
            world.domain,
            (state, Height(0), 0),
            std::slice::from_ref(&block),
        );
        let TracedBatch { chunks, finished } = traced.expect("the block is valid");
        let ends = (&finished.start, &finished.end);
        let number = BatchNumber(1);
        let commitment =
            BatchCommitment::new(number, ends, &finished.words, &block.header, 1_700_000_000);
        let by = l1_address(prover());
        let inputs = PublicInputs::new(world.domain, number, ends, &finished.words, by);
        Self {
            world,
            block,
            items,
            chunks,
            finished,
            commitment,
            inputs,
        }
    }

    /// This commitment, signed by the first `seats` validators.
    pub(crate) fn sign(&self, commitment: &BatchCommitment, seats: usize) -> Checkpoint {
        let keys = self.world.validators.iter().take(seats);
        let domain = &self.world.domain;
        let signed: Vec<SignedCommitment> = keys
            .map(|key| commitment.clone().sign(domain, key))
            .collect();
        Checkpoint::assemble(commitment.clone(), &signed)
    }

    pub(crate) fn claim(&self, index: u64) -> Claim {
        let words = &self.finished.words.withdrawals;
        claim(BatchNumber(1), index, words).expect("there are two")
    }

    /// Wei of all balances of genesis.
    pub(crate) fn genesis_wei(&self) -> U256 {
        let leaves = self.world.genesis.leaves.iter();
        let leaves = leaves.filter(|leaf| leaf.token == TokenId(0));
        leaves.map(|leaf| U256::from(leaf.balance.get())).sum()
    }
}

fn deposit() -> InboxRequest {
    let owner = l1_address(account(1).address());
    InboxRequest {
        kind: Some(InboxKind::Deposit),
        from: LeafIndex(0),
        to: LeafIndex(0),
        token: TokenId(0),
        amount: amount(2_500 * MILLI_ETHER),
        owner,
        l1_owner: owner,
        key: secret_key(17).public().into(),
    }
}

fn forced_exit() -> InboxRequest {
    InboxRequest {
        kind: Some(InboxKind::ForcedExit),
        from: LeafIndex(3),
        to: LeafIndex(0),
        token: TokenId(0),
        amount: Amount::ZERO,
        owner: l1_address(account(2).address()),
        l1_owner: L1Address::ZERO,
        key: LeafKey::NULL,
    }
}
