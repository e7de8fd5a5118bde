//! Generated contracts in revm: honest proofs pass, nothing else does, and the verdict is always that
//! of the verifier over arkworks.
//!
//! The code comes from `prover/golden/solidity`, so that no compiler is needed; the sources there are
//! compared with what the generator writes.

#[path = "solidity/accumulator.rs"]
mod accumulator;
#[path = "solidity/case.rs"]
mod case;
#[path = "solidity/chain.rs"]
mod chain;
#[path = "solidity/golden.rs"]
mod golden;
#[path = "solidity/mutation.rs"]
mod mutation;
#[path = "solidity/odd.rs"]
mod odd;
#[path = "solidity/raised.rs"]
mod raised;
#[path = "solidity/thin.rs"]
mod thin;

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::group::Curve;
use prover::solidity::{SolidityError, VerifierOptions, final_verifier_source};
use prover::srs::ReferenceString;
use verifier::TranscriptKind;

use accumulator::{Accumulator, Number, limbs_of, true_claim};
use case::{Claim, Keys, Toy};
use chain::{Answer, Chain, encoded};
use odd::Odd;
use thin::{Thin, ThinShape};

/// Malformed claims that are tried at least, for each contract.
const MUTATIONS_MIN: usize = 1_500;

/// EIP-170.
const CODE_BYTES_MAX: usize = 24_576;

/// Public inputs of a final proof behind its accumulator.
const INPUTS: usize = 13;

/// A small circuit with the instance of a final proof.
const THIN: ThinShape = ThinShape {
    k: 7,
    gate_columns: 2,
    degree: 4,
    constant: 9,
};

/// The columns the final circuit is to have; only its size differs, which the contract sees in one
/// number.
const FINAL: ThinShape = ThinShape {
    k: 6,
    gate_columns: 5,
    degree: 5,
    constant: 9,
};

fn string(shape: ThinShape) -> ReferenceString {
    ReferenceString::insecure_development(shape.k).expect("a string")
}

/// A circuit with these limbs and some inputs.
fn thin(shape: ThinShape, limbs: Vec<Fr>, seed: u64) -> Thin {
    let inputs = (0..INPUTS as u64).map(|at| -Fr::from(seed + 100 * at));
    let inputs = limbs.into_iter().chain(inputs).collect();
    Thin {
        shape,
        inputs,
        seed,
    }
}

fn honest(shape: ThinShape, seed: u64) -> Thin {
    thin(shape, true_claim(&string(shape), seed).limbs(), seed)
}

fn odd(lookup: bool, seed: u64) -> Odd {
    Odd { lookup, seed }
}

/// Both verdicts, which have to agree.
fn verdict(keys: &Keys, chain: &Chain, name: &str, claim: &Claim) -> bool {
    let ours = keys.verdict(claim);
    let (theirs, _) = chain.decide(claim);
    assert_eq!(
        ours, theirs,
        "{name}: arkworks says {ours}, the contract {theirs}"
    );
    ours
}

/// Runs a campaign of malformed claims, every byte flipped among them.
fn campaign<C: Toy>(contract: &str, circuit: &C, accumulator: bool) {
    let keys = Keys::new(circuit, accumulator);
    let chain = Chain::new(&golden::code(contract));
    let claim = keys.claim(circuit);
    assert!(verdict(&keys, &chain, contract, &claim));
    let all = mutation::mutations(&keys, &claim);
    for (name, claim) in &all {
        let name = format!("{contract}: {name}");
        assert!(!verdict(&keys, &chain, &name, claim), "{name}: accepted");
    }
    let bytes = claim.proof.len() + claim.inputs.len() * 32;
    assert!(all.len() >= MUTATIONS_MIN.max(bytes), "only {}", all.len());
}

#[test]
fn golden_sources_are_what_the_generator_writes() {
    golden::compare_settings();
    for (contract, shape) in [("Thin", THIN), ("FinalShape", FINAL)] {
        let keys = Keys::new(&honest(shape, 1), true);
        golden::compare_source(contract, &keys.source(contract));
    }
    for (contract, lookup) in [("Odd", true), ("OddPlain", false)] {
        let keys = Keys::new(&odd(lookup, 1), false);
        golden::compare_source(contract, &keys.source(contract));
    }
}

#[test]
fn honest_proofs_are_accepted_whatever_the_witness() {
    for (contract, shape) in [("Thin", THIN), ("FinalShape", FINAL)] {
        let keys = Keys::new(&honest(shape, 0), true);
        let chain = Chain::new(&golden::code(contract));
        for seed in 0..4 {
            let claim = keys.claim(&honest(shape, seed));
            assert!(
                verdict(&keys, &chain, contract, &claim),
                "{contract}, {seed}"
            );
        }
    }
    for (contract, lookup) in [("Odd", true), ("OddPlain", false)] {
        let keys = Keys::new(&odd(lookup, 0), false);
        let chain = Chain::new(&golden::code(contract));
        for seed in 0..4 {
            let claim = keys.claim(&odd(lookup, seed));
            assert!(
                verdict(&keys, &chain, contract, &claim),
                "{contract}, {seed}"
            );
        }
    }
}

