//! Golden batches: real proofs in files, and everything that can be done to such a file.
//!
//! `tests/fixtures/golden` holds two batches of one chain and its genesis. They pin the bytes of a
//! bundle, of proofs and of key descriptions, and the words and states that the transition gives. A
//! change of any of them fails here; `make golden` (or `UPDATE_GOLDEN=1 cargo test --release
//! --workspace --locked --test golden_bundle golden`) proves the batches anew, which takes two
//! minutes, and leaves files that are still right alone.
//!
//! [`forgeries`] changes what a bundle says, [`bytes`] changes the file, [`binary`] asks the program.

#[path = "golden_bundle/binary.rs"]
mod binary;
#[path = "golden_bundle/bytes.rs"]
mod bytes;
#[path = "golden_bundle/chain.rs"]
mod chain;
#[path = "golden_bundle/forgeries.rs"]
mod forgeries;

use api::jobs::JobKind;
use api::ledger::ValidatorJson;
use api::operation::PointJson;
use api::text::{AddressText, AmountText};
use chain::Traced;
use protocol::account::Leaf;
use protocol::codec::to_bytes;
use protocol::genesis::Genesis;
use protocol::params::CIRCUIT_VERSION;
use prover::Prover;
use prover::srs::StringKind;
use prover::worker::JobProver;
use serde_json::{Value, json};
use tests::golden::{REMEDY, bundle, bundle_bytes, bundle_path, genesis_path, statements};
use tests::halo2::{RealCircuit, cache};
use verifier::bundle::{Bundle, BundleError, Trust, VerifiedBatch};
use verifier::golden::{self, CircuitName, GoldenKey};

/// Numbers of the golden batches.
const BATCHES: [u64; 2] = [1, 2];

/// What an auditor with the golden genesis trusts.
fn trust(genesis: &Genesis) -> Trust<'_> {
    Trust {
        keys: golden::keys(),
        genesis: Some(genesis),
        development: true,
    }
}

fn judge(bytes: &[u8], trust: &Trust<'_>) -> Result<VerifiedBatch, BundleError> {
    Bundle::decode(bytes).and_then(|bundle| bundle.verify(trust))
}

/// The same value as `quorate genesis` writes, for `--genesis`.
fn genesis_text(genesis: &Genesis) -> String {
    let leaf = |leaf: &Leaf| -> Value {
        json!({
            "key": PointJson::from(leaf.key),
            "l1_owner": AddressText::from(leaf.l1_owner),
            "token": leaf.token.0,
            "balance": AmountText::from(leaf.balance),
            "nonce": leaf.nonce.0,
            "lock_until": leaf.lock_until.0,
        })
    };
    let fee_leaves: Vec<u32> = genesis.fee_leaves.iter().map(|index| index.0).collect();
    let value = json!({
        "chain_id": genesis.chain_id,
        "rollup": AddressText::from(genesis.rollup),
        "reference_string": genesis.reference_string,
        "validators": genesis.validators.validators().iter().map(ValidatorJson::from).collect::<Vec<_>>(),
        "fee_leaves": fee_leaves,
        "timestamp_ms": genesis.timestamp_ms,
        "leaves": genesis.leaves.iter().map(leaf).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&value).expect("strings and numbers only");
    text.push('\n');
    text
}

/// Why a file is not the golden bundle of a batch under these keys.
fn objection(
    batch: &Traced,
    genesis: &Genesis,
    bytes: &[u8],
    keys: &[GoldenKey],
) -> Result<(), String> {
    let bundle = Bundle::decode(bytes).map_err(|error| error.to_string())?;
    if !batch.is_of(genesis, &bundle) {
        return Err("words or states are not those of the golden blocks".to_owned());
    }
    let trust = Trust {
        keys,
        ..trust(genesis)
    };
    let verdict = bundle.verify(&trust);
    verdict.map(drop).map_err(|error| error.to_string())
}

/// Compares the files with the golden blocks; with `UPDATE_GOLDEN` makes what differs anew.
#[test]
fn golden_bundles_hold_the_golden_blocks() {
    let genesis = chain::genesis();
    let batches = chain::batches();
    let words = &bundle_words(&batches[0]);
    assert!(words.iter().all(|count| *count > 0), "batch 1: {words:?}");
    assert!(batches[0].chunks.len() >= 2 && !batches[1].chunks.is_empty());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        update(&genesis, &batches);
        return;
    }
    let text = std::fs::read_to_string(genesis_path()).unwrap_or_default();
    assert!(text == genesis_text(&genesis), "genesis differs; {REMEDY}");
    for (number, batch) in BATCHES.into_iter().zip(&batches) {
        let verdict = objection(batch, &genesis, &bundle_bytes(number), golden::keys());
        assert_eq!(verdict, Ok(()), "golden batch {number}: {REMEDY}");
    }
}

