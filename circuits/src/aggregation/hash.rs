//! The protocol's Poseidon (circomlib's, one permutation, capacity 0) over halo2-base's gate, and the digest of a
//! threaded state.
//!
//! Written straight from the paper's rounds: add constants, fifth powers, multiply by the matrix. A batch takes four of
//! these, so cells do not matter here; the native twin is `protocol::hash::poseidon`.

use halo2_base::gates::{GateChip, GateInstructions};
use halo2_base::{AssignedValue, Context, QuantumCell};
use halo2curves::bn256::Fr;
use light_poseidon::parameters::bn254_x5::get_poseidon_parameters;
use protocol::threaded::tag_state;

use crate::convert::{NativeField, to_circuit};

/// `Poseidon(inputs)` for two to six inputs.
pub(super) fn poseidon(
    context: &mut Context<Fr>,
    gate: &GateChip<Fr>,
    inputs: &[AssignedValue<Fr>],
) -> AssignedValue<Fr> {
    let width = inputs.len() + 1;
    let parameters = u8::try_from(width)
        .ok()
        .and_then(|width| get_poseidon_parameters::<NativeField>(width).ok())
        .expect("circomlib defines this width");
    let constant = |value: &NativeField| QuantumCell::Constant(to_circuit(*value));
    let matrix: Vec<Vec<QuantumCell<Fr>>> = parameters
        .mds
        .iter()
        .map(|row| row.iter().map(constant).collect())
        .collect();
    let half = parameters.full_rounds / 2;
    let partial = half..half + parameters.partial_rounds;
    let mut state = vec![context.load_zero()];
    state.extend_from_slice(inputs);
    for (round, constants) in parameters.ark.chunks(width).enumerate() {
        for (lane, value) in constants.iter().enumerate() {
            let sum = gate.add(context, state[lane], constant(value));
            state[lane] = match lane == 0 || !partial.contains(&round) {
                true => fifth_power(context, gate, sum),
                false => sum,
            };
        }
        let cells = || state.iter().copied().map(QuantumCell::Existing);
        let next = matrix
            .iter()
            .map(|row| gate.inner_product(context, cells(), row.iter().copied()));
        state = next.collect();
    }
    state[0]
}

fn fifth_power(
    context: &mut Context<Fr>,
    gate: &GateChip<Fr>,
    base: AssignedValue<Fr>,
) -> AssignedValue<Fr> {
    let square = gate.mul(context, base, base);
    let fourth = gate.mul(context, square, square);
    gate.mul(context, fourth, base)
}

/// The elements that a state's digest hashes, as cells (`protocol::threaded::Threaded::digest`).
#[derive(Clone, Copy, Debug)]
pub(super) struct StateCells {
    pub(super) root: AssignedValue<Fr>,
    pub(super) h: AssignedValue<Fr>,
    pub(super) counts: AssignedValue<Fr>,
    pub(super) counters: AssignedValue<Fr>,
    pub(super) block: AssignedValue<Fr>,
    pub(super) group_hash: AssignedValue<Fr>,
    pub(super) group_sum: AssignedValue<Fr>,
    pub(super) group_members: AssignedValue<Fr>,
}

/// The digest D of a state.
pub(super) fn state_digest(
    context: &mut Context<Fr>,
    gate: &GateChip<Fr>,
    state: &StateCells,
) -> AssignedValue<Fr> {
    let first = [
        state.root,
        state.h,
        state.counts,
        state.counters,
        state.block,
    ];
    let first = poseidon(context, gate, &first);
    let tag = context.load_constant(to_circuit(tag_state()));
    let second = [
        first,
        state.group_hash,
        state.group_sum,
        state.group_members,
        tag,
    ];
    poseidon(context, gate, &second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
    use protocol::hash;

    #[test]
    fn the_hash_is_the_protocols() {
        let mut builder = BaseCircuitBuilder::<Fr>::new(false);
        let context = builder.main(0);
        let gate = GateChip::default();
        let native: [NativeField; 5] = [1_u64, 0, u64::MAX, 4, 5].map(NativeField::from);
        let cells = native.map(|value| context.load_witness(to_circuit(value)));
        let inside = poseidon(context, &gate, &cells);
        assert_eq!(*inside.value(), to_circuit(hash::poseidon(native)));
        let inside = poseidon(context, &gate, &cells[..2]);
        assert_eq!(
            *inside.value(),
            to_circuit(hash::poseidon([native[0], native[1]]))
        );
        builder.clear();
    }
}