#[test]
fn no_malformed_claim_is_accepted_and_no_two_verdicts_differ() {
    campaign("Thin", &honest(THIN, 1), true);
}

#[test]
fn no_malformed_claim_is_accepted_by_the_contract_of_the_final_shape() {
    campaign("FinalShape", &honest(FINAL, 4), true);
}

#[test]
fn no_malformed_claim_is_accepted_by_the_contract_of_an_odd_circuit() {
    campaign("Odd", &odd(true, 2), false);
}

#[test]
fn no_malformed_claim_is_accepted_by_the_contract_of_a_circuit_without_lookups() {
    campaign("OddPlain", &odd(false, 3), false);
}

/// Honest proofs for accumulators that are none, or whose claim is false.
#[test]
fn false_accumulators_are_refused_beside_honest_proofs() {
    let keys = Keys::new(&honest(THIN, 1), true);
    let chain = Chain::new(&golden::code("Thin"));
    let good = true_claim(&keys.string, 1);
    let other = true_claim(&keys.string, 2);
    let random = |factor| (G1Affine::generator() * Fr::from(factor)).to_affine();
    let pair = |lhs, rhs| Accumulator { lhs, rhs }.limbs();
    let [x, y, u, v] = good.coordinates();
    let zero = Number::ZERO;
    let mut cases = vec![
        ("two random points", pair(random(17), random(18))),
        ("one point twice", pair(good.rhs, good.rhs)),
        ("sides exchanged", pair(good.rhs, good.lhs)),
        ("sides of two claims", pair(good.lhs, other.rhs)),
        ("left negated", pair(-good.lhs, good.rhs)),
        ("coordinates exchanged", limbs_of([y, x, u, v])),
        ("the identity twice", limbs_of([zero; 4])),
        ("the identity left", limbs_of([zero, zero, u, v])),
        ("the identity right", limbs_of([x, y, zero, zero])),
    ];
    let mut raised = 0;
    for seed in 1..8 {
        let coordinates = true_claim(&keys.string, seed).coordinates();
        for at in 0..4 {
            let mut changed = coordinates;
            if let Some(number) = changed[at].raised() {
                changed[at] = number;
                cases.push(("a coordinate plus q", limbs_of(changed)));
                raised += 1;
            }
        }
    }
    assert!(raised > 4, "only {raised}");
    for at in 0..12 {
        // One bit too many, once as it is and once carried from the next limb.
        let bits = [88, 88, 78][at % 3];
        let power = Fr::from(2).pow([bits]);
        let mut limbs = good.limbs();
        limbs[at] += power;
        cases.push(("a limb too large", limbs.clone()));
        if at % 3 < 2 {
            limbs[at + 1] -= Fr::from(1);
            cases.push(("a limb with a carry", limbs));
        }
    }
    for (name, limbs) in cases {
        let claim = keys.claim(&thin(THIN, limbs, 5));
        assert!(
            keys.verdict_on_the_proof(&claim),
            "{name}: the proof is honest"
        );
        assert!(!verdict(&keys, &chain, name, &claim), "{name}: accepted");
    }
}

/// A true accumulator of another proof, in place of the one the proof was made for.
#[test]
fn a_foreign_accumulator_is_refused() {
    let keys = Keys::new(&honest(THIN, 1), true);
    let chain = Chain::new(&golden::code("Thin"));
    let mut claim = keys.claim(&honest(THIN, 1));
    let other = keys.claim(&honest(THIN, 2));
    claim.proof[..12 * 32].copy_from_slice(&other.proof[..12 * 32]);
    assert!(!verdict(&keys, &chain, "foreign", &claim));
}

/// Every word of a claim in turn, written in a second form by a prover who means it.
#[test]
fn no_number_has_a_second_form() {
    let circuit = honest(THIN, 1);
    let keys = Keys::new(&circuit, true);
    let chain = Chain::new(&golden::code("Thin"));
    let words = 1 + INPUTS + keys.claim(&circuit).proof.len() / 32;
    for at in 1..words {
        let claim = raised::claim(&keys, &circuit, at).expect("two moduli fit a word");
        let name = format!("word {at} plus its modulus");
        assert!(!verdict(&keys, &chain, &name, &claim), "{name}: accepted");
    }
}

#[test]
fn proofs_of_other_circuits_are_refused() {
    let keys = Keys::new(&honest(THIN, 1), true);
    let chain = Chain::new(&golden::code("Thin"));
    let constant = ThinShape {
        constant: 10,
        ..THIN
    };
    let wide = ThinShape {
        gate_columns: 3,
        ..THIN
    };
    for shape in [constant, wide, FINAL] {
        let circuit = honest(shape, 1);
        let claim = Keys::new(&circuit, true).claim(&circuit);
        assert!(
            !verdict(&keys, &chain, "another circuit", &claim),
            "{shape:?}"
        );
    }
}

