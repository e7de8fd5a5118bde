//! A statement about inner proofs, laid out in halo2-base's columns.

use halo2_base::AssignedValue;
use halo2_base::gates::RangeChip;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, BaseConfig};
use halo2_ecc::bn254::FpChip;
use halo2_ecc::ecc::BaseFieldEccChip;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use halo2curves::bn256::{Fr, G1Affine};
use snark_verifier::loader::halo2::Halo2Loader;

use super::accumulator::{Accumulator, LIMB_BITS, LIMBS, fold, limb_cells};
use super::{AggregationError, CurveChip, Loader};

/// Rows that halo2 keeps for blinding in circuits of this kind; a test compares it.
const BLINDED_ROWS: usize = 20;

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

/// Rows and columns of an aggregation circuit.
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
}

impl AggregationShape {
    fn params(&self) -> BaseCircuitParams {
        BaseCircuitParams {
            k: usize::try_from(self.k).unwrap_or(usize::MAX),
            num_advice_per_phase: vec![self.advice],
            num_fixed: self.constants,
            num_lookup_advice_per_phase: vec![self.lookups],
            lookup_bits: Some(self.lookup_bits()),
            num_instance_columns: 1,
        }
    }

    /// The range table fills all usable rows but the last half.
    fn lookup_bits(&self) -> usize {
        usize::try_from(self.k).unwrap_or(usize::MAX) - 1
    }
}

/// A circuit with its witness, and its instance.
#[derive(Debug)]
pub struct Built {
    /// The circuit, for keys and for proofs alike.
    pub circuit: AggregationCircuit,
    /// Its one instance column: limbs, then the statement.
    pub instance: Vec<Fr>,
    /// What it takes, whatever the shape has.
    pub needed: AggregationShape,
}

/// The circuit.
#[derive(Debug)]
pub struct AggregationCircuit {
    builder: BaseCircuitBuilder<Fr>,
}

impl AggregationCircuit {
    /// Lays a statement out in a shape, after checking that its proofs meet.
    ///
    /// # Errors
    /// What the statement says, and [`AggregationError::TooSmall`].
    pub fn build(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built, AggregationError> {
        statement.check()?;
        Self::build_unchecked(shape, statement)
    }

    /// Lays a statement out even if its proofs do not meet: for keys, and for tests of the constraints.
    ///
    /// # Errors
    /// [`AggregationError`] if a proof cannot be read or the shape is too small.
    pub fn build_unchecked(
        shape: AggregationShape,
        statement: &impl Statement,
    ) -> Result<Built, AggregationError> {
        let mut builder = BaseCircuitBuilder::<Fr>::new(false).use_params(shape.params());
        let range = builder.range_chip();
        let coordinates = FpChip::<Fr>::new(&range, LIMB_BITS, LIMBS);
        let chip = BaseFieldEccChip::<G1Affine>::new(&coordinates);
        let loader = Halo2Loader::new(chip, std::mem::take(builder.pool(0)));
        let stated = statement.constrain(&loader, &range)?;
        let accumulator = fold(&loader, stated.accumulators)?;
        let mut cells = limb_cells(&loader, &accumulator);
        drop(accumulator);
        cells.extend(stated.statement);
        *builder.pool(0) = loader.take_ctx();
        let instance = cells.iter().map(|cell| *cell.value()).collect();
        builder.assigned_instances[0] = cells;
        let needed = needed(&builder, shape);
        builder.set_params(shape.params());
        for (column, needed, available) in [
            ("gates", needed.advice, shape.advice),
            ("lookups", needed.lookups, shape.lookups),
            ("constants", needed.constants, shape.constants),
        ] {
            if needed > available {
                return Err(AggregationError::TooSmall {
                    column,
                    needed,
                    available,
                });
            }
        }
        Ok(Built {
            circuit: Self { builder },
            instance,
            needed,
        })
    }
}

fn needed(builder: &BaseCircuitBuilder<Fr>, shape: AggregationShape) -> AggregationShape {
    let mut probe = builder.deep_clone();
    let params = probe.calculate_params(Some(BLINDED_ROWS));
    let first = |columns: &[usize]| columns.first().copied().unwrap_or(0);
    AggregationShape {
        k: shape.k,
        advice: first(&params.num_advice_per_phase),
        lookups: first(&params.num_lookup_advice_per_phase),
        constants: params.num_fixed,
    }
}

impl Circuit<Fr> for AggregationCircuit {
    type Config = BaseConfig<Fr>;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = BaseCircuitParams;

    fn params(&self) -> Self::Params {
        self.builder.params()
    }

    fn without_witnesses(&self) -> Self {
        // halo2-base keeps values and constraints in one place; what is laid out does not depend on values
        Self {
            builder: self.builder.deep_clone(),
        }
    }

    fn configure_with_params(
        meta: &mut ConstraintSystem<Fr>,
        params: BaseCircuitParams,
    ) -> BaseConfig<Fr> {
        BaseCircuitBuilder::configure_with_params(meta, params)
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> BaseConfig<Fr> {
        unreachable!("halo2 asks for a configuration with parameters")
    }

    fn synthesize(&self, config: BaseConfig<Fr>, layouter: impl Layouter<Fr>) -> Result<(), Error> {
        self.builder.synthesize(config, layouter)
    }
}
