//! The final proof of a golden batch: made for real, decided by the independent verifier and by the contract in revm.
//!
//! `tests/fixtures/golden/batch-1.final` is that proof, `final.key` the description of its key, and
//! `prover/golden/solidity/FinalVerifier.sol` the contract written from it, with its code beside it. `make golden`
//! writes proof, key and source anew; `scripts/solidity-verifier` compiles. `settled.final` is the proof of the batch that
//! the tests of `settlement` commit, prove and pay out on the real contracts.

#![expect(
    clippy::print_stdout,
    reason = "the figures of a run are read with --nocapture"
)]

#[path = "final_proof/contract.rs"]
mod contract;
#[path = "final_proof/halo2.rs"]
mod halo2;
#[path = "final_proof/settled.rs"]
mod settled;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use circuits::aggregation::{ACCUMULATOR_LIMBS, BatchEnds, InnerProof, limbs_of};
use contract::{Contract, Verdict};
use halo2::Halo2;
use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;
use halo2curves::group::Curve;
use protocol::account::L1Address;
use protocol::params::params_hash;
use protocol::public_inputs::PublicInputs;
use protocol::transaction::Domain;
use prover::Prover;
use prover::aggregate::{Aggregator, BatchProofs, FinalProof};
use prover::progress::{Progress, ignore_progress};
use prover::solidity::final_verifier_source;
use prover::srs::StringKind;
use tests::golden::{REMEDY, bundle, statements};
use tests::halo2::{cache, to_ark};
use tests::mutation::{Campaign, for_each_mutation};
use verifier::bundle::Bundle;
use verifier::golden::CircuitName;
use verifier::{KeyDescription, verify_accumulating};

/// Name of the development string, which is in the golden chain's domain.
const STRING: &str = "insecure-development";
/// Who made the golden proof.
const PROVER: L1Address = L1Address([7; 20]);
/// What the design allows, all in.
const GAS_MAX: u64 = 500_000;
/// EIP-170.
const CODE_BYTES_MAX: usize = 24_576;
/// Public inputs behind the accumulator.
const INPUTS: usize = 13;
/// Bytes of a number in the fixture.
const WORD: usize = 32;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/golden")
        .join(name)
}

fn source_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../prover/golden/solidity/FinalVerifier.sol")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}; {REMEDY}", path.display()))
}

fn golden_key() -> KeyDescription {
    KeyDescription::decode(&read(&fixture("final.key"))).expect("a key description")
}

/// The golden proof: its instance in little-endian words, then the proof.
fn golden_proof() -> FinalProof {
    let bytes = read(&fixture("batch-1.final"));
    let (instance, proof) = bytes.split_at((ACCUMULATOR_LIMBS + INPUTS) * WORD);
    let number = |word: &[u8]| Fr::from_bytes(word.try_into().expect("a word")).expect("canonical");
    FinalProof {
        instance: instance.chunks_exact(WORD).map(number).collect(),
        proof: proof.to_vec(),
    }
}

fn encoded(proof: &FinalProof) -> Vec<u8> {
    let numbers = proof.instance.iter().flat_map(Fr::to_bytes);
    numbers.chain(proof.proof.iter().copied()).collect()
}

/// What the golden batch states.
fn public_inputs(bundle: &Bundle) -> PublicInputs {
    let (chain, version) = (bundle.chain_id, bundle.circuit_version);
    let domain = Domain::new(chain, bundle.rollup, params_hash(STRING), version);
    let end = bundle.chunks.last().expect("chunks").after;
    let ends = (&bundle.start, &end);
    PublicInputs::new(domain, bundle.batch_number, ends, &bundle.words, PROVER)
}

fn ours(key: &KeyDescription, instance: &[Fr], proof: &[u8]) -> bool {
    verify_accumulating(key, &to_ark(&[instance.to_vec()]), proof).is_ok()
}

