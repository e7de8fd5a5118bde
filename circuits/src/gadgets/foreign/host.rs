//! A halo2-base circuit with the gadget beside it: the circuit that an aggregation is.
//!
//! Columns of the two are disjoint except for the range table, which they share when the host has 17 lookup
//! bits. The host's usable rows follow from the gadget's queries, which blind more rows than its own.
//!
//! What it does not do: choose k, lookup bits or instances.

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, BaseConfig, MaybeRangeConfig};
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use halo2curves::bn256::Fr;

use super::chip::ForeignChip;
use super::integer::CHUNK_BITS;
use super::layout::{DEGREE, ForeignConfig};

/// Columns of both.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// halo2-base's.
    pub base: BaseConfig<Fr>,
    /// The gadget's.
    pub foreign: ForeignConfig,
}

/// A halo2-base circuit and the gadget's tape.
#[derive(Clone, Debug)]
pub struct HostCircuit {
    /// The host.
    pub builder: BaseCircuitBuilder<Fr>,
    /// The gadget.
    pub chip: ForeignChip,
}

impl HostCircuit {
    /// A host with an empty tape. The builder must have its lookup bits.
    #[must_use]
    pub fn new(builder: BaseCircuitBuilder<Fr>) -> Self {
        let chip = ForeignChip::new(builder.range_chip());
        HostCircuit { builder, chip }
    }

    /// Rows that the circuit cannot use.
    #[must_use]
    pub fn blinded_rows(params: &BaseCircuitParams) -> usize {
        let mut meta = ConstraintSystem::default();
        Self::configure_with_params(&mut meta, params.clone());
        meta.minimum_rows()
    }

    /// Sets the host's columns from what it holds so far; k and lookup bits must be set.
    pub fn calculate_params(&mut self) -> BaseCircuitParams {
        let params = self.builder.calculate_params(Some(64));
        let blinded = Self::blinded_rows(&params);
        self.builder.calculate_params(Some(blinded))
    }
}

impl Circuit<Fr> for HostCircuit {
    type Config = HostConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = BaseCircuitParams;

    fn params(&self) -> Self::Params {
        self.builder.config_params.clone()
    }

    /// The circuit itself: keys are made from honest or dummy witnesses, as halo2-base does.
    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, params: Self::Params) -> HostConfig {
        // First line of every configure: halo2-axiom caps the degree at 5 unless told.
        meta.set_minimum_degree(DEGREE);
        let (k, bits) = (params.k, params.lookup_bits);
        let mut base = BaseConfig::configure(meta, params);
        let table = match &base.base {
            MaybeRangeConfig::WithRange(range) if bits == Some(CHUNK_BITS) => Some(range.lookup),
            _ => None,
        };
        let foreign = ForeignConfig::configure(meta, table);
        base.set_usable_rows((1 << k) - meta.minimum_rows());
        HostConfig { base, foreign }
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> HostConfig {
        unreachable!("halo2 configures with params, a default feature of halo2-axiom")
    }

    fn synthesize(&self, config: HostConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        if config.foreign.owns_table {
            layouter.assign_table(
                || "foreign range",
                |mut table| {
                    for row in 0..1 << CHUNK_BITS {
                        let value = Value::known(Fr::from(row as u64));
                        table.assign_cell(|| "value", config.foreign.table, row, || value)?;
                    }
                    Ok(())
                },
            )?;
        }
        let usable = config.base.gate().max_rows;
        let copies = &self.builder.core().copy_manager;
        let copies = (!self.builder.witness_gen_only()).then_some(copies);
        // before the host, whose last step links the cells
        layouter.assign_region(
            || "foreign",
            |mut region| {
                let tape = self.chip.tape();
                tape.assign(&config.foreign, &mut region, copies, usable)
            },
        )?;
        self.builder.synthesize(config.base, layouter)
    }
}
