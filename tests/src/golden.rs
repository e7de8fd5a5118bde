//! The golden batches: two consecutive batches of one small chain, proven for real, as `quorate
//! verify` reads them.
//!
//! `tests/tests/golden_bundle.rs` says what is in them and makes them anew (`make golden`). Nothing
//! here knows the size of a circuit.

use std::path::{Path, PathBuf};

use circuits::convert::to_circuit;
use halo2_proofs::halo2curves::bn256::Fr;
use protocol::params::params_hash;
use protocol::public_inputs::data_challenge;
use protocol::transaction::Domain;
use protocol::words::{WordCounts, evaluate};
use verifier::bundle::Bundle;
use verifier::golden::CircuitName;

/// What to do when a golden file is missing or old.
pub const REMEDY: &str = "if that is on purpose: make golden";

/// The file of a golden batch.
#[must_use]
pub fn bundle_path(number: u64) -> PathBuf {
    directory().join(format!("batch-{number}.bundle"))
}

/// The genesis of the golden chain, as `quorate verify --genesis` reads it.
#[must_use]
pub fn genesis_path() -> PathBuf {
    directory().join("genesis.json")
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden")
}

/// The bytes of a golden batch.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn bundle_bytes(number: u64) -> Vec<u8> {
    let path = bundle_path(number);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; {REMEDY}", path.display()))
}

/// A golden batch.
///
/// # Panics
/// If the file is not a bundle.
#[must_use]
pub fn bundle(number: u64) -> Bundle {
    let bundle = Bundle::decode(&bundle_bytes(number));
    bundle.unwrap_or_else(|error| panic!("golden batch {number}: {error}; {REMEDY}"))
}

/// One proof of a bundle and what it is said to show.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Which circuit.
    pub circuit: CircuitName,
    /// Public inputs, one column.
    pub instances: Vec<Vec<Fr>>,
    /// The bytes.
    pub proof: Vec<u8>,
}

/// The statements of a bundle, chunks in order, then the data. Written from the protocol's
/// definitions, not from the verifier's code.
///
/// # Panics
/// If the bundle has no chunks.
#[must_use]
pub fn statements(bundle: &Bundle, reference_string: &str) -> Vec<Statement> {
    let (chain, version) = (bundle.chain_id, bundle.circuit_version);
    let domain = Domain::new(chain, bundle.rollup, params_hash(reference_string), version);
    let statement = |circuit, inputs: &[protocol::Fr], proof: &[u8]| Statement {
        circuit,
        instances: vec![inputs.iter().copied().map(to_circuit).collect()],
        proof: proof.to_vec(),
    };
    let mut before = &bundle.start;
    let mut statements = Vec::new();
    for chunk in &bundle.chunks {
        let inputs = [domain.0, before.digest(), chunk.after.digest()];
        statements.push(statement(CircuitName::Chunk, &inputs, &chunk.proof));
        before = &chunk.after;
    }
    let (words, end) = (&bundle.words, before);
    let z = data_challenge(&domain, bundle.batch_number, &end.h, &end.counts, words);
    let counts = WordCounts {
        signed_operations: 0,
        ..end.counts
    };
    let inputs = [
        end.h,
        z,
        evaluate(&words.ops, &z),
        evaluate(&words.withdrawals, &z),
        evaluate(&words.inbox, &z),
        counts.to_field(),
    ];
    statements.push(statement(CircuitName::Data, &inputs, &bundle.data_proof));
    statements
}
