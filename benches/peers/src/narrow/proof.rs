//! The narrow circuit as halo2 sees it, its keys and proofs: KZG over BN254, SHPLONK, Blake2b transcript.
//!
//! The reference string is drawn once for a size and kept in the build directory; nobody forgets its secret in a
//! ceremony, so it is for figures only.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use halo2_proofs::{
    SerdeFormat,
    circuit::{Cell, Layouter, SimpleFloorPlanner, Value},
    plonk::{
        self, Any, Circuit, Column, ConstraintSystem, ProvingKey, create_proof, keygen_pk,
        keygen_vk_custom, verify_proof,
    },
    poly::{
        VerificationStrategy,
        commitment::Params,
        kzg::{
            commitment::{KZGCommitmentScheme, ParamsKZG},
            multiopen::{ProverSHPLONK, VerifierSHPLONK},
            strategy::SingleStrategy,
        },
    },
    transcript::{
        Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer,
    },
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::rngs::OsRng;

use super::{
    gates::{self, Columns, KINDS, Kind},
    sheet::{Place, Sheet, WIDTH},
    transfer,
};
use crate::{
    field::to_halo2,
    report::{self, Row, Subject},
    workload::{Hashing, Workload},
};

/// Start of this peer's rows.
pub const PEER: &str = "narrow_halo2";

/// Smallest and largest circuit, as the power of two of its rows. One transfer needs the smallest.
pub const K_MIN: u32 = 13;
/// See [`K_MIN`].
pub const K_MAX: u32 = 20;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum NarrowError {
    /// The size is not one that this bench knows.
    #[error("2^{0} rows: choose from 2^{K_MIN} to 2^{K_MAX}")]
    Size(u32),
    /// The reference string cannot be kept.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// halo2 refuses: for a proof of our own, the circuit is wrong.
    #[error("halo2: {0}")]
    Halo2(#[from] plonk::Error),
}

/// A chain of transfers as a circuit.
#[derive(Clone, Debug)]
pub struct Narrow {
    sheet: Arc<Sheet>,
    has_witness: bool,
}

impl Narrow {
    /// The circuit with a witness.
    #[must_use]
    pub fn new(sheet: Sheet) -> Self {
        Self {
            sheet: Arc::new(sheet),
            has_witness: true,
        }
    }
}

impl Circuit<Fr> for Narrow {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn params(&self) -> Self::Params {}

    fn without_witnesses(&self) -> Self {
        Self {
            sheet: Arc::clone(&self.sheet),
            has_witness: false,
        }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Columns {
        gates::configure(meta)
    }

    fn synthesize(
        &self,
        config: Columns,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), plonk::Error> {
        let cell = |(column, row): Place| Cell {
            row_offset: row,
            column: Column::<Any>::from(config.advice[column]),
        };
        layouter.assign_region(
            || "transfers",
            |mut region| {
                for (kind, row) in &self.sheet.gates {
                    config.selectors[selector_of(*kind)].enable(&mut region, *row)?;
                }
                for ((column, row), value) in &self.sheet.fixed {
                    region.assign_fixed(config.fixed[*column], *row, *value);
                }
                for (column, values) in config.advice.iter().zip(&self.sheet.advice) {
                    let known = values.iter().filter(|_| self.has_witness);
                    for (row, value) in known.enumerate() {
                        region.assign_advice(*column, row, Value::known(*value));
                    }
                }
                for (left, right) in &self.sheet.copies {
                    region.constrain_equal(cell(*left), cell(*right));
                }
                Ok(())
            },
        )?;
        for (row, place) in self.sheet.public.iter().enumerate() {
            layouter.constrain_instance(cell(*place), config.instance, row);
        }
        Ok(())
    }
}

fn selector_of(kind: Kind) -> usize {
    KINDS.iter().position(|other| *other == kind).unwrap_or(0)
}

/// The public inputs of a chain of transfers.
#[must_use]
pub fn public(workload: &Workload) -> [Fr; 3] {
    let fees = Fr::from(workload.fees);
    [
        to_halo2(&workload.old_root),
        to_halo2(&workload.new_root),
        fees,
    ]
}

/// Keys for the circuit's shape, with selectors merged as zcash does.
///
/// # Errors
/// [`NarrowError::Halo2`].
pub fn keys(
    params: &ParamsKZG<Bn256>,
    circuit: &Narrow,
) -> Result<ProvingKey<G1Affine>, NarrowError> {
    let shape = circuit.without_witnesses();
    let vk = keygen_vk_custom(params, &shape, true)?;
    Ok(keygen_pk(params, vk, &shape)?)
}

/// A proof. A witness that does not hold gives one that [`verify`] refuses.
///
/// # Errors
/// [`NarrowError::Halo2`].
pub fn prove(
    params: &ParamsKZG<Bn256>,
    key: &ProvingKey<G1Affine>,
    circuit: Narrow,
    public: &[Fr],
) -> Result<Vec<u8>, NarrowError> {
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(vec![]);
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        params,
        key,
        &[circuit],
        &[&[public]],
        OsRng,
        &mut transcript,
    )?;
    Ok(transcript.finalize())
}

/// Whether a proof holds for these public inputs.
///
/// # Errors
/// [`NarrowError::Halo2`].
pub fn verify(
    params: &ParamsKZG<Bn256>,
    key: &ProvingKey<G1Affine>,
    public: &[Fr],
    proof: &[u8],
) -> Result<(), NarrowError> {
    let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
    let strategy = <SingleStrategy<'_, Bn256> as VerificationStrategy<
        '_,
        KZGCommitmentScheme<Bn256>,
        VerifierSHPLONK<'_, Bn256>,
    >>::new(params);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        params,
        key.get_vk(),
        strategy,
        &[&[public]],
        &mut transcript,
    )?;
    Ok(())
}

