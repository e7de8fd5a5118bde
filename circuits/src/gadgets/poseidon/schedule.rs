//! The permutation as a list of cells, each a fixed function of earlier cells.
//!
//! The cells are the S-box *inputs* (round constant included), not the outputs, so that every round
//! is a linear equation between cells and fifth powers of cells. One description, [`Schedule::next`],
//! serves the gate (expressions) and the witness (values).
//!
//! Partial rounds. Split the linear layer as `[[m, v], [w, N]]` and the state as `(u, U)`. `U`
//! evolves linearly with the S-box outputs `y_k` as its only input:
//! `U_{k+1} = N U_k + w y_k + const`, and the next S-box input is `x_{k+1} = m y_k + v U_k + const`.
//! By Cayley-Hamilton, with `a` the characteristic polynomial of N and `n = t - 1`,
//! `x_{k+1} = - sum_{i=1..n} a_i x_{k+1-i} + sum_{j=0..n} b_j y_{k-j} + const`,
//! `b_j = m a_j + sum_{i<j} a_i v N^(j-i-1) w`: the lanes never appear, the coefficients are the same
//! in every round, and a round needs one cell and `2t - 1` multiplications. `U` is solved from the
//! last n rounds where the final full rounds need it.
//!
//! Deviations from the Poseidon paper: none in the function, only in which values are written down. The equations may
//! also be combined into one ([`super::folded`]).

use halo2curves::bn256::Fr;
use light_poseidon::parameters::bn254_x5::get_poseidon_parameters;

use super::linear::{Matrix, apply, apply_left, characteristic_polynomial, dot, invert};
use crate::algebra::Algebra;
use crate::convert::{NativeField, to_circuit};

/// A linear combination of cells and of fifth powers of cells, plus a constant.
#[derive(Clone, Debug, Default)]
struct Form {
    cells: Vec<(usize, Fr)>,
    powers: Vec<(usize, Fr)>,
    constant: Fr,
}

impl Form {
    fn add_scaled(&mut self, other: &Form, factor: Fr) {
        for (mine, theirs) in [
            (&mut self.cells, &other.cells),
            (&mut self.powers, &other.powers),
        ] {
            for (index, value) in theirs {
                match mine.iter_mut().find(|(known, _)| known == index) {
                    Some((_, sum)) => *sum += value * factor,
                    None => mine.push((*index, value * factor)),
                }
            }
        }
        self.constant += other.constant * factor;
    }

    fn combination(factors: &[Fr], forms: &[Form]) -> Form {
        let mut out = Form::default();
        for (factor, form) in factors.iter().zip(forms) {
            out.add_scaled(form, *factor);
        }
        out
    }

    fn plus_constant(mut self, constant: Fr) -> Form {
        self.constant += constant;
        self
    }

    fn cell(index: usize) -> Form {
        Form {
            cells: vec![(index, Fr::one())],
            ..Form::default()
        }
    }

    fn power(index: usize) -> Form {
        Form {
            powers: vec![(index, Fr::one())],
            ..Form::default()
        }
    }

    fn evaluate<A: Algebra>(&self, cell: &dyn Fn(usize) -> A, power: &dyn Fn(usize) -> A) -> A {
        let cells = self
            .cells
            .iter()
            .map(|(index, factor)| cell(*index) * *factor);
        let powers = self
            .powers
            .iter()
            .map(|(index, factor)| power(*index) * *factor);
        cells
            .chain(powers)
            .fold(A::constant(self.constant), |sum, term| sum + term)
    }
}

/// The permutation of `(0, inputs)` for one width.
///
/// Cells `0..t-1` are the inputs; then the S-box inputs of full rounds 1 to 3, of the partial
/// rounds, and of full rounds 4 to 7. The output (first element) is one more form.
#[derive(Clone, Debug)]
pub struct Schedule {
    width: usize,
    /// Constant of S-box j of the first round: its input is cell `j - 1` plus this.
    first_constants: Vec<Fr>,
    /// Definition of cell `inputs + i`.
    definitions: Vec<Form>,
    output: Form,
    /// The linear layer.
    pub(super) matrix: Matrix,
    /// Constants of the full rounds whose S-box inputs are the linear layer of cells: 1 to 3, and the last three.
    pub(super) full_constants: Vec<Vec<Fr>>,
    /// The partial rounds.
    pub(super) recurrence: Recurrence,
}

