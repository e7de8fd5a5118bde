//! What ties a slot's block together and to its neighbours: one gate on its first row.
//!
//! | constraint | about |
//! |---|---|
//! | thread | each element of the state before is the state after of the block above; the root passes through |
//! | domain | the same as in the slot above; the first slot's is public |
//! | ages | `age = now - time of the entry read - 1`, bounded by bytes |
//! | pairs | in a first slot: bits and idleness of the slot below |

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::layout::{ROWS, place, rule};
use super::memory::accesses;
use crate::algebra::Algebra;
use crate::chunk::{Cell, STATE, rules, state_after, state_before};
use crate::layout::{Columns, Fixed};
use crate::window::{Folding, GateWindow, Pos, Window, pos};

fn shifted(place: Pos, blocks: i32) -> Pos {
    pos(place.rotation + blocks * ROWS as i32, place.column)
}

/// Adds the gates: the rules, and this module's.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    folding: Option<Folding>,
) {
    meta.create_gate("rules", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Rules);
        rules::state(&mut window, rule);
        window.finish_folded(folding)
    });
    meta.create_gate("slot", |meta| {
        let above = meta.query_fixed(columns.fixed(Fixed::Start), Rotation(-(ROWS as i32)));
        let mut window = GateWindow::new(meta, columns, Fixed::Rules);
        for i in 0..STATE {
            let before = window.get(shifted(rule(state_after(i)), -1));
            window.define("thread", rule(state_before(i)), before);
        }
        let root = window.get(rule(Cell::Root));
        window.define("the root passes through", rule(Cell::RootAfter), root);
        let domain = window.get(rule(Cell::Domain));
        let last = window.get(shifted(rule(Cell::Domain), -1));
        let first: Expression<Fr> = above;
        window.constrain("one domain", first.not() * (domain - last));
        for (i, access) in accesses().into_iter().enumerate() {
            let time = window.get(place(access.time));
            let now = window.fixed(Fixed::Clock) + Algebra::number(i as u64);
            window.define("age", place(access.age), now - time);
        }
        let first = window.fixed(Fixed::First);
        for (own, theirs) in [
            (Cell::PartnerBits, Cell::SlotBits),
            (Cell::PartnerNoop, Cell::IsNoop),
        ] {
            let difference = window.get(rule(own)) - window.get(shifted(rule(theirs), 1));
            window.constrain("the partner's", first.clone() * difference);
        }
        window.finish_folded(folding)
    });
}
