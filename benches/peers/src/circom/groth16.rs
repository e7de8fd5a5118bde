//! Witness, setup, proofs and verification of a compiled chain of transfers, each timed.
//!
//! What is timed as a proof is arkworks' prover on matrices that are in memory already, as a prover that makes many
//! proofs of one circuit would run it. The witness is circom's WebAssembly calculator under node, in a process of its own:
//! its time includes the start of node.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use ark_bn254::{Bn254, Fr};
use ark_ff::UniformRand;
use ark_groth16::{Groth16, Proof, ProvingKey, prepare_verifying_key};
use ark_relations::gr1cs::SynthesisError;
use rand::rngs::OsRng;

use super::{FormatError, R1cs, inputs::Inputs, witness};
use crate::{
    report::{self, Row, Subject},
    workload::{Hashing, Workload},
};

/// Start of this peer's rows.
pub const PEER: &str = "circom_groth16";

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum CircomError {
    /// A file that circom wrote is refused.
    #[error("{path}: {source}")]
    Format {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: FormatError,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// node does not start.
    #[error("cannot run node: {0}; install Node.js 20 or later")]
    Node(std::io::Error),
    /// The calculator refuses the inputs.
    #[error("the witness calculator failed: {0}")]
    Calculator(String),
    /// The witness is for another circuit.
    #[error("the witness has {found} values, the circuit {expected} wires; compile again")]
    Length {
        /// Wires.
        expected: usize,
        /// Values.
        found: usize,
    },
    /// The public wires are not what was asked for.
    #[error("the public wires are not 1, the two roots and the fees; compile again")]
    Public,
    /// A constraint does not hold.
    #[error("the witness does not satisfy constraint {0}")]
    Unsatisfied(usize),
    /// arkworks refuses.
    #[error("arkworks: {0}")]
    Groth16(#[from] SynthesisError),
    /// A proof does not verify.
    #[error("a proof was not accepted")]
    Refused,
}

/// The files of a compiled circuit.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
    name: String,
}

impl Files {
    /// The files for `count` transfers in the build directory.
    #[must_use]
    pub fn new(directory: &Path, count: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            name: format!("transfers_{count}"),
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}{suffix}", self.name))
    }

    /// The constraints.
    ///
    /// # Errors
    /// [`CircomError::Format`].
    pub fn constraints(&self) -> Result<R1cs, CircomError> {
        let path = self.path(".r1cs");
        R1cs::read(&path).map_err(|source| CircomError::Format { path, source })
    }

    /// Runs the calculator: from inputs in memory to values in memory.
    ///
    /// # Errors
    /// Any of the first five.
    pub fn witness(&self, workload: &Workload) -> Result<Vec<Fr>, CircomError> {
        let (input, output) = (self.path(".input.json"), self.path(".wtns"));
        let json = serde_json::to_vec(&Inputs::new(workload)).map_err(std::io::Error::from);
        json.and_then(|json| std::fs::write(&input, json))
            .map_err(|source| CircomError::Write {
                path: input.clone(),
                source,
            })?;
        let scripts = self.path("_js");
        let run = Command::new("node")
            .arg(scripts.join("generate_witness.js"))
            .arg(scripts.join(format!("{}.wasm", self.name)))
            .args([&input, &output])
            .output()
            .map_err(CircomError::Node)?;
        if !run.status.success() {
            let complaint = String::from_utf8_lossy(&run.stderr).trim().to_owned();
            return Err(CircomError::Calculator(complaint));
        }
        witness::read(&output).map_err(|source| CircomError::Format {
            path: output,
            source,
        })
    }
}

/// A witness that satisfies a circuit for a workload's public inputs, checked.
///
/// # Errors
/// [`CircomError::Length`], [`CircomError::Public`], [`CircomError::Unsatisfied`].
pub fn check(circuit: &R1cs, values: &[Fr], workload: &Workload) -> Result<(), CircomError> {
    if values.len() != circuit.wires {
        return Err(CircomError::Length {
            expected: circuit.wires,
            found: values.len(),
        });
    }
    if values[..circuit.public] != public(workload)[..] {
        return Err(CircomError::Public);
    }
    match circuit.first_unsatisfied(values) {
        Some(constraint) => Err(CircomError::Unsatisfied(constraint)),
        None => Ok(()),
    }
}

/// The values of the public wires.
fn public(workload: &Workload) -> [Fr; 4] {
    let fees = workload.fees.into();
    [1_u64.into(), workload.old_root, workload.new_root, fees]
}

/// Keys from fresh toxic waste, forgotten at once.
///
/// # Errors
/// [`CircomError::Groth16`].
pub fn setup(circuit: &R1cs) -> Result<ProvingKey<Bn254>, CircomError> {
    let key = Groth16::<Bn254>::generate_random_parameters_with_reduction(circuit, &mut OsRng)?;
    Ok(key)
}

