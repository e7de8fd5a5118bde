//! What the golden batches hold: the same blocks whenever they are made, and only the proofs anew.
//!
//! Batch 1 fills one chunk and starts a second, so that there is an order to break; batch 2 is a
//! single block. Blocks are random ones with inbox items, bids, groups and withdrawals.

use protocol::batch::pairs_of_block;
use protocol::chunk::ChunkSize;
use protocol::genesis::Genesis;
use protocol::number::BatchNumber;
use protocol::params::CIRCUIT_VERSION;
use protocol::public_inputs::data_challenge;
use protocol::testing::{BlockShape, World, generator};
use protocol::witness::{BatchTrace, ChunkWitness, DataWitness, FinishedBatch};
use protocol::words::Words;
use prover::srs::StringKind;
use rand::rngs::StdRng;
use verifier::bundle::{Bundle, ChunkProof};

/// Where batches are cut: a verifier does not care, and two chunks of the protocol's size would be a long chain.
const CHUNK: ChunkSize = ChunkSize {
    pairs: 98,
    ..ChunkSize::PROTOCOL
};
/// Where the chain's leaves and blocks come from.
const SEED: u64 = 20;
/// Leaves at genesis.
const LEAVES: usize = 24;
/// What a block tries to hold.
const SHAPE: BlockShape = BlockShape {
    inbox: 2,
    entries: 10,
    bid: true,
};

/// A batch that is executed and not proven.
pub(crate) struct Traced {
    number: BatchNumber,
    /// Witnesses of its chunks.
    pub(crate) chunks: Vec<ChunkWitness>,
    /// Witness of its data.
    pub(crate) data: DataWitness,
    finished: FinishedBatch,
}

/// The chain before its first block.
fn world() -> World {
    let mut world = World::random(&mut generator(SEED), LEAVES);
    world.genesis.reference_string = StringKind::InsecureDevelopment.to_string();
    world.domain = world.genesis.domain();
    world.tip = world.genesis.tip();
    world
}

/// What the chain starts from.
pub(crate) fn genesis() -> Genesis {
    world().genesis
}

/// Executes both batches.
pub(crate) fn batches() -> [Traced; 2] {
    let (mut world, mut rng) = (world(), generator(SEED + 1));
    [(1, 1), (2, 0)].map(|(number, full_chunks)| {
        let number = BatchNumber(number);
        trace(&mut world, &mut rng, number, full_chunks)
    })
}

/// Blocks until so many chunks are full, and one block more.
fn trace(world: &mut World, rng: &mut StdRng, number: BatchNumber, full_chunks: usize) -> Traced {
    let domain = world.domain;
    let (state, tip) = (world.state.clone(), world.tip);
    let mut trace = BatchTrace::with_chunks(CHUNK, domain, state, tip.height, tip.inbox_count);
    let mut chunks = Vec::new();
    loop {
        let is_last = chunks.len() >= full_chunks;
        let block = world.random_block(rng, &SHAPE);
        let published = (trace.threaded().height, trace.threaded().fee_leaves);
        for pair in pairs_of_block(&block, published, &domain) {
            chunks.extend(trace.push(&pair).expect("the block is valid"));
        }
        world.apply(&block);
        if is_last {
            break;
        }
    }
    let mut finished = trace.finish();
    chunks.extend(finished.chunk.take());
    let (end, words) = (&finished.end, &finished.words);
    let z = data_challenge(&domain, number, &end.h, &end.counts, words);
    let data = DataWitness {
        groups: finished.groups.clone(),
        z,
    };
    Traced {
        number,
        chunks,
        data,
        finished,
    }
}

impl Traced {
    /// What it publishes.
    pub(crate) fn words(&self) -> &Words {
        &self.finished.words
    }

    /// The bundle of this batch with these proofs and keys.
    pub(crate) fn bundle(
        &self,
        genesis: &Genesis,
        chunk_proofs: Vec<Vec<u8>>,
        data_proof: Vec<u8>,
        [chunk_key, data_key]: [Vec<u8>; 2],
    ) -> Bundle {
        let chunks = self.chunks.iter().zip(chunk_proofs);
        Bundle {
            chain_id: genesis.chain_id,
            rollup: genesis.rollup,
            circuit_version: CIRCUIT_VERSION,
            batch_number: self.number,
            start: self.finished.start,
            words: self.finished.words.clone(),
            chunks: chunks
                .map(|(chunk, proof)| ChunkProof {
                    after: chunk.after,
                    proof,
                })
                .collect(),
            data_proof,
            chunk_key,
            data_key,
        }
    }

    /// Whether a bundle is of this batch, whatever its proofs and keys are.
    pub(crate) fn is_of(&self, genesis: &Genesis, bundle: &Bundle) -> bool {
        let proofs = bundle.chunks.iter().map(|chunk| chunk.proof.clone());
        let keys = [bundle.chunk_key.clone(), bundle.data_key.clone()];
        let own = self.bundle(genesis, proofs.collect(), bundle.data_proof.clone(), keys);
        bundle.chunks.len() == self.chunks.len() && own == *bundle
    }
}
