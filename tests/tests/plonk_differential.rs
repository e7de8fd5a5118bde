//! Two verifiers, one verdict: halo2's own and the independent one over arkworks.
//!
//! Real proofs of toy circuits are put through every malformation of [`tests::mutation`]. On each,
//! both verifiers must agree, and none may be accepted, with two exceptions where halo2-axiom 0.5.3
//! is lax and the independent verifier refuses ([`Laxity`]):
//!
//! * bytes after the end of a proof: halo2 does not look at them;
//! * second spellings of a point: halo2curves ignores a flag bit.
//!
//! There halo2's acceptance is asserted as well, so that a halo2 that becomes strict shows up here.
//! A third difference has its own test: the Keccak transcript refuses the identity, as the contracts
//! do. A panic of halo2 counts as a refusal.

#[path = "plonk_differential/circuits.rs"]
mod circuits;
#[path = "plonk_differential/evm.rs"]
mod evm;
#[path = "plonk_differential/proving.rs"]
mod proving;

use std::collections::BTreeMap;
use std::time::Instant;

use circuits::{Bare, Lookups, Phases, Tall, Toy, Wide};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2curves::ff::Field;
use proving::{Case, reference_string};
use tests::halo2::to_ark;
use tests::mutation::{Campaign, Laxity, mutations};
use verifier::TranscriptKind::{Keccak, Poseidon};
use verifier::key::ProofField;
use verifier::{EncodingError, KeyDescription, KeyError, PlonkError, TranscriptKind, verify_plonk};

/// How many malformed proofs the campaigns on the tall circuit have to try, each on its own.
const MUTATIONS_MIN: usize = 2_000;

/// What a campaign came to.
struct Outcome {
    /// How many malformed proofs were tried.
    count: usize,
    /// How often each laxity of halo2 was met.
    lax: BTreeMap<Laxity, usize>,
}

fn tall() -> Tall {
    Tall {
        seed: 1,
        constant: 5,
    }
}

fn both_accept(case: &Case) {
    assert!(
        case.halo2_verdict(&case.instances, &case.proof),
        "{}: halo2 refuses",
        case.name
    );
    let ours = case.our_verdict(&case.instances, &case.proof);
    assert_eq!(
        ours,
        Ok(()),
        "{}: the independent verifier refuses",
        case.name
    );
}

/// Runs a campaign, which panics at the first wrong verdict.
fn run_campaign(case: &Case, flips_per_byte: usize) -> Outcome {
    both_accept(case);
    let all = mutations(&Campaign {
        key: &case.key,
        instances: &case.instances,
        proof: &case.proof,
        flips_per_byte,
        seed: 2,
    });
    assert!(
        all.len() > case.proof.len(),
        "{}: only {} mutations",
        case.name,
        all.len()
    );
    let mut lax = BTreeMap::new();
    for mutation in &all {
        let name = format!("{}: {}", case.name, mutation.name);
        let ours = case.our_verdict(&mutation.instances, &mutation.proof);
        let halo2 = case.halo2_verdict(&mutation.instances, &mutation.proof);
        assert!(ours.is_err(), "{name}: the independent verifier accepts");
        let internal = matches!(ours, Err(PlonkError::Internal { .. }));
        assert!(!internal, "{name}: {ours:?}");
        match mutation.laxity {
            Some(laxity) => {
                assert!(halo2, "{name}: halo2 has become strict");
                *lax.entry(laxity).or_default() += 1;
            }
            None => assert!(
                !halo2,
                "{name}: halo2 accepts, the independent verifier: {ours:?}"
            ),
        }
    }
    Outcome {
        count: all.len(),
        lax,
    }
}

#[test]
fn verdicts_agree_on_a_tall_circuit_with_the_poseidon_transcript() {
    let case = Case::new(&tall(), Poseidon, true);
    assert_eq!(case.key.parts().degree, 9);
    assert!(case.key.parts().permutation.len() > 14);
    let outcome = run_campaign(&case, 1);
    assert!(outcome.count >= MUTATIONS_MIN);
    assert!(outcome.lax.contains_key(&Laxity::TrailingBytes));
    assert!(outcome.lax.contains_key(&Laxity::SecondSpelling));
}