/// A proof for a witness that was checked.
///
/// # Errors
/// [`CircomError::Groth16`].
pub fn prove(
    key: &ProvingKey<Bn254>,
    circuit: &R1cs,
    values: &[Fr],
) -> Result<Proof<Bn254>, CircomError> {
    let proof = Groth16::<Bn254>::create_proof_with_reduction_and_matrices(
        key,
        Fr::rand(&mut OsRng),
        Fr::rand(&mut OsRng),
        &circuit.matrices,
        circuit.public,
        circuit.constraints(),
        values,
    )?;
    Ok(proof)
}

/// Whether a proof holds for these public inputs, the constant 1 left out.
///
/// # Errors
/// [`CircomError::Groth16`]; [`CircomError::Refused`].
pub fn verify(
    key: &ProvingKey<Bn254>,
    public: &[Fr],
    proof: &Proof<Bn254>,
) -> Result<(), CircomError> {
    let prepared = prepare_verifying_key(&key.vk);
    if Groth16::<Bn254>::verify_proof(&prepared, proof, public)? {
        Ok(())
    } else {
        Err(CircomError::Refused)
    }
}

/// Measures `runs` witnesses and proofs of `count` transfers, each run with transfers of its own.
///
/// # Errors
/// [`CircomError`].
pub fn measure(directory: &Path, count: usize, runs: usize) -> Result<Vec<Row>, CircomError> {
    let load_before = report::load();
    let files = Files::new(directory, count);
    let circuit = files.constraints()?;
    let (key, setup_time) = report::timed(|| setup(&circuit));
    let key = key?;
    let (mut witnesses, mut proofs, mut verifications) = (vec![], vec![], vec![]);
    for seed in 0..runs {
        let workload = Workload::new(Hashing::Circomlib, count, seed as u64);
        let (values, time) = report::timed(|| files.witness(&workload));
        let values = values?;
        witnesses.push(time);
        check(&circuit, &values, &workload)?;
        let (proof, time) = report::timed(|| prove(&key, &circuit, &values));
        proofs.push(time);
        let public = &public(&workload)[1..];
        let (verdict, time) = report::timed(|| proof.and_then(|p| verify(&key, public, &p)));
        verdict?;
        verifications.push(time);
    }
    let subject = Subject {
        peer: PEER,
        transfers: count,
        size: circuit.constraints(),
        size_unit: "constraints",
        load_before,
    };
    let terms: usize = circuit.matrices.iter().flatten().map(Vec::len).sum();
    let size = format!(
        "circomlib by circom --O2: {} wires, {terms} terms; ark-groth16 0.6.0, parallel, matrices in memory; every \
         proof verified",
        circuit.wires
    );
    let node = "circom's WebAssembly calculator under node, start included";
    Ok(vec![
        subject.per_transfer("proof", &proofs, &size),
        subject.per_transfer(
            "proof_with_witness",
            &report::sums(&proofs, &witnesses),
            node,
        ),
        subject.per_transfer("witness", &witnesses, node),
        subject.per_proof("proof", &proofs, &size),
        subject.per_proof("setup", &[setup_time], "one run; toxic waste in process"),
        subject.per_proof("verification", &verifications, "key prepared in each run"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x y = out`, where out is public.
    fn product() -> R1cs {
        let wire = |wire| vec![vec![(Fr::from(1_u64), wire)]];
        R1cs {
            wires: 4,
            public: 2,
            matrices: [wire(2), wire(3), wire(1)],
        }
    }

    #[test]
    fn a_proof_from_matrices_fits_the_key_of_the_synthesized_circuit() {
        let circuit = product();
        let values = [1_u64, 15, 3, 5].map(Fr::from);
        assert_eq!(circuit.first_unsatisfied(&values), None);
        let key = setup(&circuit).unwrap();
        let proof = prove(&key, &circuit, &values).unwrap();
        assert!(verify(&key, &values[1..2], &proof).is_ok());
        let refused = verify(&key, &[Fr::from(16_u64)], &proof);
        assert!(matches!(refused, Err(CircomError::Refused)));
    }

    #[test]
    fn a_witness_of_another_circuit_is_refused() {
        let workload = Workload::new(Hashing::Circomlib, 1, 1);
        let circuit = product();
        let short = check(&circuit, &[Fr::from(1_u64)], &workload);
        assert!(matches!(
            short,
            Err(CircomError::Length {
                expected: 4,
                found: 1
            })
        ));
        let values = [1_u64, 15, 3, 5].map(Fr::from);
        let other = check(&circuit, &values, &workload);
        assert!(matches!(other, Err(CircomError::Public)));
    }
}
