//! Batches to prove.

use circuits::convert::{NativeField, to_circuit};
use halo2curves::bn256::Fr;
use protocol::witness::DataWitness;
use protocol::words::{Group, Place, Sequence, WORD_BYTES, Word};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A seeded generator.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The largest word.
pub(crate) const FULL: Word = Word([0xff; WORD_BYTES]);

/// The word 0.
pub(crate) const ZERO: Word = Word([0; WORD_BYTES]);

/// A place with a small word.
pub(crate) fn place(sequence: Sequence, value: u8) -> Place {
    let mut bytes = [0; WORD_BYTES];
    bytes[WORD_BYTES - 1] = value;
    Some((sequence, Word(bytes)))
}

/// A point of evaluation.
pub(crate) fn point(seed: u64) -> NativeField {
    let mut bytes = [0_u8; 32];
    rng(seed).fill(&mut bytes);
    protocol::hash::keccak256_mod_p(&bytes)
}

/// A place of any kind: boundary words one time in four each.
fn any_place(rng: &mut ChaCha20Rng) -> Place {
    let sequence = match rng.gen_range(0..4) {
        0 => Sequence::Ops,
        1 => Sequence::Withdrawals,
        2 => Sequence::Inbox,
        _ => return None,
    };
    let word = match rng.gen_range(0..4) {
        0 => ZERO,
        1 => FULL,
        _ => {
            let mut bytes = [0; WORD_BYTES];
            rng.fill(&mut bytes);
            Word(bytes)
        }
    };
    Some((sequence, word))
}

/// `count` groups with at least one word each.
pub(crate) fn random(count: usize, seed: u64) -> DataWitness {
    let mut rng = rng(seed);
    let mut groups = Vec::new();
    while groups.len() < count {
        let group: Group = std::array::from_fn(|_| any_place(&mut rng));
        if group.iter().any(Option::is_some) {
            groups.push(group);
        }
    }
    DataWitness {
        groups,
        z: point(seed),
    }
}

/// The public inputs of a witness, natively.
pub(crate) fn public_inputs(witness: &DataWitness) -> [Fr; 6] {
    witness.public_inputs().map(to_circuit)
}

/// One group that holds each sequence and padding, all words small.
pub(crate) fn plain() -> DataWitness {
    let group = [
        place(Sequence::Ops, 5),
        place(Sequence::Withdrawals, 6),
        place(Sequence::Inbox, 7),
        None,
    ];
    DataWitness {
        groups: vec![group],
        z: point(1),
    }
}
