//! Where the contract keeps what.
//!
//! The transcript lies in memory as it is hashed: what has been absorbed since the last challenge
//! follows the word with that challenge's digest, and the next digest is stored behind it. So a
//! challenge is one hash over memory as it is, and every commitment and evaluation has a fixed
//! address from which the arithmetic reads it:
//!
//! ```text
//! key, public inputs, advice | digest, lookups | digest, products, random | digest, quotient
//!   | digest, evaluations | digest, W | digest, W' | digest
//! ```
//!
//! After it come challenges and intermediate values. Nothing is ever moved or freed, and the memory
//! below the first address, which the compiler uses, is left alone until the verdict is returned.

use super::shape::{COORDINATES, Shape};

/// Length of a word.
pub(super) const WORD: usize = 32;
/// Length of a point.
pub(super) const POINT: usize = 2 * WORD;
/// Where free memory starts in Solidity.
const FREE: usize = 0x80;

/// Evaluations of a permutation product.
#[derive(Clone, Copy)]
pub(super) struct ProductAddresses {
    pub(super) here: usize,
    pub(super) next: usize,
    /// At the last row, of all products but the last.
    pub(super) last: Option<usize>,
}

/// Evaluations of a lookup.
#[derive(Clone, Copy)]
pub(super) struct LookupAddresses {
    pub(super) product: usize,
    pub(super) product_next: usize,
    pub(super) input: usize,
    pub(super) input_previous: usize,
    pub(super) table: usize,
}

/// Addresses in memory. Where a field is a list, its entries lie one behind the other.
pub(super) struct Memory {
    pub(super) key: usize,
    pub(super) limbs: usize,
    pub(super) inputs: usize,
    pub(super) advice: usize,
    /// Digest behind theta.
    pub(super) theta_digest: usize,
    /// Of each lookup A', then S'.
    pub(super) permuted: usize,
    /// Digest behind beta, then gamma.
    pub(super) gamma_digest: usize,
    pub(super) products: usize,
    pub(super) lookup_products: usize,
    pub(super) random: usize,
    /// Digest behind the challenge that folds constraints.
    pub(super) y_digest: usize,
    pub(super) quotient: usize,
    /// Digest behind the evaluation point.
    pub(super) x_digest: usize,
    pub(super) advice_values: usize,
    pub(super) fixed_values: usize,
    pub(super) random_value: usize,
    pub(super) sigma_values: usize,
    pub(super) product_values: Vec<ProductAddresses>,
    pub(super) lookup_values: Vec<LookupAddresses>,
    /// Digest behind the challenges that fold openings.
    pub(super) openings_digest: usize,
    pub(super) w: usize,
    /// Digest behind the opening point.
    pub(super) u_digest: usize,
    pub(super) w_prime: usize,
    /// Digest behind the challenge of the accumulator, the end of the transcript.
    pub(super) end: usize,
    /// Names of single words behind the transcript, in the order of their addresses.
    pub(super) names: Vec<(&'static str, usize)>,
    /// h(x) by the constraints.
    pub(super) quotient_value: usize,
    /// The accumulator's points: lhs, rhs.
    pub(super) accumulator: usize,
    /// x - w^i for each row the Lagrange polynomials are needed of; then their values at x.
    pub(super) rows: usize,
    /// More numbers to invert, directly behind the rows.
    pub(super) vanishing: usize,
    /// The last of them.
    pub(super) complement: usize,
    /// End of the numbers to invert, and where their running products start.
    pub(super) inverted_end: usize,
    /// u - x w^i for each point of the opening.
    pub(super) distances: usize,
    /// Lagrange basis of one set of points.
    pub(super) basis: usize,
    /// Values of nodes of the expression graph that are used more than once.
    pub(super) nodes: usize,
    /// The sum of commitments, a point.
    pub(super) sum: usize,
    /// Input of the pairing: two pairs of points.
    pub(super) pairs: usize,
}

/// Hands out addresses.
struct Free(usize);

impl Free {
    fn words(&mut self, count: usize) -> usize {
        let at = self.0;
        self.0 += count * WORD;
        at
    }

    fn points(&mut self, count: usize) -> usize {
        self.words(2 * count)
    }
}

/// Words with a name in the contract.
const NAMES: [&str; 16] = [
    "THETA",
    "BETA",
    "GAMMA",
    "Y",
    "X",
    "SHPLONK_Y",
    "SHPLONK_V",
    "U",
    "FOLD",
    "X_POWER",
    "INSTANCE",
    "L_FIRST",
    "L_LAST",
    "L_ACTIVE",
    "VALUES_SUM",
    "SET_FACTOR",
];

impl Memory {
    pub(super) fn new(shape: &Shape<'_>) -> Self {
        let parts = shape.parts;
        let lookups = parts.lookups.len();
        let mut free = Free(FREE);
        let key = free.words(1);
        let limbs = free.words(shape.limbs);
        let inputs = free.words(shape.inputs);
        let advice = free.points(parts.advice_phases.len());
        let theta_digest = free.words(1);
        let permuted = free.points(2 * lookups);
        // With nothing absorbed after theta, beta's digest takes the place of theta's.
        let gamma_digest = if lookups == 0 {
            theta_digest
        } else {
            free.words(1)
        };
        let products = free.points(shape.products);
        let lookup_products = free.points(lookups);
        let random = free.points(1);
        let y_digest = free.words(1);
        let quotient = free.points(shape.pieces);
        let x_digest = free.words(1);
        let advice_values = free.words(parts.advice_queries.len());
        let fixed_values = free.words(parts.fixed_queries.len());
        let random_value = free.words(1);
        let sigma_values = free.words(parts.permutation.len());
        let product_values = (0..shape.products)
            .map(|product| ProductAddresses {
                here: free.words(1),
                next: free.words(1),
                last: (product + 1 < shape.products).then(|| free.words(1)),
            })
            .collect();
        let lookup_values = (0..lookups)
            .map(|_| LookupAddresses {
                product: free.words(1),
                product_next: free.words(1),
                input: free.words(1),
                input_previous: free.words(1),
                table: free.words(1),
            })
            .collect();
        let openings_digest = free.words(1);
        let w = free.points(1);
        let u_digest = free.words(1);
        let w_prime = free.points(1);
        let end = free.words(1);

        let names = NAMES.map(|name| (name, free.words(1))).to_vec();
        let quotient_value = free.words(1);
        let accumulator = free.words(if shape.limbs > 0 { COORDINATES } else { 0 });
        let rows = free.words(shape.rows_before + shape.limbs + shape.inputs);
        let vanishing = free.words(1);
        free.words(1);
        let complement = free.words(1);
        let inverted_end = free.words(0);
        free.words((inverted_end - rows) / WORD);
        let points = parts.advice_queries.len() + parts.fixed_queries.len() + 4;
        let distances = free.words(points);
        let basis = free.words(points);
        let sum = free.points(1);
        // Behind it the precompiles' arguments, six words with it at most.
        free.words(4);
        let pairs = free.words(12);
        let nodes = free.words(0);
        Self {
            key,
            limbs,
            inputs,
            advice,
            theta_digest,
            permuted,
            gamma_digest,
            products,
            lookup_products,
            random,
            y_digest,
            quotient,
            x_digest,
            advice_values,
            fixed_values,
            random_value,
            sigma_values,
            product_values,
            lookup_values,
            openings_digest,
            w,
            u_digest,
            w_prime,
            end,
            names,
            quotient_value,
            accumulator,
            rows,
            vanishing,
            complement,
            inverted_end,
            distances,
            basis,
            nodes,
            sum,
            pairs,
        }
    }
}
