//! One full chunk of real transfers and its data, proven in a child process, so that the peak of memory is theirs
//! alone; and both verifiers on those two proofs.
//!
//! The chunk is proven once: a run takes a minute or more, and its time varies by less than that of short work.

mod chunk;
mod lanes;
mod peers;

use std::{
    io::Cursor,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use circuits::{convert::to_native, data::DataShape, instance, lanes::LaneShape};
use halo2_proofs::{
    plonk::{Circuit, verify_proof},
    poly::kzg::{
        commitment::KZGCommitmentScheme, multiopen::VerifierSHPLONK, strategy::SingleStrategy,
    },
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use prover::{
    export::key_description,
    keys::{KeyCache, Keys},
    progress::ignore_progress,
    proof::prove,
    srs::{ReferenceString, StringCache},
};
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use snark_verifier::{
    loader::native::NativeLoader,
    system::halo2::transcript::halo2::{ChallengeScalar, PoseidonTranscript},
};
use verifier::{KeyDescription, TranscriptKind, verify_plonk};

use crate::report::{Row, median_seconds};

pub(crate) use lanes::{CHILD as LANES_CHILD, child as lanes_child, rows as lane_rows};

/// The argument that makes this program the child.
pub(crate) const CHILD: &str = "prove";

/// What the child writes to its stdout.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proven {
    transfers: u32,
    chunk_seconds: f64,
    data_seconds: f64,
    peak_mb: f64,
    #[serde(with = "hex")]
    chunk_proof: Vec<u8>,
    #[serde(with = "hex")]
    data_proof: Vec<u8>,
}

/// A circuit's string and keys from the usual cache, made there if they are missing.
struct Ready {
    string: ReferenceString,
    keys: Keys,
}

impl Ready {
    fn load<C: Circuit<Fr>>(name: &str, k: u32, circuit: &C) -> Self {
        let directory = cache();
        let string = StringCache::new(&directory)
            .insecure_development(k)
            .expect("the development string");
        let keys = KeyCache::new(&directory)
            .load_or_generate(name, &string, circuit)
            .expect("keys");
        Self { string, keys }
    }

    fn chunk() -> Self {
        let shape = LaneShape::protocol();
        Self::load("chunk", shape.k(), &shape.circuit())
    }

    fn data() -> Self {
        let shape = DataShape::protocol();
        Self::load("data", shape.k(), &shape.circuit())
    }

    /// A proof and the seconds it took, witness to bytes.
    fn prove<C: Circuit<Fr>, const N: usize>(
        &self,
        fill: impl FnOnce() -> (C, [Fr; N]),
    ) -> (Vec<u8>, f64) {
        let start = Instant::now();
        let (circuit, inputs) = fill();
        let proof = prove(
            self.string.params(),
            &self.keys.pk,
            &circuit,
            &[&inputs],
            OsRng,
            &ignore_progress,
        )
        .expect("an honest witness");
        (proof, start.elapsed().as_secs_f64())
    }

    fn description(&self, inputs: usize) -> KeyDescription {
        let vk = self.keys.pk.get_vk();
        key_description(
            vk,
            self.string.params(),
            TranscriptKind::Poseidon,
            &[inputs],
        )
        .expect("our own key")
    }
}

/// As the command line has it: `QUORATE_CACHE`, else `~/.cache/quorate`.
fn cache() -> PathBuf {
    std::env::var_os("QUORATE_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/quorate"),
        PathBuf::from,
    )
}

/// The most memory this process has had, in MiB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux counts it");
    let kib: f64 = line
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a number");
    kib / 1_024.0
}

