//! Two verifiers, one verdict, on the project's own circuits: the proofs of the golden batches and
//! what malformation makes of them.
//!
//! As in `plonk_differential`, neither verifier may accept any malformed proof, with halo2's two
//! known laxities as the only difference ([`Laxity`]). Proofs, shapes and sizes come from the golden
//! files and the circuits, so that a circuit that changes is campaigned against as it is.
//!
//! A proof has tens of thousands of malformations. A soak run tries all; the ordinary run all of
//! the data proof's flipped bytes and, of the rest, a sample that has every kind and every field.

use std::collections::{BTreeMap, BTreeSet};

use protocol::testing::soak;
use prover::srs::StringKind;
use tests::golden::{REMEDY, Statement, bundle, statements};
use tests::halo2::RealCircuit;
use tests::mutation::{Campaign, Laxity, Mutation, for_each_mutation};
use tests::parallel::check_all;
use verifier::PlonkError;
use verifier::golden::CircuitName;

/// Malformed proofs that both campaigns together have to try.
const MUTATIONS_MIN: usize = 2_000;
/// Mutations in memory at a time.
const AT_ONCE: usize = 256;

/// Which mutations are tried.
#[derive(Clone, Copy)]
struct Sample {
    /// One flipped byte in so many. Below the length of a field, so that each is met.
    flips: usize,
    /// One replacement of a field, or cut at it, in so many.
    fields: usize,
}

/// Everything.
const ALL: Sample = Sample {
    flips: 1,
    fields: 1,
};

impl Sample {
    /// Decides in the order of the campaign; `seen` counts what came before, by kind.
    fn takes(self, mutation: &Mutation, seen: &mut BTreeMap<&'static str, usize>) -> bool {
        let kinds_before = seen.len();
        let count = seen.entry(mutation.kind).or_default();
        *count += 1;
        let stride = match (mutation.kind, mutation.field) {
            ("flip", _) => self.flips,
            (_, Some(_)) => self.fields,
            // Garbage, trailing bytes and public inputs are few and cheap.
            (_, None) => 1,
        };
        // Kinds start at different fields, so that a field does not get all or none.
        (*count + kinds_before).is_multiple_of(stride) || *count == 1
    }
}

/// The first proof of this kind in golden batch 1.
fn statement(kind: CircuitName) -> Statement {
    let string = StringKind::InsecureDevelopment.to_string();
    let all = statements(&bundle(1), &string).into_iter();
    let mut of_kind = all.filter(|statement| statement.circuit == kind);
    of_kind.next().expect("a proof of each circuit")
}

/// Whether both verifiers judge a mutation as they must.
fn check(circuit: &RealCircuit, mutation: &Mutation) -> Result<(), String> {
    let name = &mutation.name;
    let ours = circuit.our_verdict(&mutation.instances, &mutation.proof);
    let halo2 = circuit.halo2_verdict(&mutation.instances, &mutation.proof);
    match (&ours, mutation.laxity) {
        (Ok(()), _) => Err(format!("{name}: the independent verifier accepts")),
        (Err(PlonkError::Internal { .. }), _) => Err(format!("{name}: {ours:?}")),
        (Err(_), Some(_)) if !halo2 => Err(format!("{name}: halo2 has become strict")),
        (Err(_), None) if halo2 => Err(format!("{name}: halo2 accepts, we say {ours:?}")),
        _ => Ok(()),
    }
}

/// Runs a campaign on a proof and returns how many malformations it tried.
fn campaign(kind: CircuitName, sample: Sample) -> usize {
    let sample = if soak(1) > 1 { ALL } else { sample };
    let (circuit, honest) = (RealCircuit::load(kind), statement(kind));
    let ours = circuit.our_verdict(&honest.instances, &honest.proof);
    assert_eq!(ours, Ok(()), "{kind:?}: {REMEDY}");
    assert!(circuit.halo2_verdict(&honest.instances, &honest.proof));

    let campaign = Campaign {
        key: &circuit.key,
        instances: &honest.instances,
        proof: &honest.proof,
        flips_per_byte: 1,
        seed: 3,
    };
    let (mut seen, mut count) = (BTreeMap::new(), 0);
    let (mut kinds, mut fields) = (BTreeSet::new(), BTreeSet::new());
    let (mut lax, mut waiting) = (BTreeSet::new(), Vec::new());
    for_each_mutation(&campaign, &mut |mutation| {
        if !sample.takes(&mutation, &mut seen) {
            return;
        }
        count += 1;
        kinds.insert(mutation.kind);
        fields.extend(mutation.field);
        lax.extend(mutation.laxity);
        waiting.push(mutation);
        if waiting.len() == AT_ONCE {
            check_all(&waiting, |mutation| check(&circuit, mutation));
            waiting.clear();
        }
    });
    check_all(&waiting, |mutation| check(&circuit, mutation));

    let all_kinds: BTreeSet<&str> = seen.keys().copied().collect();
    assert_eq!(kinds, all_kinds, "every kind is in the sample");
    assert_eq!(
        fields.len(),
        circuit.key.proof_layout().len(),
        "every field is touched"
    );
    assert_eq!(
        seen["flip"],
        honest.proof.len(),
        "every byte is in the campaign"
    );
    assert!(kinds.len() >= 20, "{kinds:?}");
    assert!(lax.contains(&Laxity::TrailingBytes), "{lax:?}");
    count
}

#[test]
fn verdicts_agree_on_the_golden_proofs() {
    let chunk = Sample {
        flips: 31,
        fields: 12,
    };
    let data = Sample {
        flips: 1,
        fields: 12,
    };
    let count = campaign(CircuitName::Chunk, chunk) + campaign(CircuitName::Data, data);
    assert!(count >= MUTATIONS_MIN, "only {count} malformed proofs");
}

/// A proof of one statement shows no other: each golden proof before the public inputs of every
/// other one of its kind, and each circuit's proof under the other circuit's key.
#[test]
fn a_proof_shows_its_own_statement_only() {
    let string = StringKind::InsecureDevelopment.to_string();
    let all = [1, 2].map(|number| statements(&bundle(number), &string));
    let all: Vec<Statement> = all.into_iter().flatten().collect();
    for kind in [CircuitName::Chunk, CircuitName::Data] {
        let circuit = RealCircuit::load(kind);
        let mut pairs = Vec::new();
        for (place, proven) in all.iter().enumerate() {
            for (other, claimed) in all.iter().enumerate() {
                pairs.push((place == other && proven.circuit == kind, proven, claimed));
            }
        }
        check_all(&pairs, |(is_own, proven, claimed)| {
            let ours = circuit
                .our_verdict(&claimed.instances, &proven.proof)
                .is_ok();
            let halo2 = circuit.halo2_verdict(&claimed.instances, &proven.proof);
            if (ours, halo2) == (*is_own, *is_own) {
                Ok(())
            } else {
                Err(format!(
                    "{kind:?}: ours {ours}, halo2 {halo2}, own {is_own}"
                ))
            }
        });
    }
}
