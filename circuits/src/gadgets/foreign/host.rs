//! A halo2-base circuit with the gadget beside it: the circuit that an aggregation is.
//!
//! Columns of the two are disjoint. Cells that the host looks up go into the gadget's sum ([`super::logup`]) instead of
//! lookups of halo2's, so the host has 17 lookup bits. Its usable rows follow from the gadget's queries, which blind more rows
//! than its own.
//!
//! What it does not do: choose k, lookup bits or instances.

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_base::gates::circuit::{BaseCircuitParams, BaseConfig};
use halo2_base::virtual_region::manager::VirtualRegionManager;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error};
use halo2curves::bn256::Fr;

use super::chip::ForeignChip;
use super::integer::CHUNK_BITS;
use super::layout::{DEGREE, ForeignConfig};
use super::logup::Looked;
use crate::convert::limbs;

/// Columns of both.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// halo2-base's.
    pub base: BaseConfig<Fr>,
    /// Cells that the host looks up.
    pub looked_up: Vec<Column<Advice>>,
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
    /// A host with an empty tape.
    ///
    /// # Panics
    /// If the builder's lookup bits are not those of a chunk: its cells are looked up in the gadget's table.
    #[must_use]
    pub fn new(builder: BaseCircuitBuilder<Fr>) -> Self {
        assert_eq!(
            builder.lookup_bits(),
            Some(CHUNK_BITS),
            "one table for both"
        );
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

    /// The values that the host looks up, as halo2-base lays them out: row by row over some columns.
    fn looked_up(&self, columns: usize) -> Vec<Vec<u32>> {
        let mut out = vec![Vec::new(); columns];
        let cells = &self.builder.lookup_manager()[0].cells_to_lookup;
        let cells = cells.lock().unwrap_or_else(|poison| poison.into_inner());
        for (index, [cell]) in cells.values().flatten().enumerate() {
            let Some(column) = out.get_mut(index % columns.max(1)) else {
                break;
            };
            let [low, rest @ ..] = limbs(*cell.value());
            let fits = rest == [0; 3] && low < 1 << CHUNK_BITS;
            // what does not fit is put where no table has an entry
            column.push(if fits { low as u32 } else { u32::MAX });
        }
        out
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
        let (k, looked_up) = (params.k, params.num_lookup_advice_per_phase.iter().sum());
        let mut base = BaseConfig::configure(
            meta,
            BaseCircuitParams {
                num_lookup_advice_per_phase: Vec::new(),
                lookup_bits: None,
                ..params
            },
        );
        let looked_up: Vec<_> = (0..looked_up)
            .map(|_| {
                let column = meta.advice_column();
                meta.enable_equality(column);
                column
            })
            .collect();
        let foreign = ForeignConfig::configure(meta, &looked_up);
        base.set_usable_rows((1 << k) - meta.minimum_rows());
        HostConfig {
            base,
            looked_up,
            foreign,
        }
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> HostConfig {
        unreachable!("halo2 configures with params, a default feature of halo2-axiom")
    }

    /// The first time all cells but those of the sums, for which challenges are drawn then; the second time those.
    fn synthesize(&self, config: HostConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let rows = config.base.gate().max_rows;
        let tape = self.chip.tape();
        if tape.rows() > rows {
            return Err(Error::NotEnoughRowsAvailable {
                current_k: rows.next_power_of_two().trailing_zeros(),
            });
        }
        let looked_up = self.looked_up(config.looked_up.len());
        let looked = Looked::of(&tape.grid(), looked_up, rows);
        let lookups = &config.foreign.lookups;
        if let Some(drawn) = lookups.drawn(|one| layouter.get_challenge(one)) {
            let sums = looked.sums(1 << CHUNK_BITS, &drawn);
            return layouter.assign_region(
                || "sums of lookups",
                |mut region| {
                    lookups.assign_sums(&mut region, &sums);
                    Ok(())
                },
            );
        }
        let copies = &self.builder.core().copy_manager;
        let copies = (!self.builder.witness_gen_only()).then_some(copies);
        layouter.assign_region(
            || "foreign",
            |mut region| {
                tape.assign(&config.foreign.columns, &mut region, copies);
                lookups.assign(&mut region, 1 << CHUNK_BITS, &looked);
                Ok(())
            },
        )?;
        // the host's last step links cells, the tape's among them
        layouter.assign_region(
            || "host",
            |mut region| {
                let gates = config.base.gate().basic_gates[0].clone();
                self.builder.core().phase_manager[0].assign_raw(&(gates, rows), &mut region);
                let columns = config.looked_up.iter().map(|column| [*column]).collect();
                self.builder.lookup_manager()[0].assign_raw(&columns, &mut region);
                if let Some(copies) = copies {
                    copies.assign_raw(config.base.constants(), &mut region);
                }
                Ok(())
            },
        )?;
        let instance = layouter.namespace(|| "instance");
        self.builder
            .assign_instances(&config.base.instance, instance);
        Ok(())
    }
}