/// What the child does: proves and writes JSON to stdout.
///
/// # Errors
/// If nobody reads.
pub(crate) fn child() -> std::io::Result<()> {
    let work = chunk::full_batch();
    let (chunk_proof, chunk_seconds) = Ready::chunk().prove(|| {
        LaneShape::protocol()
            .prove(&work.chunk)
            .expect("a true witness")
    });
    let (data_proof, data_seconds) = Ready::data().prove(|| {
        DataShape::protocol()
            .prove(&work.data)
            .expect("a true witness")
    });
    let proven = Proven {
        transfers: work.transfers,
        chunk_seconds,
        data_seconds,
        peak_mb: peak_mb(),
        chunk_proof,
        data_proof,
    };
    serde_json::to_writer(std::io::stdout().lock(), &proven)?;
    Ok(())
}

/// Both proofs; made once for both groups.
fn proven() -> &'static Proven {
    static PROVEN: OnceLock<Proven> = OnceLock::new();
    PROVEN.get_or_init(|| {
        let program = std::env::current_exe().expect("a path to this program");
        let output = Command::new(program)
            .arg(CHILD)
            .stderr(Stdio::inherit())
            .output()
            .expect("this program runs");
        assert!(output.status.success(), "the proving child failed");
        serde_json::from_slice(&output.stdout).expect("the child's own JSON")
    })
}

/// Times and memory of proving.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let proven = proven();
    let each = proven.chunk_seconds * 1_000.0 / f64::from(proven.transfers);
    vec![
        Row::alone(
            "proving_full_chunk_one_run",
            "seconds",
            proven.chunk_seconds,
        ),
        Row::alone(
            "proving_transfers_in_the_chunk",
            "transfers",
            f64::from(proven.transfers),
        ),
        Row::alone("proving_per_transfer_one_run", "ms", each),
        Row::alone("proving_data_one_run", "seconds", proven.data_seconds),
        Row::alone("proving_peak_memory_both", "MiB", proven.peak_mb),
    ]
}

/// Our verifier beside halo2's on the same proofs.
#[must_use]
pub(crate) fn verify_rows() -> Vec<Row> {
    let (proven, work) = (proven(), chunk::full_batch());
    let (_, chunk_inputs) = LaneShape::protocol()
        .prove(&work.chunk)
        .expect("a true witness");
    let (_, data_inputs) = DataShape::protocol()
        .prove(&work.data)
        .expect("a true witness");
    let (chunk, data) = (Ready::chunk(), Ready::data());
    vec![
        verify_row(
            "verify_chunk_proof",
            &chunk,
            instance::chunk::LEN,
            &chunk_inputs,
            &proven.chunk_proof,
        ),
        verify_row(
            "verify_data_proof",
            &data,
            instance::data::LEN,
            &data_inputs,
            &proven.data_proof,
        ),
    ]
}

fn verify_row(name: &str, ready: &Ready, len: usize, inputs: &[Fr], proof: &[u8]) -> Row {
    let description = ready.description(len);
    let native = vec![inputs.iter().copied().map(to_native).collect::<Vec<_>>()];
    let ours = median_seconds(
        || (),
        |()| verify_plonk(&description, &native, proof).expect("an honest proof"),
    );
    // Deriving the constants of halo2's transcript takes longer than verifying: made once, outside what is timed.
    let mut transcript =
        PoseidonTranscript::<G1Affine, NativeLoader, _, 3, 2, 8, 57>::new::<0>(Cursor::new(vec![]));
    let params = ready.string.params();
    let peer = median_seconds(
        || (),
        |()| {
            transcript.new_stream(Cursor::new(proof.to_vec()));
            verify_proof::<
                KZGCommitmentScheme<Bn256>,
                VerifierSHPLONK<'_, Bn256>,
                ChallengeScalar<G1Affine>,
                _,
                _,
            >(
                params,
                ready.keys.pk.get_vk(),
                SingleStrategy::new(params),
                &[&[inputs]],
                &mut transcript,
            )
            .expect("an honest proof");
        },
    );
    Row::beside(
        name,
        "ms",
        ours * 1_000.0,
        peer * 1_000.0,
        "halo2-axiom 0.5.3",
    )
}
