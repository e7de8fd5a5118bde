//! Public inputs of a batch and the challenge z (`protocol.md`, "Data words", "Public inputs").

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    codec::{abi_encode_tagged, abi_word, borsh_field, field_to_be_bytes},
    hash::{keccak256, keccak256_mod_p},
    number::BatchNumber,
    threaded::Threaded,
    transaction::Domain,
    words::{WordCounts, Words, evaluate, sequence_bytes},
};

/// `z = keccak256(abi.encode("QUORATE/protocol/data/v1", domain, batch_number, h, word_counts, keccak256(ops),
/// keccak256(withdrawals), keccak256(inbox))) mod p`.
///
/// Everything that is evaluated is hashed into z, and nothing that is hashed into z may be set after it.
#[must_use]
pub fn data_challenge(
    domain: &Domain,
    batch: BatchNumber,
    h: &Fr,
    counts: &WordCounts,
    words: &Words,
) -> Fr {
    let preimage = [
        field_to_be_bytes(&domain.0),
        abi_word(u128::from(batch.0)),
        field_to_be_bytes(h),
        field_to_be_bytes(&counts.to_field()),
        keccak256(&sequence_bytes(&words.ops)),
        keccak256(&sequence_bytes(&words.withdrawals)),
        keccak256(&sequence_bytes(&words.inbox)),
    ];
    keccak256_mod_p(&abi_encode_tagged("QUORATE/protocol/data/v1", &preimage))
}

/// What the final proof of a batch states, without the accumulator limbs that precede it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PublicInputs {
    /// Chain, contract, parameters and circuit version.
    pub domain: Domain,
    /// Position of the batch.
    pub batch_number: BatchNumber,
    /// State root before.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub root_before: Fr,
    /// State root after.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub root_after: Fr,
    /// `leaf_count | height << 64 | inbox_count << 128` before.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub counters_before: Fr,
    /// The same after.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub counters_after: Fr,
    /// Accumulator over all words.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub h: Fr,
    /// Point of evaluation.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub z: Fr,
    /// The ops sequence at z.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub y_ops: Fr,
    /// The withdrawals sequence at z.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub y_withdrawals: Fr,
    /// The inbox sequence at z.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub y_inbox: Fr,
    /// Counts of the three sequences and of signed operations.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub word_counts: Fr,
    /// Who is rewarded.
    pub prover_id: L1Address,
}

impl PublicInputs {
    /// Inputs of a batch that went from `start` to `end` and published `words`.
    #[must_use]
    pub fn new(
        domain: Domain,
        batch_number: BatchNumber,
        (start, end): (&Threaded, &Threaded),
        words: &Words,
        prover_id: L1Address,
    ) -> Self {
        let z = data_challenge(&domain, batch_number, &end.h, &end.counts, words);
        Self {
            domain,
            batch_number,
            root_before: start.root,
            root_after: end.root,
            counters_before: start.counters(),
            counters_after: end.counters(),
            h: end.h,
            z,
            y_ops: evaluate(&words.ops, &z),
            y_withdrawals: evaluate(&words.withdrawals, &z),
            y_inbox: evaluate(&words.inbox, &z),
            word_counts: end.counts.to_field(),
            prover_id,
        }
    }

    /// The thirteen field elements, in the order of the instance.
    #[must_use]
    pub fn to_fields(&self) -> [Fr; 13] {
        [
            self.domain.0,
            Fr::from(self.batch_number.0),
            self.root_before,
            self.root_after,
            self.counters_before,
            self.counters_after,
            self.h,
            self.z,
            self.y_ops,
            self.y_withdrawals,
            self.y_inbox,
            self.word_counts,
            self.prover_id.to_field(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Word;

    #[test]
    fn every_word_and_count_moves_z() {
        let domain = Domain(Fr::from(5_u64));
        let counts = WordCounts {
            ops: 1,
            withdrawals: 0,
            inbox: 0,
            signed_operations: 1,
        };
        let words = Words {
            ops: vec![Word::from_slots(1, 2)],
            ..Words::default()
        };
        let z = |domain: &Domain, batch, h: u64, counts: &WordCounts, words: &Words| {
            data_challenge(domain, BatchNumber(batch), &Fr::from(h), counts, words)
        };
        let base = z(&domain, 1, 7, &counts, &words);
        assert_ne!(base, z(&Domain(Fr::from(6_u64)), 1, 7, &counts, &words));
        assert_ne!(base, z(&domain, 2, 7, &counts, &words));
        assert_ne!(base, z(&domain, 1, 8, &counts, &words));
        assert_ne!(
            base,
            z(&domain, 1, 7, &WordCounts { ops: 2, ..counts }, &words)
        );
        let moved = Words {
            withdrawals: words.ops.clone(),
            ..Words::default()
        };
        assert_ne!(base, z(&domain, 1, 7, &counts, &moved));
        let moved = Words {
            inbox: words.ops.clone(),
            ..Words::default()
        };
        assert_ne!(base, z(&domain, 1, 7, &counts, &moved));
    }
}