/// Words of each sequence.
fn bundle_words(batch: &Traced) -> [usize; 3] {
    let words = batch.words();
    [&words.ops, &words.withdrawals, &words.inbox].map(Vec::len)
}

/// The list of accepted keys in the program may be as old as the files: fresh keys decide.
fn update(genesis: &Genesis, batches: &[Traced]) {
    let kind = StringKind::InsecureDevelopment;
    let prover = Prover::load(&cache(), kind).expect("keys under the development string");
    let circuits = [CircuitName::Chunk, CircuitName::Data];
    let keys = circuits.map(|circuit| GoldenKey {
        circuit,
        version: CIRCUIT_VERSION,
        reference_string: kind.to_string(),
        is_insecure: true,
        digest: prover.description(circuit).digest(),
    });
    let write = |path: std::path::PathBuf, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, bytes).expect("the golden file is writable");
    };
    write(genesis_path(), genesis_text(genesis).as_bytes());
    for (number, batch) in BATCHES.into_iter().zip(batches) {
        let old = std::fs::read(bundle_path(number)).unwrap_or_default();
        if objection(batch, genesis, &old, &keys).is_ok() {
            continue;
        }
        let prove = |job, witness: &[u8]| {
            let proof = prover.prove(job, witness, &|_| {});
            proof.expect("a proof of a valid batch")
        };
        let chunks = batch.chunks.iter();
        let chunks = chunks.map(|chunk| prove(JobKind::Chunk, &to_bytes(chunk)));
        let chunks = chunks.collect();
        let data = prove(JobKind::Data, &to_bytes(&batch.data));
        let descriptions = circuits.map(|circuit| prover.description(circuit).encode());
        let bytes = batch.bundle(genesis, chunks, data, descriptions).encode();
        assert_eq!(objection(batch, genesis, &bytes, &keys), Ok(()));
        write(bundle_path(number), &bytes);
    }
}

/// Each proof by itself, before both verifiers, under keys made from the circuits and not under
/// those of the file.
#[test]
fn both_verifiers_accept_every_proof() {
    let kind = StringKind::InsecureDevelopment.to_string();
    let circuits = [CircuitName::Chunk, CircuitName::Data];
    let circuits = circuits.map(|kind| (kind, RealCircuit::load(kind)));
    let mut accepted = [0; 2];
    for number in BATCHES {
        for statement in statements(&bundle(number), &kind) {
            let of_kind = circuits
                .iter()
                .position(|(kind, _)| *kind == statement.circuit);
            let place = of_kind.expect("a circuit of each kind");
            let (circuit, instances) = (&circuits[place].1, &statement.instances);
            let ours = circuit.our_verdict(instances, &statement.proof);
            assert_eq!(ours, Ok(()), "batch {number}; {REMEDY}");
            assert!(
                circuit.halo2_verdict(instances, &statement.proof),
                "batch {number}"
            );
            accepted[place] += 1;
        }
    }
    assert!(accepted[0] >= 3 && accepted[1] == 2, "{accepted:?}");
}

/// What an auditor is told about the golden batches, in the three degrees of trust.
#[test]
fn the_verdict_says_what_is_proven() {
    let genesis = chain::genesis();
    for number in BATCHES {
        let (bytes, bundle) = (bundle_bytes(number), bundle(number));
        let batch = judge(&bytes, &trust(&genesis)).expect("the golden bundle");
        assert!(batch.is_insecure);
        assert_eq!(batch.is_anchored_in_genesis, number == 1);
        assert_eq!(
            (batch.batch_number, batch.start),
            (bundle.batch_number, bundle.start)
        );
        assert_eq!(batch.end, bundle.chunks.last().expect("a chunk").after);
        assert_eq!(batch.published_bytes, bundle.words.len_bytes());
        let without_genesis = Trust {
            genesis: None,
            ..trust(&genesis)
        };
        let batch = judge(&bytes, &without_genesis).expect("the golden bundle");
        assert!(!batch.is_anchored_in_genesis);
        let strict = Trust {
            development: false,
            ..trust(&genesis)
        };
        let refused = judge(&bytes, &strict).expect_err("it is insecure");
        assert!(matches!(refused, BundleError::Insecure(_)));
    }
    let [first, second] = BATCHES.map(bundle);
    let end = first.chunks.last().expect("a chunk").after;
    assert_eq!(
        (end.root, end.height),
        (second.start.root, second.start.height)
    );
}
