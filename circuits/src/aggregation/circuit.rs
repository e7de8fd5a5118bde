//! A statement about inner proofs, laid out in one of two ways.
//!
//! [`WideCircuit`] computes with curve points in columns of its own ([`crate::gadgets::foreign`]), seven times cheaper
//! and with many commitments: what levels and the top are. [`ThinCircuit`] has halo2-base's columns only
//! ([`crate::gadgets::vertical`]), the fewest that hold it: what the base layer verifies.

use halo2_base::gates::RangeChip;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, BaseConfig};
use halo2_base::{AssignedValue, QuantumCell, gates::circuit::CircuitBuilderStage};
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use halo2curves::bn256::Fr;
use halo2curves::ff::Field;
use snark_verifier::loader::halo2::Halo2Loader;

use super::accumulator::{Accumulator, fold, limb_cells};
use super::{AggregationError, CurveChip, Loader};
use crate::gadgets::foreign::chip::ForeignChip;
use crate::gadgets::foreign::host::HostCircuit;
use crate::gadgets::foreign::integer::CHUNK_BITS;
use crate::gadgets::vertical::points::VerticalPoints;

/// What a statement leaves: its cells, and the accumulators of the proofs it took.
pub struct Stated<E: CurveChip> {
    pub(super) statement: Vec<AssignedValue<Fr>>,
    pub(super) accumulators: Vec<Accumulator<E>>,
}

/// Something to be shown of inner proofs.
pub trait Statement {
    /// Whether the statements of the proofs meet, so that a prover learns it before it proves in vain. The circuit does
    /// not lean on it.
    ///
    /// # Errors
    /// [`AggregationError::Unconnected`] with what differs.
    fn check(&self) -> Result<(), AggregationError>;

    /// Verifies the proofs inside the circuit and constrains what they must have to do with each other.
    ///
    /// # Errors
    /// [`AggregationError`] if a proof cannot be read.
    fn constrain<E: CurveChip>(
        &self,
        loader: &Loader<E>,
        range: &RangeChip<Fr>,
    ) -> Result<Stated<E>, AggregationError>;
}

/// Rows and halo2-base's columns of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationShape {
    /// log2 of the rows.
    pub k: u32,
    /// Columns with the vertical gate.
    pub advice: usize,
    /// Columns that are looked up in the range table.
    pub lookups: usize,
    /// Columns for constants.
    pub constants: usize,
    /// log2 of the rows of the range table, less than k.
    pub lookup_bits: usize,
}

impl AggregationShape {
    /// A shape with the table of the curve's chunks.
    #[must_use]
    pub const fn new(k: u32, advice: usize) -> Self {
        Self {
            k,
            advice,
            lookups: 1,
            constants: 1,
            lookup_bits: CHUNK_BITS,
        }
    }

    /// As halo2-base has it.
    #[must_use]
    pub fn params(&self) -> BaseCircuitParams {
        BaseCircuitParams {
            k: usize::try_from(self.k).unwrap_or(usize::MAX),
            num_advice_per_phase: vec![self.advice],
            num_fixed: self.constants,
            num_lookup_advice_per_phase: vec![self.lookups],
            lookup_bits: Some(self.lookup_bits),
            num_instance_columns: 1,
        }
    }

    fn builder(&self) -> BaseCircuitBuilder<Fr> {
        BaseCircuitBuilder::from_stage(CircuitBuilderStage::Mock).use_params(self.params())
    }
}

/// A circuit with its witness, and its instance.
#[derive(Debug)]
pub struct Built<C> {
    /// The circuit, for keys and for proofs alike.
    pub circuit: C,
    /// Its one instance column: limbs, then the statement.
    pub instance: Vec<Fr>,
    /// Columns that it fills, whatever its shape has.
    pub needed: AggregationShape,
}