#[test]
fn verdicts_agree_on_a_tall_circuit_with_the_keccak_transcript() {
    let case = Case::new(&tall(), Keccak, false);
    let outcome = run_campaign(&case, 1);
    assert!(outcome.count >= MUTATIONS_MIN);
    assert!(outcome.lax.contains_key(&Laxity::TrailingBytes));
    assert!(!outcome.lax.contains_key(&Laxity::SecondSpelling));
}

#[test]
fn verdicts_agree_on_lookups() {
    for kind in [Poseidon, Keccak] {
        run_campaign(&Case::new(&Lookups { seed: 3 }, kind, true), 1);
    }
}

#[test]
fn verdicts_agree_on_phases_and_challenges() {
    for kind in [Poseidon, Keccak] {
        run_campaign(&Case::new(&Phases { seed: 4 }, kind, true), 1);
    }
}

#[test]
fn verdicts_agree_where_honest_proofs_hold_the_identity() {
    let case = Case::new(&Bare { seed: 5 }, Poseidon, true);
    run_campaign(&case, 1);
}

/// Honest proofs of circuits that declare more degree than they have hold the identity. Contracts
/// refuse it, and so does the Keccak transcript here, while halo2's native verifier accepts it: the
/// final circuit has to declare its true degree.
#[test]
fn the_keccak_transcript_refuses_the_identity() {
    let case = Case::new(&Bare { seed: 5 }, Keccak, true);
    assert!(case.halo2_verdict(&case.instances, &case.proof));
    let ours = case.our_verdict(&case.instances, &case.proof);
    let identity = EncodingError::Identity;
    assert!(matches!(ours, Err(PlonkError::InvalidPoint { source, .. }) if source == identity));
}

/// Honest proofs for many witnesses, with and without selector compression, after the key has gone
/// through its bytes.
#[test]
fn every_honest_proof_is_accepted() {
    fn check<C: Toy + Clone>(circuit: &C, kinds: &[TranscriptKind]) {
        for kind in kinds {
            for compress in [true, false] {
                let mut case = Case::new(circuit, *kind, compress);
                let bytes = case.key.encode();
                case.key = KeyDescription::decode(&bytes).expect("its own bytes");
                assert_eq!(case.key.encode(), bytes);
                assert_eq!(case.key.proof_bytes(), case.proof.len());
                both_accept(&case);
            }
        }
    }
    for seed in 0..3 {
        check(
            &Tall {
                seed,
                constant: seed * 1_000,
            },
            &[Poseidon, Keccak],
        );
        check(&Lookups { seed }, &[Poseidon, Keccak]);
        check(&Phases { seed }, &[Poseidon, Keccak]);
        check(&Bare { seed }, &[Poseidon]);
    }
}

/// Keys of other circuits: of another shape, of the same shape with another constant, and of the
/// same circuit under another reference string or transcript.
#[test]
fn another_key_refuses() {
    let honest = Case::new(&tall(), Poseidon, true);
    let other_constant = Tall {
        seed: 1,
        constant: 6,
    };
    let other_string = reference_string(Tall::K, 8);
    let others = [
        Case::new(&other_constant, Poseidon, true),
        Case::with_string(&tall(), Poseidon, true, &other_string),
        Case::new(&Lookups { seed: 3 }, Poseidon, true),
        Case::new(&tall(), Keccak, true),
        Case::new(&tall(), Poseidon, false),
    ];
    for other in &others {
        assert_ne!(other.key.digest(), honest.key.digest(), "{}", other.name);
        for (key, from) in [(other, &honest), (&honest, other)] {
            assert!(
                !key.halo2_verdict(&from.instances, &from.proof),
                "{}",
                other.name
            );
            assert!(
                key.our_verdict(&from.instances, &from.proof).is_err(),
                "{}",
                other.name
            );
        }
    }
    // The first two have proofs of the same length: they are refused for what they are.
    for other in &others[..2] {
        assert_eq!(other.proof.len(), honest.proof.len());
        let ours = other.our_verdict(&honest.instances, &honest.proof);
        assert_eq!(ours, Err(PlonkError::Refused), "{}", other.name);
    }
}

