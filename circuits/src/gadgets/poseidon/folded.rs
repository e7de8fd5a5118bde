//! All equations of a permutation in one: each times a monomial in challenges that are drawn when the cells are
//! committed, then added up.
//!
//! Where an equation does not hold, the sum is a polynomial in the challenges that is not 0, so it vanishes with
//! probability below `degree / p` (Schwartz, Zippel); the degree is below 128. What it buys: the sums over rounds are
//! products of short polynomials, so the multiplications by the matrix are done once instead of once a round.
//!
//! | equations | monomial | combined |
//! |---|---|---|
//! | partial round k, beyond the first n + 1 | `rho^k` | `A(rho) X(rho) - rho B(rho) Y(rho)`, less the terms at both ends |
//! | partial rounds 0 to n | `rho^k` | one by one |
//! | S-box i of full round r | `kappa sigma^i rho^r` | `sum_i sigma^i x_i - sum_j tau_j y_j`, `tau_j = sum_i sigma^i M_ij` |
//! | S-box i of the round behind the partial ones | `kappa sigma^i rho^6` | one by one |
//!
//! A and B are the recurrence of the partial rounds ([`super::schedule`]), X and Y the S-boxes' inputs and outputs as
//! coefficients. The constants of the rounds are added to the outputs: shifts d with `sum_j b_j d_(k-1-j) = constant_k`.
//!
//! Field operations of a permutation of 3, 5, 6 elements: 750, 1,071, 1,244, as `golden/lanes.json` counts them; one by one they
//! are 1,102, 1,947, 2,386.

use halo2curves::bn256::Fr;

use super::schedule::Schedule;
use crate::algebra::{Algebra, sum};
use crate::window::fold;

/// The prefix sums of `factors_i challenge^i`: the first up to each.
fn prefixes<A: Algebra>(challenge: &A, factors: &[Fr]) -> Vec<A> {
    let mut power = A::number(1);
    let mut total = None;
    factors
        .iter()
        .enumerate()
        .map(|(i, factor)| {
            if i > 0 {
                power = match i {
                    1 => challenge.clone(),
                    _ => power.clone() * challenge.clone(),
                };
            }
            let term = match i {
                0 => A::constant(*factor),
                _ => power.clone() * *factor,
            };
            let next = match total.take() {
                None => term,
                Some(before) => before + term,
            };
            total = Some(next.clone());
            next
        })
        .collect()
}

fn raised<A: Algebra>(base: &A, exponent: usize) -> A {
    let mut result: Option<A> = None;
    for bit in (0..usize::BITS - exponent.leading_zeros()).rev() {
        result = result.map(|value| value.squared());
        if exponent >> bit & 1 == 1 {
            result = Some(match result {
                None => base.clone(),
                Some(value) => value * base.clone(),
            });
        }
    }
    result.unwrap_or_else(|| A::number(1))
}

impl Schedule {
    /// The sum of all equations but the output's, under the challenges `rho, sigma, kappa`.
    pub fn folded<A: Algebra>(&self, cell: &dyn Fn(usize) -> A, challenges: &[A; 3]) -> A {
        let [rho, sigma, kappa] = challenges;
        self.partial_part(cell, rho) + self.full_part(cell, rho, sigma) * kappa.clone()
    }

    /// First cell of full round 1 to 3, of the partial rounds, and of the full rounds behind them.
    fn starts(&self) -> (usize, usize, usize) {
        let first = self.inputs();
        let partial = first + 3 * self.width();
        (first, partial, partial + self.recurrence.rounds)
    }

    fn full_part<A: Algebra>(&self, cell: &dyn Fn(usize) -> A, rho: &A, sigma: &A) -> A {
        let width = self.width();
        let (first, _, behind) = self.starts();
        let weights: Vec<A> = (0..width)
            .map(|j| fold(sigma, self.matrix.iter().map(|row| A::constant(row[j]))))
            .collect();
        let round = |outputs: Vec<A>, next: usize, constants: &[Fr]| {
            let inputs = constants.iter().enumerate();
            let inputs = inputs.map(|(i, constant)| cell(next + i) - A::constant(*constant));
            let mixed = weights.iter().zip(outputs).map(|(w, y)| y * w.clone());
            fold(sigma, inputs) - sum(mixed)
        };
        let powers = |start: usize| {
            (start..start + width)
                .map(|i| self.power(i, cell))
                .collect()
        };
        let (early, late) = self.full_constants.split_at(3);
        let mut rounds = Vec::with_capacity(7);
        for (r, constants) in early.iter().enumerate() {
            let outputs = match r {
                0 => std::iter::once(A::constant(self.capacity()))
                    .chain((0..self.inputs()).map(|i| self.power(i, cell)))
                    .collect(),
                _ => powers(first + (r - 1) * width),
            };
            rounds.push(round(outputs, first + r * width, constants));
        }
        for (r, constants) in late.iter().enumerate() {
            let start = behind + r * width;
            rounds.push(round(powers(start), start + width, constants));
        }
        let entering = (behind..behind + width).map(|i| cell(i) - self.next(i, cell));
        rounds.push(fold(sigma, entering));
        fold(rho, rounds.into_iter())
    }