/// A reference string of 2^k powers from the directory, or a fresh one put there.
///
/// # Errors
/// [`NarrowError::Write`].
pub fn reference_string(directory: &Path, k: u32) -> Result<ParamsKZG<Bn256>, NarrowError> {
    let path = directory.join(format!("insecure_string_{k}.bin"));
    if let Ok(file) = File::open(&path) {
        let mut reader = BufReader::new(file);
        let read = ParamsKZG::read_custom(&mut reader, SerdeFormat::RawBytes);
        if let Some(params) = read.ok().filter(|params| params.k() == k) {
            return Ok(params);
        }
    }
    let params = ParamsKZG::setup(k, OsRng);
    let partial = path.with_extension("new");
    let write = || {
        std::fs::create_dir_all(directory)?;
        let mut writer = BufWriter::new(File::create(&partial)?);
        params.write_custom(&mut writer, SerdeFormat::RawBytes)?;
        writer.flush()?;
        std::fs::rename(&partial, &path)
    };
    match write() {
        Ok(()) => Ok(params),
        Err(source) => Err(NarrowError::Write { path, source }),
    }
}

/// Rows of a circuit of 2^k that transfers may take: all but those that hide the values.
fn usable_rows(k: u32) -> usize {
    let mut meta = ConstraintSystem::default();
    gates::configure(&mut meta);
    (1 << k) - (meta.blinding_factors() + 1)
}

/// The most transfers that a circuit of 2^k rows holds, and the rows that they take.
///
/// # Errors
/// [`NarrowError::Size`].
pub fn capacity(k: u32) -> Result<usize, NarrowError> {
    if !(K_MIN..=K_MAX).contains(&k) {
        return Err(NarrowError::Size(k));
    }
    let rows = |count| transfer::sheet(&Workload::new(Hashing::Chained, count, 0)).rows();
    let (start, one) = (rows(0), rows(1));
    Ok((usable_rows(k) - start) / (one - start))
}

/// Measures `runs` proofs of a full circuit of 2^k rows, each with transfers of its own.
///
/// # Errors
/// [`NarrowError`].
pub fn measure(directory: &Path, k: u32, runs: usize) -> Result<Vec<Row>, NarrowError> {
    let count = capacity(k)?;
    let params = reference_string(directory, k)?;
    let load_before = report::load();
    let shape = Narrow::new(transfer::sheet(&Workload::new(Hashing::Chained, count, 0)));
    let (key, setup_time) = report::timed(|| keys(&params, &shape));
    let key = key?;
    let (mut witnesses, mut proofs, mut verifications) = (vec![], vec![], vec![]);
    for seed in 0..runs {
        let workload = Workload::new(Hashing::Chained, count, seed as u64);
        let public = public(&workload);
        let (sheet, time) = report::timed(|| transfer::sheet(&workload));
        witnesses.push(time);
        let circuit = Narrow::new(sheet);
        let (proof, time) = report::timed(|| prove(&params, &key, circuit, &public));
        let proof = proof?;
        proofs.push(time);
        let (verdict, time) = report::timed(|| verify(&params, &key, &public, &proof));
        verdict?;
        verifications.push(time);
    }
    let rows = shape.sheet.rows();
    let subject = Subject {
        peer: PEER,
        transfers: count,
        size: rows,
        size_unit: "rows",
        load_before,
    };
    let system = key.get_vk().cs();
    let shape = format!(
        "{rows} of 2^{k} rows, {WIDTH} advice and {} fixed columns, degree {}; halo2-axiom 0.5.3 asm, KZG, SHPLONK; every \
         proof verified",
        system.num_fixed_columns(),
        system.degree(),
    );
    let with = "rows from transfers, then the proof";
    Ok(vec![
        subject.per_transfer("proof", &proofs, &shape),
        subject.per_transfer(
            "proof_with_witness",
            &report::sums(&proofs, &witnesses),
            with,
        ),
        subject.per_transfer("witness", &witnesses, "rows from transfers, one thread"),
        subject.per_proof("proof", &proofs, &shape),
        subject.per_proof("setup", &[setup_time], "one run; keys, not the string"),
        subject.per_proof("verification", &verifications, "checks one proof"),
    ])
}

#[cfg(test)]
#[path = "proof/tests.rs"]
mod tests;