/// How a statement is laid out.
pub trait Aggregation: Circuit<Fr, Params = BaseCircuitParams> + Sized {
    /// Lays a statement out even if its proofs do not meet: for keys, and for tests of the constraints.
    ///
    /// # Errors
    /// [`AggregationError`] if a proof cannot be read or the shape is too small.
    fn build_unchecked(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built<Self>, AggregationError>;

    /// Lays a statement out in a shape, after checking that its proofs meet.
    ///
    /// # Errors
    /// What the statement says, and [`AggregationError::TooSmall`].
    fn build(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built<Self>, AggregationError> {
        statement.check()?;
        Self::build_unchecked(shape, statement)
    }
}

/// halo2-base's columns beside those of the foreign curve.
#[derive(Debug)]
pub struct WideCircuit(HostCircuit);

/// halo2-base's columns alone.
#[derive(Debug)]
pub struct ThinCircuit(BaseCircuitBuilder<Fr>);

impl Aggregation for WideCircuit {
    fn build_unchecked(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built<Self>, AggregationError> {
        let mut host = HostCircuit::new(shape.builder());
        let (chip, range) = (host.chip.clone(), host.builder.range_chip());
        let instance = lay_out(&mut host.builder, chip, &range, statement)?;
        let blinded = HostCircuit::blinded_rows(&shape.params());
        let needed = fits(&host.builder, shape, blinded)?;
        fill_columns(&mut host.builder, shape, blinded);
        let (rows, usable) = (host.chip.tape().rows(), (1 << shape.k) - blinded);
        if rows > usable {
            return Err(AggregationError::TooSmall {
                what: "rows of the foreign curve",
                needed: rows,
                available: usable,
            });
        }
        Ok(Built {
            circuit: Self(host),
            instance,
            needed,
        })
    }
}

impl Aggregation for ThinCircuit {
    fn build_unchecked(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built<Self>, AggregationError> {
        let mut builder = shape.builder();
        let range = builder.range_chip();
        let chip = ForeignChip::over(VerticalPoints::new(range.clone()), range.clone());
        let instance = lay_out(&mut builder, chip, &range, statement)?;
        let mut meta = ConstraintSystem::<Fr>::default();
        BaseCircuitBuilder::configure_with_params(&mut meta, shape.params());
        let needed = fits(&builder, shape, meta.minimum_rows())?;
        Ok(Built {
            circuit: Self(builder),
            instance,
            needed,
        })
    }
}

/// Fills the builder; the cells of the instance are its `assigned_instances`.
fn lay_out<E: CurveChip>(
    builder: &mut BaseCircuitBuilder<Fr>,
    chip: E,
    range: &RangeChip<Fr>,
    statement: &impl Statement,
) -> Result<Vec<Fr>, AggregationError> {
    let loader = Halo2Loader::new(chip, std::mem::take(builder.pool(0)));
    let stated = statement.constrain(&loader, range)?;
    let accumulator = fold(&loader, stated.accumulators)?;
    let mut cells = limb_cells(&loader, &accumulator);
    cells.extend(stated.statement);
    *builder.pool(0) = loader.take_ctx();
    let instance = cells.iter().map(|cell| *cell.value()).collect();
    builder.assigned_instances = vec![cells];
    Ok(instance)
}

/// Uses the gate in every column. The key of a column whose gate is off everywhere has the identity for a commitment, and
/// the top cannot take that of a root's key: a witness of it is a point of the curve, which has coordinates.
fn fill_columns(builder: &mut BaseCircuitBuilder<Fr>, shape: AggregationShape, blinded: usize) {
    const ZERO: QuantumCell<Fr> = QuantumCell::Witness(Fr::ZERO);
    let wanted = shape.advice.saturating_sub(1) * ((1 << shape.k) - blinded) + 4;
    let counts = builder.statistics().gate.total_advice_per_phase;
    let filled = counts.first().copied().unwrap_or(0);
    let context = builder.main(0);
    for _ in 0..wanted.saturating_sub(filled).div_ceil(4) {
        context.assign_region([ZERO; 4], [0]); // 0 + 0 * 0 = 0
    }
}

/// The columns that a builder fills, if the shape has them.
fn fits(
    builder: &BaseCircuitBuilder<Fr>,
    shape: AggregationShape,
    blinded: usize,
) -> Result<AggregationShape, AggregationError> {
    let rows = (1_usize << shape.k) - blinded;
    let statistics = builder.statistics();
    let first = |counts: &[usize]| counts.first().copied().unwrap_or(0);
    let needed = AggregationShape {
        // one cell of every column repeats the last of the one before
        advice: first(&statistics.gate.total_advice_per_phase).div_ceil(rows - 4),
        lookups: first(&statistics.total_lookup_advice_per_phase).div_ceil(rows),
        constants: statistics.gate.total_fixed.div_ceil(rows),
        ..shape
    };
    for (what, needed, available) in [
        ("columns of gates", needed.advice, shape.advice),
        ("columns of lookups", needed.lookups, shape.lookups),
        ("columns of constants", needed.constants, shape.constants),
    ] {
        if needed > available {
            return Err(AggregationError::TooSmall {
                what,
                needed,
                available,
            });
        }
    }
    Ok(needed)
}

impl Circuit<Fr> for WideCircuit {
    type Config = <HostCircuit as Circuit<Fr>>::Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = BaseCircuitParams;

    fn params(&self) -> Self::Params {
        self.0.params()
    }

    fn without_witnesses(&self) -> Self {
        // values and constraints are in one place; the layout does not depend on values
        Self(self.0.clone())
    }

    fn configure_with_params(
        meta: &mut ConstraintSystem<Fr>,
        params: Self::Params,
    ) -> Self::Config {
        HostCircuit::configure_with_params(meta, params)
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Self::Config {
        HostCircuit::configure(meta)
    }

    fn synthesize(&self, config: Self::Config, layouter: impl Layouter<Fr>) -> Result<(), Error> {
        self.0.synthesize(config, layouter)
    }
}

impl Circuit<Fr> for ThinCircuit {
    type Config = BaseConfig<Fr>;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = BaseCircuitParams;

    fn params(&self) -> Self::Params {
        self.0.params()
    }

    fn without_witnesses(&self) -> Self {
        // values and constraints are in one place; the layout does not depend on values
        Self(self.0.deep_clone())
    }

    fn configure_with_params(
        meta: &mut ConstraintSystem<Fr>,
        params: Self::Params,
    ) -> Self::Config {
        // halo2-axiom caps the degree at 5 unless told; the vertical gate has 3, the lookup 4
        meta.set_minimum_degree(THIN_DEGREE);
        BaseCircuitBuilder::configure_with_params(meta, params)
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Self::Config {
        Self::configure_with_params(meta, BaseCircuitParams::default())
    }

    fn synthesize(&self, config: Self::Config, layouter: impl Layouter<Fr>) -> Result<(), Error> {
        self.0.synthesize(config, layouter)
    }
}

/// Degree of a thin circuit: that of its lookup.
const THIN_DEGREE: usize = 4;
