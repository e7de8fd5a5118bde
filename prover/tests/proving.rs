//! Keys from the cache and proofs made with them: real proofs, verified by halo2.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Barrier, Mutex};

use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::{Circuit, keygen_vk};
use halo2curves::bn256::Fr;
use prover::keys::{FILES_PER_NAME_MAX, KeyCache, KeyError, KeyOrigin, Keys, circuit_digest};
use prover::progress::{Phase, Progress, ignore_progress};
use prover::proof::{ProofError, prove, verify};
use prover::sealed::{self, Content, Lock, SealedError};
use prover::srs::ReferenceString;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

#[path = "proving/toy.rs"]
mod toy;

use toy::{Shape, Toy};

const K: u32 = 5;
const NAME: &str = "toy";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(21)
}

fn string() -> ReferenceString {
    ReferenceString::insecure_development(K).expect("generate")
}

fn keys(cache: &KeyCache, circuit: &Toy) -> Keys {
    cache
        .load_or_generate(NAME, &string(), circuit)
        .expect("keys")
}

fn vk_bytes(keys: &Keys) -> Vec<u8> {
    keys.pk.get_vk().to_bytes(SerdeFormat::Processed)
}

/// The key files in a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "qrt"))
        .collect();
    files.sort();
    files
}

fn the_file(directory: &Path) -> PathBuf {
    let files = files(directory);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn proof_is_made_and_only_the_right_claim_is_accepted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    let circuit = Toy::new(20);
    let string = string();
    let keys = keys(&cache, &circuit);
    let output = circuit.output();
    let params = string.params();
    let proof = prove(
        params,
        &keys.pk,
        &circuit,
        &[&[output]],
        rng(),
        &ignore_progress,
    )
    .expect("a proof");
    let vk = keys.pk.get_vk();
    verify(params, vk, &[&[output]], &proof).expect("the honest proof");

    let refused = |instances: &[&[Fr]], proof: &[u8]| verify(params, vk, instances, proof);
    assert!(matches!(
        refused(&[&[output + Fr::ONE]], &proof),
        Err(ProofError::InvalidProof { .. })
    ));
    assert!(matches!(
        refused(&[&[]], &proof),
        Err(ProofError::InvalidProof { .. })
    ));
    assert!(matches!(
        refused(&[], &proof),
        Err(ProofError::InvalidInstances {
            expected: 1,
            found: 0
        })
    ));
    let mut longer = proof.clone();
    longer.extend([0; 3]);
    assert!(matches!(
        refused(&[&[output]], &longer),
        Err(ProofError::InvalidTrailing { count: 3 })
    ));
    for length in (0..proof.len()).step_by(57) {
        assert!(matches!(
            refused(&[&[output]], &proof[..length]),
            Err(ProofError::InvalidProof { .. })
        ));
    }
    for place in (0..proof.len()).step_by(13) {
        let mut bytes = proof.clone();
        bytes[place] ^= 1;
        assert!(refused(&[&[output]], &bytes).is_err(), "byte {place}");
    }
    // Another circuit's key.
    let mut other = circuit.clone();
    other.factor = Fr::from(8);
    let other_vk = keygen_vk(params, &other).expect("key");
    assert!(verify(params, &other_vk, &[&[output]], &proof).is_err());
}

#[test]
fn witness_that_breaks_a_gate_yields_no_acceptable_proof() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let circuit = Toy::new(4);
    let string = string();
    let keys = keys(&KeyCache::new(directory.path()), &circuit);
    let mut cheat = circuit.clone();
    // Same circuit, but the prover computes with another factor than the fixed column holds.
    cheat.factor = Fr::from(8);
    let output = cheat.output();
    let proof = prove(
        string.params(),
        &keys.pk,
        &cheat,
        &[&[output]],
        rng(),
        &ignore_progress,
    );
    let refused = match proof {
        Ok(proof) => verify(string.params(), keys.pk.get_vk(), &[&[output]], &proof).is_err(),
        Err(error) => matches!(error, ProofError::Internal { .. }),
    };
    assert!(refused);
    let wrong_shape = prove(
        string.params(),
        &keys.pk,
        &circuit,
        &[],
        rng(),
        &ignore_progress,
    );
    assert!(matches!(
        wrong_shape,
        Err(ProofError::InvalidInstances {
            expected: 1,
            found: 0
        })
    ));
}

