//! circom's `.r1cs` file: constraints `<a, w> <b, w> = <c, w>` over wires w, and how many wires are public.
//!
//! Wire 0 is the constant 1, then come public outputs, public inputs and all others: the order in which arkworks
//! counts instance and witness variables, so a wire's number is a variable's index as it stands. Custom gates are
//! refused, names of wires are not read.

use std::path::Path;

use ark_bn254::Fr;
use ark_relations::{
    gr1cs::{
        ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, SynthesisError, Variable,
    },
    utils::matrix::Matrix,
};
use rayon::prelude::*;

use super::binary::{self, Cursor, FIELD_BYTES, FormatError, Sections};

const MAGIC: [u8; 4] = *b"r1cs";
const VERSION: u32 = 1;
const HEADER: u32 = 1;
const CONSTRAINTS: u32 = 2;
const CUSTOM_GATES_LIST: u32 = 4;
const CUSTOM_GATES_USE: u32 = 5;

/// Bytes of a term: a wire and its coefficient.
const TERM_BYTES: usize = 4 + FIELD_BYTES;

/// Bytes of the smallest constraint: three counts of 0.
const CONSTRAINT_BYTES_MIN: usize = 3 * 4;

/// Most wires: as many as circuits of 2^22 constraints have, more than this machine could prove.
const WIRES_MAX: u32 = 1 << 23;

/// A compiled circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct R1cs {
    /// Wires, the constant 1 included.
    pub wires: usize,
    /// Public wires, the constant 1 included.
    pub public: usize,
    /// The sides a, b and c, a row for each constraint.
    pub matrices: [Matrix<Fr>; 3],
}

impl R1cs {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn read(path: &Path) -> Result<Self, FormatError> {
        Self::parse(&binary::read_file(path)?)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let sections = Sections::parse(bytes, MAGIC, VERSION)?;
        for kind in [CUSTOM_GATES_LIST, CUSTOM_GATES_USE] {
            // circom writes empty lists as a count of 0
            if sections.has(kind) {
                let count = sections.one(kind)?.u32("number of custom gates")?;
                binary::expect("number of custom gates", 0, count.into())?;
            }
        }
        let mut header = sections.one(HEADER)?;
        header.prime()?;
        let wires = header.u32("number of wires")?;
        let outputs = header.u32("number of public outputs")?;
        let inputs = header.u32("number of public inputs")?;
        let private = header.u32("number of private inputs")?;
        header.u64("number of labels")?;
        let constraints = header.u32("number of constraints")?;
        header.end("the header")?;
        at_most("number of wires", wires.into(), WIRES_MAX.into())?;
        let public = 1 + u64::from(outputs) + u64::from(inputs);
        at_most(
            "number of inputs and outputs",
            public + u64::from(private),
            wires.into(),
        )?;
        let mut section = sections.one(CONSTRAINTS)?;
        let constraints =
            section.fits("number of constraints", constraints, CONSTRAINT_BYTES_MIN)?;
        let mut matrices: [Matrix<Fr>; 3] =
            std::array::from_fn(|_| Vec::with_capacity(constraints));
        for constraint in 0..constraints {
            for matrix in &mut matrices {
                matrix.push(combination(&mut section, wires, constraint)?);
            }
        }
        section.end("the constraints")?;
        Ok(Self {
            wires: wires as usize,
            public: public as usize,
            matrices,
        })
    }

    /// Number of constraints.
    #[must_use]
    pub fn constraints(&self) -> usize {
        self.matrices[0].len()
    }

    /// The first constraint that `witness`, a value for each wire, does not satisfy.
    #[must_use]
    pub fn first_unsatisfied(&self, witness: &[Fr]) -> Option<usize> {
        let value = |row: &[(Fr, usize)]| -> Fr {
            row.iter()
                .map(|(coefficient, wire)| *coefficient * witness[*wire])
                .sum()
        };
        let [a, b, c] = &self.matrices;
        let rows = (0..self.constraints()).into_par_iter();
        rows.filter(|row| value(&a[*row]) * value(&b[*row]) != value(&c[*row]))
            .min()
    }
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), FormatError> {
    if found <= limit {
        Ok(())
    } else {
        Err(FormatError::TooMany { what, found, limit })
    }
}

/// One side of a constraint.
fn combination(
    section: &mut Cursor<'_>,
    wires: u32,
    constraint: usize,
) -> Result<Vec<(Fr, usize)>, FormatError> {
    let terms = section.u32("number of terms")?;
    let terms = section.fits("number of terms", terms, TERM_BYTES)?;
    let mut row = Vec::with_capacity(terms);
    for _ in 0..terms {
        let wire = section.u32("wire of a term")?;
        let last = wires.saturating_sub(1);
        at_most("wire of a term", wire.into(), last.into())?;
        row.push((section.field("coefficient", constraint)?, wire as usize));
    }
    Ok(row)
}

/// For the setup: variables without values. Proofs are made from the matrices themselves.
impl ConstraintSynthesizer<Fr> for &R1cs {
    fn generate_constraints(self, system: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let missing = || Err(SynthesisError::AssignmentMissing);
        let mut variables = Vec::with_capacity(self.wires);
        variables.push(Variable::One);
        for _ in 1..self.public {
            variables.push(system.new_input_variable(missing)?);
        }
        for _ in self.public..self.wires {
            variables.push(system.new_witness_variable(missing)?);
        }
        let [a, b, c] = &self.matrices;
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            let side = |row: &[(Fr, usize)]| {
                let terms = row.iter();
                LinearCombination(terms.map(|(f, wire)| (*f, variables[*wire])).collect())
            };
            system.enforce_r1cs_constraint(|| side(a), || side(b), || side(c))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "r1cs/tests.rs"]
mod tests;