#[test]
fn golden_a_batch_is_aggregated_to_a_proof_that_verifier_and_contract_accept() {
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if !is_update && std::env::var_os("QUORATE_SOAK").is_none() {
        // six minutes and five gigabytes: make golden and make soak; make test asks about the proof that it left
        println!("not aggregated anew: set QUORATE_SOAK=1");
        return;
    }
    let bundle = bundle(1);
    let prover = chunk_prover();
    let [chunk, data] =
        [CircuitName::Chunk, CircuitName::Data].map(|kind| prover.inner_protocol(kind));
    drop(prover); // its keys are not needed while the tree's are made
    let started = Instant::now();
    let aggregator = Aggregator::load(&cache(), StringKind::InsecureDevelopment, (chunk, data));
    let aggregator = aggregator.expect("keys of the tree");
    println!("keys of the tree: {:?}", started.elapsed());

    let key = aggregator.final_key();
    let source = final_verifier_source(key, Default::default()).expect("a contract");
    if is_update {
        fs::write(fixture("final.key"), key.encode()).expect("a file");
        fs::write(source_path(), &source).expect("a file");
    }
    assert_eq!(
        key.digest(),
        golden_key().digest(),
        "the final key changed; {REMEDY}"
    );
    assert_eq!(
        read(&source_path()),
        source.as_bytes(),
        "the contract changed; {REMEDY}"
    );

    // proofs that are still right are left alone: each takes four to six minutes
    if is_update && !is_right(key, &settled::golden_proof(), &settled::public_inputs()) {
        let (proofs, prover_id) = settled::proofs(&chunk_prover());
        let made = aggregator.aggregate(proofs, prover_id, &ignore_progress);
        let made = made.expect("the settled batch is aggregated");
        assert!(is_right(key, &made, &settled::public_inputs()));
        fs::write(settled::path(), made.to_contract_bytes()).expect("a file");
    }
    let expected = public_inputs(&bundle);
    if is_update && is_right(key, &golden_proof(), &expected) {
        return;
    }
    let started = Instant::now();
    let print = |progress: Progress| println!("{:?}: {progress:?}", started.elapsed());
    let made = aggregator.aggregate(batch_proofs(&bundle), PROVER, &print);
    let made = made.expect("the golden batch is aggregated");
    println!(
        "{} chunks to a final proof of {} bytes: {:?}",
        bundle.chunks.len(),
        made.to_contract_bytes().len(),
        started.elapsed()
    );
    if is_update {
        fs::write(fixture("batch-1.final"), encoded(&made)).expect("a file");
    }
    assert!(is_right(key, &made, &expected));
    let verdict = Contract::golden().decide(&made.instance, &made.proof);
    assert!(verdict.accepts(), "{verdict:?}");
}

fn chunk_prover() -> Prover {
    Prover::load(&cache(), StringKind::InsecureDevelopment).expect("keys")
}

/// Whether a proof states these inputs and holds.
fn is_right(key: &KeyDescription, proof: &FinalProof, inputs: &PublicInputs) -> bool {
    let Some(stated) = proof.instance.get(ACCUMULATOR_LIMBS..) else {
        return false;
    };
    to_ark(&[stated.to_vec()])[0] == inputs.to_fields() && ours(key, &proof.instance, &proof.proof)
}

/// The proofs of a bundle, as the aggregator takes them.
fn batch_proofs(bundle: &Bundle) -> BatchProofs {
    let mut inner: Vec<InnerProof> = statements(bundle, STRING)
        .into_iter()
        .map(|statement| InnerProof {
            instance: statement.instances.concat(),
            proof: statement.proof,
        })
        .collect();
    let data = inner.pop().expect("the data is last");
    BatchProofs {
        chunks: inner,
        data,
        ends: BatchEnds {
            number: bundle.batch_number,
            start: bundle.start,
            end: bundle.chunks.last().expect("chunks").after,
        },
    }
}

