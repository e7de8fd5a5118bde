//! What every cell of a block must be: written once, over values for the witness and over expressions
//! for the gates.

use halo2curves::bn256::Fr;

use super::layout::{
    BLOCK_ROWS, COUNTS, ENABLED, H, HASH, HASH_OUT, INVERSE, PADDING, PARTIAL_Y, PLACES, SEQUENCES,
    TAGGED, Y, Z,
};
use crate::algebra::{Algebra, sum};
use crate::convert::power_of_two;
use crate::gadgets::poseidon;

/// Inputs of the hash: h and four places.
pub(super) const INPUTS: usize = PLACES + 1;
/// Schedule index of the first partial round's S-box input.
pub(super) const FIRST_PARTIAL: usize = INPUTS + 3 * (INPUTS + 1);
/// Schedule index after the last partial round's S-box input.
pub(super) const AFTER_PARTIAL: usize = FIRST_PARTIAL + 60;

/// One block as its equations see it.
pub(super) struct Block<'a, A> {
    /// Reads a place column at a row of the block.
    pub(super) place: &'a dyn Fn(usize, usize) -> A,
    /// Reads the chain column at a row of the block; from `BLOCK_ROWS` on, the block of the group
    /// before.
    pub(super) chain: &'a dyn Fn(usize) -> A,
}

impl<A: Algebra> Block<'_, A> {
    pub(super) fn tag(&self, place: usize) -> A {
        (self.place)(place, 0)
    }

    fn tagged(&self, place: usize) -> A {
        (self.place)(place, TAGGED)
    }

    pub(super) fn word(&self, place: usize) -> A {
        self.tagged(place) - self.tag(place) * power_of_two(248)
    }

    fn here(&self, row: usize) -> A {
        (self.chain)(row)
    }

    fn before(&self, row: usize) -> A {
        (self.chain)(BLOCK_ROWS + row)
    }

    /// 12 minus the sum of the tags: 0 exactly if all four places are padding.
    pub(super) fn presence(&self) -> A {
        let tags = sum((0..PLACES).map(|place| self.tag(place)));
        A::number((PADDING * PLACES) as u64) - tags
    }

    /// Cell `index` of the schedule of the block's permutation.
    pub(super) fn hash_cell(&self, index: usize) -> A {
        match index {
            0 => self.before(H),
            1..INPUTS => self.tagged(index - 1),
            _ => self.here(hash_row(index)),
        }
    }

    /// What S-box input `index` must be.
    pub(super) fn s_box_input(&self, index: usize) -> A {
        poseidon::schedule(INPUTS + 1).next(index, &|index| self.hash_cell(index))
    }

    /// What the hash must be.
    pub(super) fn hash(&self) -> A {
        poseidon::schedule(INPUTS + 1).output(&|index| self.hash_cell(index))
    }

    /// The accumulator after the group: `enabled ? hash : h`.
    pub(super) fn h(&self) -> A {
        self.here(ENABLED)
            .select(self.here(HASH_OUT), self.before(H))
    }

    /// The point of evaluation never changes.
    pub(super) fn z(&self) -> A {
        self.before(Z)
    }

    /// `y` of a sequence after a place: `y z + word` if the place belongs to it, else `y`. Degree 5.
    pub(super) fn y(&self, place: usize, sequence: usize) -> A {
        let y = match place.checked_sub(1) {
            Some(previous) => self.here(y_row(previous, sequence)),
            None => self.before(Y + sequence),
        };
        let step = y.clone() * (self.before(Z) - A::number(1)) + self.word(place);
        y + indicator(&self.tag(place), sequence) * step
    }

    /// Word counts after the group, packed 64 bits apart.
    pub(super) fn counts(&self) -> A {
        let words = (0..PLACES).flat_map(|place| {
            let tag = self.tag(place);
            (0..SEQUENCES)
                .map(move |sequence| indicator(&tag, sequence) * power_of_two(64 * sequence as u32))
        });
        self.before(COUNTS) + sum(words)
    }

    /// `enabled = presence * inverse`.
    pub(super) fn enabled(&self) -> A {
        self.presence() * self.here(INVERSE)
    }

    /// Everything that must be 0, by name, besides the definitions above.
    pub(super) fn rules(&self) -> Vec<(String, A)> {
        let disabled = self.here(ENABLED).not();
        let mut rules = vec![
            (
                "disabled group is empty".to_owned(),
                disabled.clone() * self.presence(),
            ),
            (
                "inverse of nothing".to_owned(),
                disabled * self.here(INVERSE),
            ),
            (
                "enabled never rises".to_owned(),
                self.here(ENABLED) * self.before(ENABLED).not(),
            ),
        ];
        for place in 0..PLACES {
            let tag = self.tag(place);
            let padding = indicator(&tag, PADDING);
            rules.push((format!("place {place} tag"), crumb(&tag)));
            rules.push((format!("place {place} padding"), padding * self.word(place)));
        }
        rules
    }
}

/// Row of the chain column that holds schedule cell `index`, not an input.
pub(super) fn hash_row(index: usize) -> usize {
    HASH + index - INPUTS
}

/// Row of the chain column that holds a sequence's y after a place.
pub(super) fn y_row(place: usize, sequence: usize) -> usize {
    if place + 1 == PLACES {
        Y + sequence
    } else {
        PARTIAL_Y + SEQUENCES * place + sequence
    }
}

/// 0 exactly for 0, 1, 2 and 3. Degree 4.
pub(super) fn crumb<A: Algebra>(value: &A) -> A {
    (1..4).fold(value.clone(), |product, root| {
        product * (value.clone() - A::number(root))
    })
}

/// Of a tag: 1 if it is `which`, 0 if it is another of 0, 1, 2 and 3. Degree 3.
pub(super) fn indicator<A: Algebra>(tag: &A, which: usize) -> A {
    let mut product: Option<A> = None;
    let mut scale = Fr::one();
    for other in (0..4).filter(|other| *other != which) {
        let factor = tag.clone() - A::number(other as u64);
        scale *= Fr::from(which as u64) - Fr::from(other as u64);
        product = Some(match product {
            Some(product) => product * factor,
            None => factor,
        });
    }
    let inverse = scale
        .invert()
        .expect("small distinct integers differ mod p");
    product.expect("four tags") * inverse
}