    fn partial_part<A: Algebra>(&self, cell: &dyn Fn(usize) -> A, rho: &A) -> A {
        let recurrence = &self.recurrence;
        let (n, rounds) = (self.inputs(), recurrence.rounds);
        let (_, first, _) = self.starts();
        let x = |m: usize| cell(first + m);
        let shifts = self.shifts();
        let y = |m: usize| match m < n {
            true => self.power(first + m, cell),
            false => self.power(first + m, cell) + A::constant(shifts[m]),
        };
        let entries = fold(rho, (0..=n).map(|k| x(k) - self.next(first + k, cell)));
        let (a, b) = (
            prefixes(rho, &recurrence.cells),
            prefixes(rho, &recurrence.powers),
        );
        let (whole_a, whole_b) = (a[n].clone(), b[n].clone());
        // sums over all rounds hold terms of equations that are none of these: rounds up to n, and beyond the last
        let head_x = fold(rho, (0..=n).map(|m| x(m) * a[n - m].clone()));
        let head_y = fold(rho, (0..n).map(|m| y(m) * b[n - 1 - m].clone()));
        let tail_x = fold(
            rho,
            (1..=n)
                .rev()
                .map(|s| x(rounds - s) * (whole_a.clone() - a[s - 1].clone())),
        );
        let tail_y = fold(
            rho,
            (1..=n)
                .rev()
                .map(|s| y(rounds - 1 - s) * (whole_b.clone() - b[s - 1].clone())),
        );
        let high = raised(rho, rounds - n);
        let all_x = fold(rho, (0..rounds).map(x));
        let all_y = fold(rho, (0..rounds - 1).map(y));
        let inputs = all_x * whole_a - head_x;
        let outputs = (all_y * whole_b - head_y) * rho.clone();
        entries + inputs - outputs - (tail_x - tail_y) * high
    }

    /// What each output of a partial round is shifted by, so that the recurrence has no constants.
    fn shifts(&self) -> Vec<Fr> {
        let recurrence = &self.recurrence;
        let n = self.inputs();
        let corner = recurrence.powers[0]
            .invert()
            .expect("the corner of an MDS matrix");
        let mut shifts = vec![Fr::zero(); n];
        for k in n + 1..recurrence.rounds {
            let known: Fr = (1..=n)
                .map(|j| recurrence.powers[j] * shifts[k - 1 - j])
                .sum();
            shifts.push((recurrence.constants[k] - known) * corner);
        }
        shifts
    }
}

#[cfg(test)]
mod tests {
    use ff::Field;

    use super::*;

    /// The equations one by one, each with its monomial.
    fn one_by_one(schedule: &Schedule, cells: &[Fr], [rho, sigma, kappa]: [Fr; 3]) -> Fr {
        let (first, partial, behind) = schedule.starts();
        let width = schedule.width();
        let equation = |i: usize| cells[i] - schedule.next(i, &|i| cells[i]);
        let power = |base: Fr, exponent: usize| base.pow_vartime([exponent as u64, 0, 0, 0]);
        let mut total = Fr::zero();
        for k in 0..schedule.recurrence.rounds {
            total += power(rho, k) * equation(partial + k);
        }
        let rounds = [first, first + width, first + 2 * width];
        let late = [1, 2, 3].map(|r| behind + r * width);
        let order = rounds.into_iter().chain(late).chain([behind]);
        for (r, start) in order.enumerate() {
            for i in 0..width {
                total += kappa * power(sigma, i) * power(rho, r) * equation(start + i);
            }
        }
        total
    }

    #[test]
    fn the_sum_is_that_of_the_equations_on_any_cells() {
        let drawn = [11_u64, 13, 17].map(|seed| (Fr::from(seed) * -Fr::from(0xabcd)).fifth_power());
        for width in [3, 5, 6] {
            let schedule = Schedule::derive(width);
            let inputs: Vec<Fr> = (1..width as u64).map(Fr::from).collect();
            let (honest, _) = schedule.run(&inputs);
            assert_eq!(schedule.folded(&|i| honest[i], &drawn), Fr::zero());
            let noise =
                (0..schedule.cells() as u64).map(|i| (Fr::from(i) - Fr::from(40)).fifth_power());
            let noise: Vec<Fr> = noise.collect();
            let folded = schedule.folded(&|i| noise[i], &drawn);
            assert_eq!(folded, one_by_one(&schedule, &noise, drawn), "{width}");
            assert_ne!(folded, Fr::zero());
            // each cell alone
            for changed in 0..schedule.cells() {
                let mut cells = honest.clone();
                cells[changed] += Fr::one();
                let folded = schedule.folded(&|i| cells[i], &drawn);
                assert_eq!(folded, one_by_one(&schedule, &cells, drawn));
                assert_ne!(folded, Fr::zero(), "{width}: {changed}");
            }
        }
    }
}