#[test]
fn progress_names_every_phase_in_order() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let circuit = Toy::new(20);
    let string = string();
    let keys = keys(&KeyCache::new(directory.path()), &circuit);
    let reports = Mutex::new(Vec::<Progress>::new());
    let sink = |progress: Progress| reports.lock().expect("lock").push(progress);
    let output = circuit.output();
    prove(
        string.params(),
        &keys.pk,
        &circuit,
        &[&[output]],
        rng(),
        &sink,
    )
    .expect("a proof");
    let reports = reports.into_inner().expect("lock");
    let phases: Vec<Phase> = reports.iter().map(|report| report.phase).collect();
    let expected = [
        Phase::Witness,
        Phase::Commit,
        Phase::Arguments,
        Phase::Quotient,
        Phase::Opening,
        Phase::Opening,
    ];
    assert_eq!(phases, expected);
    assert!(reports.is_sorted_by_key(|report| report.percent));
    assert_eq!(reports.first().map(|report| report.percent), Some(0));
    assert!(reports.iter().all(|report| report.percent <= 100));
}

#[test]
fn stored_key_is_loaded_and_proves() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    let circuit = Toy::new(20);
    let generated = keys(&cache, &circuit);
    assert_eq!(generated.origin, KeyOrigin::Generated);
    let loaded = keys(&cache, &circuit);
    assert_eq!(loaded.origin, KeyOrigin::Cache);
    assert_eq!(vk_bytes(&loaded), vk_bytes(&generated));
    let (new, old) = (loaded.pk.get_vk(), generated.pk.get_vk());
    assert_eq!(new.transcript_repr(), old.transcript_repr());
    assert_eq!(loaded.circuit_digest, generated.circuit_digest);
    let string = string();
    let output = circuit.output();
    let proof = prove(
        string.params(),
        &loaded.pk,
        &circuit,
        &[&[output]],
        rng(),
        &ignore_progress,
    )
    .expect("a proof");
    verify(string.params(), old, &[&[output]], &proof).expect("the key is the same");
    // The witness does not enter the key.
    let mut other_witness = circuit;
    other_witness.secrets[3] = Some(Fr::from(99));
    assert_eq!(keys(&cache, &other_witness).origin, KeyOrigin::Cache);
}

/// Circuits that differ from `Toy::new(8)` in one thing a key depends on.
fn changed_circuits() -> Vec<Toy> {
    let base = Toy::new(8);
    let mut factor = base.clone();
    factor.factor = Fr::from(8);
    let mut copies = base.clone();
    copies.omitted_copy = Some(5);
    let mut gate = base.clone();
    gate.shape = Shape {
        constant: 1,
        ..base.shape
    };
    let mut columns = base.clone();
    columns.shape = Shape {
        idle_columns: 1,
        ..base.shape
    };
    vec![base, Toy::new(9), factor, copies, gate, columns]
}

#[test]
fn a_key_is_found_by_the_digest_of_its_circuit_and_by_no_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (cache, circuit) = (KeyCache::new(directory.path()), Toy::new(4));
    let made = keys(&cache, &circuit);
    let load = |digest| cache.load::<Toy>(NAME, &string(), digest, circuit.params());
    let found = load(made.circuit_digest).expect("the stored key");
    assert_eq!(
        found.get_vk().to_bytes(SerdeFormat::Processed),
        vk_bytes(&made)
    );
    let mut other = made.circuit_digest;
    other[0] ^= 1;
    assert!(matches!(load(other), Err(SealedError::Missing { .. })));
    let mut bytes = fs::read(the_file(directory.path())).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(the_file(directory.path()), bytes).expect("write");
    let spoiled = load(made.circuit_digest);
    assert!(matches!(spoiled, Err(SealedError::Corrupt { .. })));
}