/// A key whose bytes have been changed, if it is a key at all, refuses the honest proof: every part
/// of the description takes part in the verdict. The one exception are phases in a circuit without
/// challenges, where they only order the commitments.
#[test]
fn every_byte_of_the_key_matters() {
    let lookups = Case::new(&Lookups { seed: 3 }, Poseidon, true);
    let phases = Case::new(&Phases { seed: 4 }, Keccak, true);
    for case in [lookups, phases] {
        let instances = to_ark(&case.instances);
        let bytes = case.key.encode();
        let honest = case.key.parts();
        let mut decoded = 0;
        for at in 0..bytes.len() {
            for mask in [0x01, 0x10] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                let Ok(key) = KeyDescription::decode(&changed) else {
                    continue;
                };
                let only_order = honest.challenge_phases.is_empty()
                    && honest.advice_phases != key.parts().advice_phases;
                decoded += 1;
                let verdict = verify_plonk(&key, &instances, &case.proof);
                let matters = verdict.is_err() || only_order;
                assert!(
                    matters,
                    "{}: byte {at} ^ {mask:#x} does not matter",
                    case.name
                );
            }
        }
        assert!(
            decoded > 20,
            "{}: only {decoded} changed keys decode",
            case.name
        );
    }
}

/// The number of public inputs is pinned by the key, before anything is computed from them.
#[test]
fn the_number_of_public_inputs_is_pinned() {
    let case = Case::new(&tall(), Poseidon, true);
    let mut longer = case.instances.clone();
    longer[1].push(Fr::ZERO);
    let expected = PlonkError::InvalidInstanceCount {
        column: 1,
        expected: 2,
        found: 3,
    };
    assert_eq!(case.our_verdict(&longer, &case.proof), Err(expected));
    let expected = PlonkError::InvalidInstanceColumns {
        expected: 2,
        found: 1,
    };
    assert_eq!(case.our_verdict(&longer[..1], &case.proof), Err(expected));
}

/// The landmine of halo2-axiom: without `set_minimum_degree` the degree is capped at 5 in silence.
/// The export says so instead of describing a key whose honest proofs fail.
#[test]
fn an_undeclared_degree_is_refused_by_the_export() {
    let params = reference_string(4, 7);
    let key = halo2_proofs::plonk::keygen_vk(&params, &circuits::Undeclared).expect("a key");
    let error = prover::export::key_description(&key, &params, Poseidon, &[]).unwrap_err();
    let expected = KeyError::DegreeTooLow {
        what: "a constraint",
        needed: 7,
        declared: 5,
    };
    assert_eq!(error, expected.into());
}

/// The reader of a layout can rely on it: points where points are, scalars where scalars are.
#[test]
fn the_layout_matches_the_proof() {
    let case = Case::new(&tall(), Poseidon, true);
    for (field, bytes) in case.key.proof_layout().iter().zip(case.proof.chunks(32)) {
        let bytes = bytes.try_into().expect("32 bytes");
        let valid = match field {
            ProofField::Point => verifier::points::g1_from_compressed(bytes).is_ok(),
            ProofField::Scalar => verifier::field::scalar_from_le(bytes).is_ok(),
        };
        assert!(valid, "{field:?}");
    }
}

/// A verdict on a proof as wide as the chunk circuit's is cheap enough to be given on every proof.
/// It takes about 20 ms; the limit leaves room for a busy machine.
#[test]
fn a_verdict_on_a_wide_proof_takes_milliseconds() {
    let case = Case::new(&Wide { seed: 6 }, Poseidon, true);
    assert!(case.key.parts().advice_phases.len() >= 45);
    both_accept(&case);
    let start = Instant::now();
    for _ in 0..10 {
        assert_eq!(case.our_verdict(&case.instances, &case.proof), Ok(()));
    }
    let each_ms = start.elapsed().as_millis() / 10;
    assert!(
        each_ms < 1_000,
        "{each_ms} ms for a proof of {} bytes",
        case.proof.len()
    );
}
