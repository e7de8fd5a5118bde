//! What the poster posts: batches of random words, each on top of the one before, and the disk of its node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ark_bn254::Fr;
use protocol::checkpoint::BatchCommitment;
use protocol::handover::Handover;
use protocol::number::{BatchNumber, Height};
use protocol::public_inputs::PublicInputs;
use protocol::threaded::Threaded;
use protocol::validator::ValidatorSet;
use protocol::words::{Word, WordCounts, Words};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::l1_address;
use settlement::{
    BatchSource, BlockMark, CertifiedBatch, FinalProof, PostedFlights, SettledBatch, SourceError,
};

use super::BATCHES;
use crate::batch::prover;
use crate::model::rollup::proof_of;
use crate::stage::Stage;

/// What a node has on disk.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) flights: PostedFlights,
    /// What became final, and up to where.
    pub(super) settled: BTreeMap<u64, SettledBatch>,
    pub(super) mark: Option<BlockMark>,
    pub(super) mode: u8,
}

/// The batches, and the disk.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) batches: Arc<Vec<(CertifiedBatch, FinalProof)>>,
    pub(super) disk: Arc<Mutex<Disk>>,
}

impl Source {
    fn batch(&self, number: u64) -> Option<&(CertifiedBatch, FinalProof)> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.batches.get(place)
    }
}

impl BatchSource for Source {
    fn certified(&self, batch: u64) -> Result<Option<CertifiedBatch>, SourceError> {
        Ok(self.batch(batch).map(|(certified, _)| certified.clone()))
    }

    fn final_proof(&self, batch: u64) -> Result<Option<FinalProof>, SourceError> {
        Ok(self.batch(batch).map(|(_, proof)| proof.clone()))
    }

    fn handover(&self, _: u64) -> Result<Option<(Handover, ValidatorSet)>, SourceError> {
        Ok(None)
    }

    fn save(&self, flights: &PostedFlights) -> Result<(), SourceError> {
        self.disk.lock().expect("no panic").flights = flights.clone();
        Ok(())
    }
}

/// Batches of random words, each on top of the one before.
pub(super) fn batches(stage: &Stage, rng: &mut ChaCha8Rng) -> Vec<(CertifiedBatch, FinalProof)> {
    let world = &stage.batch.world;
    let state = world.genesis.state();
    let mut start = Threaded::batch_start(state.root(), state.leaf_count(), Height(0), 0);
    let mut made = Vec::new();
    for number in 1..=BATCHES {
        let ops: Vec<Word> = (0..rng.gen_range(1..9))
            .map(|_| Word(std::array::from_fn(|_| rng.r#gen())))
            .collect();
        let end = Threaded {
            root: Fr::from(rng.r#gen::<u64>()),
            h: Fr::from(rng.r#gen::<u64>()),
            counts: WordCounts {
                ops: u64::try_from(ops.len()).expect("few"),
                signed_operations: 2,
                ..WordCounts::default()
            },
            height: Height(10 * number),
            ..start
        };
        let words = Words {
            ops,
            ..Words::default()
        };
        let (ends, number) = ((&start, &end), BatchNumber(number));
        let header = &stage.batch.block.header;
        let mut commitment = BatchCommitment::new(number, ends, &words, header, 1_700_000_000);
        commitment.last_height = end.height;
        let by = l1_address(prover());
        let inputs = PublicInputs::new(world.domain, number, ends, &words, by);
        let certified = CertifiedBatch {
            checkpoint: stage.batch.sign(&commitment, 3),
            words,
            set: world.genesis.validators.clone(),
        };
        let proof = FinalProof {
            prover: prover(),
            proof: proof_of(&inputs, prover()).to_vec().into(),
        };
        made.push((certified, proof));
        start = Threaded::batch_start(end.root, end.leaf_count, end.height, 0);
    }
    made
}