#[test]
fn changed_circuit_never_meets_an_old_key() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    let circuits = changed_circuits();
    let mut seen = BTreeSet::new();
    for circuit in &circuits {
        let made = keys(&cache, circuit);
        assert_eq!(made.origin, KeyOrigin::Generated);
        assert!(seen.insert(made.circuit_digest));
        let fresh = keygen_vk(string().params(), circuit).expect("key");
        let loaded = keys(&cache, circuit);
        assert_eq!(loaded.origin, KeyOrigin::Cache);
        for keys in [&made, &loaded] {
            assert_eq!(vk_bytes(keys), fresh.to_bytes(SerdeFormat::Processed));
            assert_eq!(keys.pk.get_vk().transcript_repr(), fresh.transcript_repr());
        }
    }
    let longer = ReferenceString::insecure_development(K + 1).expect("generate");
    let made = cache
        .load_or_generate(NAME, &longer, &circuits[0])
        .expect("keys");
    assert_eq!(made.origin, KeyOrigin::Generated);
    assert!(seen.insert(made.circuit_digest));
}

#[test]
fn corrupt_key_file_is_replaced_and_never_used() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    let circuit = Toy::new(8);
    let honest = vk_bytes(&keys(&cache, &circuit));
    let path = the_file(directory.path());
    let stored = fs::read(&path).expect("read");
    for place in (0..stored.len()).step_by(stored.len() / 60) {
        let mut bytes = stored.clone();
        bytes[place] ^= 4;
        fs::write(&path, &bytes).expect("write");
        let again = keys(&cache, &circuit);
        assert_eq!(again.origin, KeyOrigin::Generated, "byte {place}");
        assert_eq!(vk_bytes(&again), honest);
        assert_eq!(fs::read(&path).expect("read"), stored);
    }
    for length in [0, 10, stored.len() - 1] {
        fs::write(&path, &stored[..length]).expect("write");
        assert_eq!(keys(&cache, &circuit).origin, KeyOrigin::Generated);
    }
}

/// Files whose hash matches and whose content is still wrong: what a bug, not a bad disk, leaves.
#[test]
fn sealed_file_with_the_wrong_key_is_replaced() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    let circuit = Toy::new(8);
    let made = keys(&cache, &circuit);
    let honest = vk_bytes(&made);
    let path = the_file(directory.path());
    let digests = [made.circuit_digest, string().digest()].concat();
    let key = made.pk.to_bytes(SerdeFormat::RawBytesUnchecked);
    let other = keys(
        &KeyCache::new(directory.path().join("other")),
        &changed_circuits()[2],
    );
    let other_key = other.pk.to_bytes(SerdeFormat::RawBytesUnchecked);
    let other_vk = other.pk.get_vk().to_bytes(SerdeFormat::RawBytesUnchecked);
    let other_digests = [other.circuit_digest, string().digest()].concat();
    let mut wrong_k = key.clone();
    wrong_k[1] = 63;
    // The last bytes are those of a permutation column's coefficients, the ones before of its
    // values.
    let mut wrong_value = key.clone();
    let place = key.len() - 3 * (4 + 4 + 32 * (1 << K)) - 40;
    wrong_value[place] ^= 1;
    let wrong = [
        [&digests[..], &wrong_k].concat(),
        [&digests[..], &wrong_value].concat(),
        [&digests[..], &key, &[0]].concat(),
        // Another circuit's commitments before this circuit's columns.
        [&digests[..], &other_vk, &key[other_vk.len()..]].concat(),
        // Another circuit's file under this circuit's name.
        [&other_digests[..], &other_key].concat(),
        digests[..40].to_vec(),
    ];
    for (index, payload) in wrong.iter().enumerate() {
        let lock = Lock::acquire(&directory.path().join("test.lock")).expect("lock");
        sealed::store(&lock, &path, Content::ProvingKey, payload).expect("store");
        let again = keys(&cache, &circuit);
        assert_eq!(again.origin, KeyOrigin::Generated, "file {index}");
        assert_eq!(vk_bytes(&again), honest, "file {index}");
        assert_eq!(keys(&cache, &circuit).origin, KeyOrigin::Cache);
    }
}

