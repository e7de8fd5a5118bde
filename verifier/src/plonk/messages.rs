//! What the prover says, in the order it says it, and the challenges in between.
//!
//! Order of halo2-axiom 0.5.3 `plonk/verifier.rs::verify_proof` for one circuit instance.

use ark_bn254::{Fr, G1Affine};

use super::{PlonkError, entry};
use crate::key::KeyParts;
use crate::transcript::Transcript;

/// Commitments of one lookup argument.
pub(super) struct LookupCommitments {
    /// A', the permuted input.
    pub(super) input: G1Affine,
    /// S', the permuted table.
    pub(super) table: G1Affine,
    /// Z, the running product.
    pub(super) product: G1Affine,
}

/// All commitments before the multi-opening, and the challenges drawn among them.
pub(super) struct Commitments {
    pub(super) advice: Vec<G1Affine>,
    pub(super) challenges: Vec<Fr>,
    pub(super) theta: Fr,
    pub(super) beta: Fr,
    pub(super) gamma: Fr,
    pub(super) products: Vec<G1Affine>,
    pub(super) lookups: Vec<LookupCommitments>,
    pub(super) random: G1Affine,
    pub(super) y: Fr,
    pub(super) quotient: Vec<G1Affine>,
    pub(super) x: Fr,
}

impl Commitments {
    pub(super) fn read(
        parts: &KeyParts,
        transcript: &mut Transcript<'_>,
    ) -> Result<Self, PlonkError> {
        let (advice, challenges) = read_phases(parts, transcript)?;
        // Book, "Lookup argument": theta compresses tuples; A' and S' of every lookup follow.
        let theta = transcript.challenge();
        let mut permuted = Vec::with_capacity(parts.lookups.len());
        for _ in &parts.lookups {
            permuted.push((transcript.read_point()?, transcript.read_point()?));
        }
        // Book, "Permutation argument": beta and gamma; then its products, then the lookups'.
        let beta = transcript.challenge();
        let gamma = transcript.challenge();
        let products = transcript.read_points(parts.permutation_product_count())?;
        let mut lookups = Vec::with_capacity(permuted.len());
        for (input, table) in permuted {
            lookups.push(LookupCommitments {
                input,
                table,
                product: transcript.read_point()?,
            });
        }
        // Book, "Vanishing argument": a random polynomial, y, the pieces of h, x.
        let random = transcript.read_point()?;
        let y = transcript.challenge();
        let quotient = transcript.read_points(parts.quotient_piece_count())?;
        let x = transcript.challenge();
        Ok(Self {
            advice,
            challenges,
            theta,
            beta,
            gamma,
            products,
            lookups,
            random,
            y,
            quotient,
            x,
        })
    }
}

/// Advice commitments come phase by phase, in column order within a phase; after the commitments of
/// a phase its challenges are drawn.
fn read_phases(
    parts: &KeyParts,
    transcript: &mut Transcript<'_>,
) -> Result<(Vec<G1Affine>, Vec<Fr>), PlonkError> {
    let mut advice = vec![G1Affine::default(); parts.advice_phases.len()];
    let mut challenges = vec![Fr::default(); parts.challenge_phases.len()];
    let last = parts.advice_phases.iter().max().copied().unwrap_or(0);
    for current in 0..=last {
        for (phase, commitment) in parts.advice_phases.iter().zip(&mut advice) {
            if *phase == current {
                *commitment = transcript.read_point()?;
            }
        }
        for (phase, challenge) in parts.challenge_phases.iter().zip(&mut challenges) {
            if *phase == current {
                *challenge = transcript.challenge();
            }
        }
    }
    Ok((advice, challenges))
}

/// A permutation product polynomial at x, at the next row, and (all but the last product) at the
/// last row.
pub(super) struct ProductEvaluations {
    pub(super) here: Fr,
    pub(super) next: Fr,
    pub(super) last: Option<Fr>,
}

/// Evaluations of one lookup argument.
pub(super) struct LookupEvaluations {
    pub(super) product: Fr,
    pub(super) product_next: Fr,
    pub(super) input: Fr,
    pub(super) input_previous: Fr,
    pub(super) table: Fr,
}

/// All evaluations, in the order of the proof.
pub(super) struct Evaluations {
    pub(super) advice: Vec<Fr>,
    pub(super) fixed: Vec<Fr>,
    pub(super) random: Fr,
    pub(super) permutation: Vec<Fr>,
    pub(super) products: Vec<ProductEvaluations>,
    pub(super) lookups: Vec<LookupEvaluations>,
}

impl Evaluations {
    pub(super) fn read(
        parts: &KeyParts,
        transcript: &mut Transcript<'_>,
    ) -> Result<Self, PlonkError> {
        let advice = transcript.read_scalars(parts.advice_queries.len())?;
        let fixed = transcript.read_scalars(parts.fixed_queries.len())?;
        let random = transcript.read_scalar()?;
        let permutation = transcript.read_scalars(parts.permutation.len())?;
        let count = parts.permutation_product_count();
        let mut products = Vec::with_capacity(count);
        for remaining in (0..count).rev() {
            products.push(ProductEvaluations {
                here: transcript.read_scalar()?,
                next: transcript.read_scalar()?,
                last: if remaining > 0 {
                    Some(transcript.read_scalar()?)
                } else {
                    None
                },
            });
        }
        let mut lookups = Vec::with_capacity(parts.lookups.len());
        for _ in &parts.lookups {
            lookups.push(LookupEvaluations {
                product: transcript.read_scalar()?,
                product_next: transcript.read_scalar()?,
                input: transcript.read_scalar()?,
                input_previous: transcript.read_scalar()?,
                table: transcript.read_scalar()?,
            });
        }
        Ok(Self {
            advice,
            fixed,
            random,
            permutation,
            products,
            lookups,
        })
    }
}

impl ProductEvaluations {
    /// The evaluation at the last row, which every product but the last has.
    pub(super) fn at_last(&self) -> Result<Fr, PlonkError> {
        entry(
            self.last.as_slice(),
            0,
            "the evaluation of a permutation product at the last row",
        )
    }
}
