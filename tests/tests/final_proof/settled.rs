//! The batch that the tests of `settlement` settle, proven for real. Its content is theirs; only proofs are made here.

#[path = "../../../settlement/tests/contracts/batch.rs"]
#[expect(
    dead_code,
    reason = "what it takes to commit the batch is for the tests of settlement"
)]
mod batch;

use api::jobs::JobKind;
use circuits::aggregation::{ACCUMULATOR_LIMBS, BatchEnds, InnerProof};
use circuits::convert::to_circuit;
use halo2_proofs::halo2curves::bn256::Fr;
use protocol::account::L1Address;
use protocol::codec::to_bytes;
use protocol::number::BatchNumber;
use protocol::public_inputs::{PublicInputs, data_challenge};
use protocol::witness::DataWitness;
use prover::Prover;
use prover::aggregate::{BatchProofs, FinalProof};
use prover::progress::ignore_progress;
use prover::worker::JobProver;
use settlement::bindings::l1_address;
use settlement::deploy::Deployment;

/// The golden file, as the contract takes it: limbs in big-endian words, then the proof.
pub(crate) fn path() -> std::path::PathBuf {
    super::fixture("settled.final")
}

fn batch() -> batch::Batch {
    batch::Batch::new(Deployment::foretold(batch::account(0).address(), 0).rollup)
}

/// What the proof must state.
pub(crate) fn public_inputs() -> PublicInputs {
    batch().inputs
}

/// The golden proof; an empty one if there is no file.
pub(crate) fn golden_proof() -> FinalProof {
    let bytes = std::fs::read(path()).unwrap_or_default();
    let (limbs, proof) = bytes.split_at(bytes.len().min(ACCUMULATOR_LIMBS * 32));
    let limbs = limbs.chunks_exact(32).map(|word| {
        let mut word: [u8; 32] = word.try_into().expect("a word");
        word.reverse();
        Fr::from_bytes(&word).expect("canonical")
    });
    let inputs = public_inputs().to_fields();
    FinalProof {
        instance: limbs.chain(inputs.into_iter().map(to_circuit)).collect(),
        proof: proof.to_vec(),
    }
}

/// The inner proofs of the batch, and who is rewarded.
pub(crate) fn proofs(prover: &Prover) -> (BatchProofs, L1Address) {
    let batch::Batch {
        world,
        chunks,
        finished,
        ..
    } = batch();
    let prove = |kind, witness: &[u8], inputs: &[protocol::Fr]| InnerProof {
        instance: inputs.iter().copied().map(to_circuit).collect(),
        proof: prover
            .prove(kind, witness, &ignore_progress)
            .expect("a valid batch"),
    };
    let (number, end) = (BatchNumber(1), finished.end);
    let z = data_challenge(&world.domain, number, &end.h, &end.counts, &finished.words);
    let data = DataWitness {
        groups: finished.groups,
        z,
    };
    let chunks = chunks.iter();
    let chunks =
        chunks.map(|chunk| prove(JobKind::Chunk, &to_bytes(chunk), &chunk.public_inputs()));
    let proofs = BatchProofs {
        chunks: chunks.collect(),
        data: prove(JobKind::Data, &to_bytes(&data), &data.public_inputs()),
        ends: BatchEnds {
            number,
            start: finished.start,
            end,
        },
    };
    (proofs, l1_address(batch::prover()))
}