#[test]
fn only_the_newest_files_of_a_name_are_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    cache
        .load_or_generate("toy-2", &string(), &Toy::new(2))
        .expect("keys");
    for rows in 2..FILES_PER_NAME_MAX + 5 {
        keys(&cache, &Toy::new(rows));
        assert_eq!(keys(&cache, &Toy::new(rows)).origin, KeyOrigin::Cache);
        let kept = files(directory.path());
        assert!(kept.len() <= FILES_PER_NAME_MAX + 1, "{kept:?}");
    }
    let other = cache
        .load_or_generate("toy-2", &string(), &Toy::new(2))
        .expect("keys");
    assert_eq!(
        other.origin,
        KeyOrigin::Cache,
        "another name's files are not counted"
    );
}

#[test]
fn racing_threads_generate_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let barrier = Barrier::new(4);
    let origins = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                let made = keys(&KeyCache::new(directory.path()), &Toy::new(8));
                origins.lock().expect("lock").push(made.origin);
            });
        }
    });
    let origins = origins.into_inner().expect("lock");
    let generated = origins
        .iter()
        .filter(|origin| **origin == KeyOrigin::Generated)
        .count();
    assert_eq!((generated, origins.len()), (1, 4));
}

/// Starts itself twice; the children share one directory and leave word where their key came from.
#[test]
fn racing_processes_generate_once() {
    const DIRECTORY: &str = "QUORATE_TEST_KEY_RACE";
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let made = keys(&KeyCache::new(&directory), &Toy::new(10));
        let word = Path::new(&directory).join(format!("{}.origin", std::process::id()));
        fs::write(word, format!("{:?}", made.origin)).expect("write");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let start = || {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "racing_processes_generate_once"])
            .env(DIRECTORY, directory.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("start")
    };
    let mut origins: Vec<String> = [start(), start()]
        .map(|mut child| {
            assert!(child.wait().expect("wait").success());
            let word = directory.path().join(format!("{}.origin", child.id()));
            fs::read_to_string(word).expect("the child's word")
        })
        .into();
    origins.sort();
    assert_eq!(origins, ["Cache", "Generated"]);
    assert_eq!(files(directory.path()).len(), 1);
}

#[test]
fn bad_names_and_circuits_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = KeyCache::new(directory.path());
    for name in ["", "../x", "Toy", "a b", "toy.qrt", &"x".repeat(33)] {
        let result = cache.load_or_generate(name, &string(), &Toy::new(2));
        assert!(
            matches!(result, Err(KeyError::InvalidName { .. })),
            "{name:?}"
        );
    }
    let too_long = cache.load_or_generate(NAME, &string(), &Toy::new(1 << K));
    assert!(matches!(too_long, Err(KeyError::Internal { k: K, .. })));
    let too_small = ReferenceString::insecure_development(2).expect("generate");
    assert!(matches!(
        cache.load_or_generate(NAME, &too_small, &Toy::new(1)),
        Err(KeyError::Internal { k: 2, .. })
    ));
    assert_eq!(
        circuit_digest(&Toy::new(3), K).expect("digest"),
        circuit_digest(&Toy::new(3), K).expect("digest")
    );
    let blocked = directory.path().join("file");
    fs::write(&blocked, b"not a directory").expect("write");
    let error = KeyCache::new(&blocked)
        .load_or_generate(NAME, &string(), &Toy::new(2))
        .expect_err("no directory");
    assert!(matches!(error, KeyError::UnavailableCache(_)));
    assert!(error.to_string().contains("file"), "{error}");
}

/// The fixture's points, not ours: a proof under a string that somebody else made.
#[test]
fn proof_under_an_imported_string_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/srs/powersOfTau28_hez_final_10.ptau");
    let (string, _) =
        ReferenceString::import_ptau(&path, Some(K), None, &mut rng()).expect("import");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let circuit = Toy::new(20);
    let keys = KeyCache::new(directory.path())
        .load_or_generate(NAME, &string, &circuit)
        .expect("keys");
    let output = circuit.output();
    let params = string.params();
    let proof = prove(
        params,
        &keys.pk,
        &circuit,
        &[&[output]],
        rng(),
        &ignore_progress,
    )
    .expect("a proof");
    verify(params, keys.pk.get_vk(), &[&[output]], &proof).expect("the proof");
    // Under the development string the same bytes are worth nothing.
    let development = ReferenceString::insecure_development(K).expect("generate");
    assert!(verify(development.params(), keys.pk.get_vk(), &[&[output]], &proof).is_err());
}