/// What S-box input k of the partial rounds is, for k above n:
/// `sum_i cells_i x_(k-i) = sum_j powers_j y_(k-1-j) + constants_k`, `cells_0 = 1`.
#[derive(Clone, Debug, Default)]
pub(super) struct Recurrence {
    /// Partial rounds.
    pub(super) rounds: usize,
    /// a, from `a_0 = 1`.
    pub(super) cells: Vec<Fr>,
    /// b.
    pub(super) powers: Vec<Fr>,
    /// Of each round; those up to n are not used.
    pub(super) constants: Vec<Fr>,
}

impl Schedule {
    /// Derives the schedule for `width` elements (inputs plus one).
    ///
    /// # Panics
    /// If circomlib publishes no parameters for `width`.
    #[must_use]
    pub fn derive(width: usize) -> Self {
        let published = get_poseidon_parameters::<NativeField>(width as u8)
            .expect("circomlib publishes parameters for 2 to 13 elements");
        let constants: Vec<Vec<Fr>> = published
            .ark
            .chunks_exact(width)
            .map(|round| round.iter().map(|value| to_circuit(*value)).collect())
            .collect();
        let matrix: Matrix = published
            .mds
            .iter()
            .map(|row| row.iter().map(|value| to_circuit(*value)).collect())
            .collect();
        let half = published.full_rounds / 2;
        let mut builder = Builder {
            width,
            matrix,
            definitions: Vec::new(),
            first_constants: constants[0].clone(),
            recurrence: Recurrence::default(),
        };
        let mut powers = builder.first_round();
        for round in &constants[1..half] {
            powers = builder.full_round(&powers, round);
        }
        let (partial, last) = constants[half..].split_at(published.partial_rounds);
        let state = builder.partial_rounds(&powers, partial);
        let mut powers = builder.store(state, &last[0]);
        for round in &last[1..] {
            powers = builder.full_round(&powers, round);
        }
        let output = Form::combination(&builder.matrix[0], &powers);
        Schedule {
            width,
            first_constants: builder.first_constants,
            definitions: builder.definitions,
            output,
            matrix: builder.matrix,
            full_constants: [&constants[1..half], &last[1..]].concat(),
            recurrence: builder.recurrence,
        }
    }

    /// Elements of the state.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Inputs of the hash.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.width - 1
    }

    /// Number of cells, inputs included, output not.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.inputs() + self.definitions.len()
    }

    /// What cell `index` (not an input) must be, given the earlier cells.
    pub fn next<A: Algebra>(&self, index: usize, cell: &dyn Fn(usize) -> A) -> A {
        self.evaluate(&self.definitions[index - self.inputs()], cell)
    }

    /// What the hash is, given all cells.
    pub fn output<A: Algebra>(&self, cell: &dyn Fn(usize) -> A) -> A {
        self.evaluate(&self.output, cell)
    }

    fn evaluate<A: Algebra>(&self, form: &Form, cell: &dyn Fn(usize) -> A) -> A {
        form.evaluate(cell, &|index| self.power(index, cell))
    }

    /// What the S-box of a cell puts out.
    pub(super) fn power<A: Algebra>(&self, index: usize, cell: &dyn Fn(usize) -> A) -> A {
        // Inputs are stored without the first round's constant, every other cell with its own.
        if index < self.inputs() {
            (cell(index) + A::constant(self.first_constants[index + 1])).fifth_power()
        } else {
            cell(index).fifth_power()
        }
    }

    /// What the S-box of the capacity element puts out in the first round.
    pub(super) fn capacity(&self) -> Fr {
        self.first_constants[0].fifth_power()
    }

    /// The witness: all cells and the hash.
    #[must_use]
    pub fn run(&self, inputs: &[Fr]) -> (Vec<Fr>, Fr) {
        let mut cells = inputs.to_vec();
        let mut powers: Vec<Fr> = inputs
            .iter()
            .zip(&self.first_constants[1..])
            .map(|(input, constant)| (input + constant).fifth_power())
            .collect();
        for form in &self.definitions {
            let value: Fr = form.evaluate(&|index| cells[index], &|index| powers[index]);
            cells.push(value);
            powers.push(value.fifth_power());
        }
        let output = self
            .output
            .evaluate(&|index| cells[index], &|index| powers[index]);
        (cells, output)
    }
}