#[test]
fn the_golden_final_proof_costs_what_the_design_allows() {
    let (key, proof, contract) = (golden_key(), golden_proof(), Contract::golden());
    let stated = to_ark(&[proof.instance[ACCUMULATOR_LIMBS..].to_vec()]);
    assert_eq!(stated[0], public_inputs(&bundle(1)).to_fields());
    assert!(ours(&key, &proof.instance, &proof.proof));
    let source = final_verifier_source(&key, Default::default()).expect("a contract");
    assert_eq!(read(&source_path()), source.as_bytes(), "{REMEDY}");
    let Verdict::Accepts { gas } = contract.decide(&proof.instance, &proof.proof) else {
        panic!("the contract refuses the golden proof");
    };
    let (bytes, code) = (proof.proof.len(), contract.code_bytes());
    println!("gas {gas}, proof {bytes} bytes and 384 of limbs, code {code} bytes");
    assert!(gas < GAS_MAX, "{gas} gas");
    assert!(code < CODE_BYTES_MAX, "{code} bytes");
    assert!(bytes <= 3 * 1_024, "{bytes} bytes of proof");
}

#[test]
fn three_verifiers_refuse_the_same_malformed_final_proofs() {
    let (key, proof, contract) = (golden_key(), golden_proof(), Contract::golden());
    let halo2 = Halo2::new(&key);
    assert!(
        halo2.decide(&proof.instance, &proof.proof),
        "halo2 refuses the golden proof"
    );
    let instances = [proof.instance.clone()];
    let campaign = Campaign {
        key: &key,
        instances: &instances,
        proof: &proof.proof,
        flips_per_byte: 4,
        seed: 3,
    };
    let mut count = 0;
    for_each_mutation(&campaign, &mut |mutation| {
        let name = &mutation.name;
        count += 1;
        let native = to_ark(&mutation.instances);
        let verdict = verify_accumulating(&key, &native, &mutation.proof);
        assert!(verdict.is_err(), "{name}: the verifier accepts");
        if let [instance] = &mutation.instances[..] {
            let verdict = halo2.decide(instance, &mutation.proof);
            assert!(!verdict, "{name}: halo2 accepts");
            if instance.len() == ACCUMULATOR_LIMBS + INPUTS {
                let verdict = contract.decide(instance, &mutation.proof);
                assert!(!verdict.accepts(), "{name}: the contract accepts");
            }
        }
    });
    println!("{count} malformed final proofs");
    assert!(count >= 10_000, "only {count}");
}

#[test]
fn a_trivial_a_random_and_a_foreign_accumulator_are_refused() {
    let (key, proof, contract) = (golden_key(), golden_proof(), Contract::golden());
    let halo2 = Halo2::new(&key);
    let generator = G1Affine::generator();
    let other = (generator * Fr::from(77)).to_affine();
    let limb_max = Fr::from(2).pow([88]);
    let mut shifted = proof.instance.clone();
    // the same coordinate in other limbs: one unit of the second limb moved into the first
    shifted[0] += limb_max;
    shifted[1] -= Fr::one();
    let with = |limbs: [Fr; ACCUMULATOR_LIMBS]| {
        let mut instance = proof.instance.clone();
        instance[..ACCUMULATOR_LIMBS].copy_from_slice(&limbs);
        instance
    };
    let mut swapped = proof.instance.clone();
    let (lhs, rhs) = swapped[..ACCUMULATOR_LIMBS].split_at_mut(ACCUMULATOR_LIMBS / 2);
    lhs.swap_with_slice(rhs);
    for (name, instance) in [
        ("(O, O)", with([Fr::zero(); ACCUMULATOR_LIMBS])),
        ("a pair on the curve", with(limbs_of(&generator, &other))),
        (
            "twice the generator",
            with(limbs_of(&generator, &generator)),
        ),
        ("sides swapped", swapped),
        ("second spelling", shifted),
    ] {
        assert!(!ours(&key, &instance, &proof.proof), "{name}: the verifier");
        assert!(!halo2.decide(&instance, &proof.proof), "{name}: halo2");
        let verdict = contract.decide(&instance, &proof.proof);
        assert!(!verdict.accepts(), "{name}: the contract");
    }
}