#[test]
fn calls_that_are_not_as_an_encoder_writes_them_are_refused() {
    let keys = Keys::new(&honest(THIN, 1), true);
    let chain = Chain::new(&golden::code("Thin"));
    let claim = keys.claim(&honest(THIN, 1));
    let data = encoded(&claim);
    let call = |data: Vec<u8>| chain.call(data, 5_000_000);
    assert!(matches!(
        call(data.clone()),
        Answer::Verdict { accepted: true, .. }
    ));
    // The offset of the proof, one word on, with a word in between.
    let offset = 4 + INPUTS * 32;
    let mut moved = data.clone();
    moved[offset + 31] += 32;
    moved.splice(offset + 32..offset + 32, [0; 32]);
    let trailing = [data.as_slice(), &[0]].concat();
    let word = [data.as_slice(), &[0; 32]].concat();
    for other in [moved, trailing, word] {
        assert!(matches!(
            call(other),
            Answer::Verdict {
                accepted: false,
                ..
            }
        ));
    }
    // What the compiler's decoder does not take at all.
    for len in [0, 3, 4, offset, offset + 32, offset + 64, data.len() - 1] {
        assert_eq!(call(data[..len].to_vec()), Answer::Failed, "{len} bytes");
    }
    // The same bytes, said to be fewer.
    let mut shorter = data.clone();
    let length = offset + 32 + 31;
    shorter[length] ^= 0x20;
    shorter[length - 1] -= u8::from(shorter[length] > data[length]);
    assert!(matches!(
        call(shorter),
        Answer::Verdict {
            accepted: false,
            ..
        }
    ));
    // The same bytes, the proof's length taken from the last input, which is the same number.
    let mut circuit = honest(THIN, 1);
    circuit.inputs[12 + INPUTS - 1] = Fr::from(claim.proof.len() as u64);
    let mut overlapping = encoded(&keys.claim(&circuit));
    assert!(matches!(
        call(overlapping.clone()),
        Answer::Verdict { accepted: true, .. }
    ));
    let offset_word = ((INPUTS - 1) * 32) as u64;
    overlapping[offset + 24..offset + 32].copy_from_slice(&offset_word.to_be_bytes());
    assert!(matches!(
        call(overlapping),
        Answer::Verdict {
            accepted: false,
            ..
        }
    ));
    let mut other_function = data;
    other_function[0] ^= 1;
    assert_eq!(call(other_function), Answer::Failed);
}

/// Too little gas is no verdict: a proof that is valid is never called invalid.
#[test]
fn too_little_gas_is_no_verdict() {
    let keys = Keys::new(&honest(THIN, 1), true);
    let chain = Chain::new(&golden::code("Thin"));
    let claim = keys.claim(&honest(THIN, 1));
    let (_, needed) = chain.decide(&claim);
    for gas in (150_000..needed).step_by(1_777).chain([needed - 1]) {
        let answer = chain.call(encoded(&claim), gas);
        assert!(
            !matches!(
                answer,
                Answer::Verdict {
                    accepted: false,
                    ..
                }
            ),
            "{gas} of {needed}"
        );
    }
}

/// The budgets of the design, on the columns of the final circuit: 500,000 gas all in, 3 KB of
/// proof or little more, code the base layer takes.
#[test]
fn the_final_shape_keeps_its_budgets() {
    for (contract, shape, gas_max) in [("Thin", THIN, 420_000), ("FinalShape", FINAL, 500_000)] {
        let circuit = honest(shape, 1);
        let keys = Keys::new(&circuit, true);
        let claim = keys.claim(&circuit);
        let code = golden::code(contract);
        let (accepted, gas) = Chain::new(&code).decide(&claim);
        assert!(accepted);
        let (code, proof) = (code.len(), claim.proof.len());
        let measured = format!("{contract}: {gas} gas, {proof} bytes of proof, {code} of code");
        assert!(code < CODE_BYTES_MAX, "{measured}");
        assert!(gas < gas_max, "{measured}");
        assert!(proof < 3_584, "{measured}");
    }
}

#[test]
fn keys_without_a_contract_are_refused() {
    let circuit = honest(THIN, 1);
    let poseidon = Keys::with_transcript(&circuit, true, TranscriptKind::Poseidon);
    let found = TranscriptKind::Poseidon;
    assert_eq!(
        final_verifier_source(&poseidon.description, VerifierOptions::default()),
        Err(SolidityError::InvalidTranscript { found })
    );
    let few = Keys::new(&odd(true, 1), false);
    assert_eq!(
        final_verifier_source(&few.description, VerifierOptions::default()),
        Err(SolidityError::TooFewInputs { min: 13, found: 5 })
    );
    for name in ["", "1A", "A B", "A{", "_"] {
        let options = VerifierOptions {
            contract: name,
            accumulator: false,
        };
        let name = name.to_owned();
        assert_eq!(
            final_verifier_source(&few.description, options),
            Err(SolidityError::InvalidName { name })
        );
    }
}