struct Builder {
    width: usize,
    matrix: Matrix,
    definitions: Vec<Form>,
    first_constants: Vec<Fr>,
    recurrence: Recurrence,
}

impl Builder {
    /// S-box outputs of the first round; the capacity element is the constant 0.
    fn first_round(&self) -> Vec<Form> {
        let capacity = Form {
            constant: self.first_constants[0].fifth_power(),
            ..Form::default()
        };
        std::iter::once(capacity)
            .chain((0..self.width - 1).map(Form::power))
            .collect()
    }

    /// Writes S-box inputs as cells and returns the S-box outputs.
    fn store(&mut self, state: Vec<Form>, constants: &[Fr]) -> Vec<Form> {
        state
            .into_iter()
            .zip(constants)
            .map(|(form, constant)| Form::power(self.define(form.plus_constant(*constant))))
            .collect()
    }

    fn define(&mut self, form: Form) -> usize {
        self.definitions.push(form);
        self.width - 1 + self.definitions.len() - 1
    }

    fn full_round(&mut self, powers: &[Form], constants: &[Fr]) -> Vec<Form> {
        let state = self
            .matrix
            .iter()
            .map(|row| Form::combination(row, powers))
            .collect();
        self.store(state, constants)
    }

    /// Lays down the partial rounds and returns the state after them.
    fn partial_rounds(&mut self, powers: &[Form], constants: &[Vec<Fr>]) -> Vec<Form> {
        let n = self.width - 1;
        let rounds = constants.len();
        let corner = self.matrix[0][0];
        let v: Vec<Fr> = self.matrix[0][1..].to_vec();
        let w: Vec<Fr> = self.matrix[1..].iter().map(|row| row[0]).collect();
        let lanes: Matrix = self.matrix[1..]
            .iter()
            .map(|row| row[1..].to_vec())
            .collect();
        let a = characteristic_polynomial(&lanes);
        // v N^i for i = 0..n
        let mut observed = vec![v.clone()];
        for i in 0..n {
            observed.push(apply_left(&observed[i], &lanes));
        }
        let b: Vec<Fr> = (0..=n)
            .map(|j| {
                let through_lanes: Fr = (0..j).map(|i| a[i] * dot(&observed[j - i - 1], &w)).sum();
                corner * a[j] + through_lanes
            })
            .collect();

        // The constant trajectory: what x and U are when every S-box output is 0.
        let mut lanes_constant = vec![vec![Fr::zero(); n]];
        let mut x_constant = vec![constants[0][0]];
        for k in 0..rounds {
            let shifted: Vec<Fr> = lanes_constant[k]
                .iter()
                .zip(&constants[k][1..])
                .map(|(u, c)| u + c)
                .collect();
            let next_constant = constants.get(k + 1).map_or(Fr::zero(), |round| round[0]);
            x_constant.push(dot(&v, &shifted) + next_constant);
            lanes_constant.push(apply(&lanes, &shifted));
        }

        let entering: Vec<Form> = self
            .matrix
            .iter()
            .map(|row| Form::combination(row, powers))
            .collect();
        let mut x = vec![self.define(entering[0].clone().plus_constant(constants[0][0]))];
        let mut recurring = vec![Fr::zero()];
        for k in 0..rounds - 1 {
            let mut form = Form::default();
            if k < n {
                form.add_scaled(&Form::combination(&observed[k], &entering[1..]), Fr::one());
                form.add_scaled(&Form::power(x[k]), corner);
                for m in 1..=k {
                    form.add_scaled(&Form::power(x[k - m]), dot(&observed[m - 1], &w));
                }
                form.constant += x_constant[k + 1];
            } else {
                let mut constant = x_constant[k + 1];
                for i in 1..=n {
                    form.add_scaled(&Form::cell(x[k + 1 - i]), -a[i]);
                    constant += a[i] * x_constant[k + 1 - i];
                }
                for (j, factor) in b.iter().enumerate() {
                    form.add_scaled(&Form::power(x[k - j]), *factor);
                }
                form.constant += constant;
            }
            recurring.push(form.constant);
            x.push(self.define(form));
        }
        self.recurrence = Recurrence {
            rounds,
            cells: a,
            powers: b,
            constants: recurring,
        };

        // Solve the lanes before round `start` from x_{start+1} .. x_{start+n}, then run them out.
        let start = rounds - 1 - n;
        let observability: Matrix = observed[..n].to_vec();
        let solve = invert(&observability).expect("the lanes of an MDS matrix are observable");
        let seen: Vec<Form> = (0..n)
            .map(|i| {
                let mut form = Form::cell(x[start + i + 1]);
                form.constant -= x_constant[start + i + 1];
                form.add_scaled(&Form::power(x[start + i]), -corner);
                for m in 1..=i {
                    form.add_scaled(&Form::power(x[start + i - m]), -dot(&observed[m - 1], &w));
                }
                form
            })
            .collect();
        let mut state: Vec<Form> = solve
            .iter()
            .map(|row| Form::combination(row, &seen))
            .collect();
        let mut first = Form::default();
        for (k, cell) in x.iter().enumerate().skip(start) {
            let output = Form::power(*cell);
            if k + 1 == rounds {
                first = Form::combination(&v, &state).plus_constant(x_constant[rounds]);
                first.add_scaled(&output, corner);
            }
            state = lanes
                .iter()
                .zip(&w)
                .map(|(row, factor)| {
                    let mut form = Form::combination(row, &state);
                    form.add_scaled(&output, *factor);
                    form
                })
                .collect();
        }
        let lanes_out = state
            .into_iter()
            .zip(&lanes_constant[rounds])
            .map(|(form, constant)| form.plus_constant(*constant));
        std::iter::once(first).chain(lanes_out).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::hash::poseidon;

    use super::*;
    use crate::convert::to_native;

    fn compare<const N: usize>(inputs: [Fr; N]) {
        let schedule = Schedule::derive(N + 1);
        let (cells, output) = schedule.run(&inputs);
        assert_eq!(to_native(output), poseidon(inputs.map(to_native)));
        for index in N..schedule.cells() {
            assert_eq!(schedule.next(index, &|i| cells[i]), cells[index]);
        }
        assert_eq!(schedule.output(&|i| cells[i]), output);
        assert_eq!(
            schedule.cells(),
            8 * (N + 1) + schedule.partial_rounds() - 1
        );
    }

    impl Schedule {
        fn partial_rounds(&self) -> usize {
            if self.width == 3 { 57 } else { 60 }
        }
    }

    #[test]
    fn schedule_equals_the_protocol_hash_on_boundary_and_random_inputs() {
        let minus_one = -Fr::one();
        let power = crate::convert::power_of_two(120);
        let mut values = vec![Fr::zero(), Fr::one(), minus_one, power, power - Fr::one()];
        for i in 0..5u64 {
            values.push((Fr::from(i + 3) * minus_one).fifth_power().fifth_power());
        }
        for (i, value) in values.iter().enumerate() {
            let other = values[(i + 3) % values.len()];
            compare([*value, other]);
            compare([*value, other, *value, other]);
            compare([other, *value, other, *value, *value]);
        }
    }
}
