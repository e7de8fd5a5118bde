//! Checkpoints: validators certify what a sealed batch says of itself, before the base layer stores it
//! (`sequencing.md`, rule 14; `protocol.md`, "Commit and prove").
//!
//! A [`BatchCommitment`] is the header of `commitBatch`, the hashes of the three word sequences and the last block. Its
//! digest is `keccak256(abi.encode(name, domain, ..))` over 32-byte words in the order of the fields, so a contract
//! rebuilds it from calldata and judges signatures by `ecrecover`. A validator signs once per (batch number, root
//! before): two different ones are [`crate::evidence::Evidence::DoubleCheckpoint`].
//!
//! What this module does not do: prove that the root after follows (a bundle does), or know which set signs an epoch
//! ([`crate::handover`]).

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::{BlockHeader, BlockId},
    certificate::{CertificateError, Quorum},
    codec::{abi_word, borsh_field, field_to_be_bytes},
    hash::keccak256,
    number::{BatchNumber, Epoch, Height},
    params::CIRCUIT_VERSION,
    threaded::Threaded,
    transaction::Domain,
    validator::{ValidatorKey, ValidatorSet, ValidatorSignature, digest},
    words::{Words, sequence_bytes},
};

/// What validators sign about a sealed batch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BatchCommitment {
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
    /// `leaf_count | height << 64 | inbox_count << 128` before; the height is that of the last published block.
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
    /// Signed operations in the batch.
    pub signed_operations: u64,
    /// Epoch of the last block: its set signs.
    pub epoch: Epoch,
    /// Hash of the set of the epoch after.
    pub next_set_hash: [u8; 32],
    /// Timestamp of the base-layer block that the last block refers to; 0 until there is a base layer.
    pub l1_origin_time: u64,
    /// Version of the circuits that prove the batch.
    pub circuit_version: u64,
    /// keccak256 of the published operation words.
    pub ops_hash: [u8; 32],
    /// keccak256 of the withdrawal words.
    pub withdrawals_hash: [u8; 32],
    /// keccak256 of the words of consumed inbox items.
    pub inbox_hash: [u8; 32],
    /// Height of the batch's last block, published or empty.
    pub last_height: Height,
    /// Id of that block.
    pub last_block: BlockId,
}

/// Why a checkpoint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The epoch is not that of the last block.
    #[error("it names epoch {named}, but its last block {height} is in epoch {actual}")]
    Epoch {
        /// Epoch in the commitment.
        named: Epoch,
        /// Height of the last block.
        height: Height,
        /// Epoch of that height.
        actual: Epoch,
    },
    /// Other circuits than this program's domain is about.
    #[error("it is of circuit version {0}, not {CIRCUIT_VERSION}")]
    CircuitVersion(u64),
    /// Signers or signatures.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A batch says something else than its commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch differs from its commitment in {0}")]
pub struct BatchMismatch(pub &'static str);

impl BatchCommitment {
    /// The commitment to a batch that went from `start` to `end`, published `words` and ends with block `last`.
    #[must_use]
    pub fn new(
        batch_number: BatchNumber,
        (start, end): (&Threaded, &Threaded),
        words: &Words,
        last: &BlockHeader,
        l1_origin_time: u64,
    ) -> Self {
        Self {
            batch_number,
            root_before: start.root,
            root_after: end.root,
            counters_before: start.counters(),
            counters_after: end.counters(),
            h: end.h,
            signed_operations: end.counts.signed_operations,
            epoch: last.core.epoch,
            next_set_hash: last.core.next_set_hash,
            l1_origin_time,
            circuit_version: CIRCUIT_VERSION,
            ops_hash: keccak256(&sequence_bytes(&words.ops)),
            withdrawals_hash: keccak256(&sequence_bytes(&words.withdrawals)),
            inbox_hash: keccak256(&sequence_bytes(&words.inbox)),
            last_height: last.core.height,
            last_block: last.id(),
        }
    }

    /// `abi.encode("QUORATE/protocol/checkpoint/v1", domain, the fields in order)`, hashed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        let words = [
            field_to_be_bytes(&domain.0),
            abi_word(u128::from(self.batch_number.0)),
            field_to_be_bytes(&self.root_before),
            field_to_be_bytes(&self.root_after),
            field_to_be_bytes(&self.counters_before),
            field_to_be_bytes(&self.counters_after),
            field_to_be_bytes(&self.h),
            abi_word(u128::from(self.signed_operations)),
            abi_word(u128::from(self.epoch.0)),
            self.next_set_hash,
            abi_word(u128::from(self.l1_origin_time)),
            abi_word(u128::from(self.circuit_version)),
            self.ops_hash,
            self.withdrawals_hash,
            self.inbox_hash,
            abi_word(u128::from(self.last_height.0)),
            self.last_block.0,
        ];
        digest("QUORATE/protocol/checkpoint/v1", &words)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &ValidatorKey) -> SignedCommitment {
        let signature = key.sign(&self.digest(domain));
        SignedCommitment {
            commitment: self,
            validator: key.address(),
            signature,
        }
    }

    /// Whether epoch and circuit version are those that the other fields and this program stand for.
    ///
    /// # Errors
    /// [`CheckpointError::Epoch`] or [`CheckpointError::CircuitVersion`].
    pub fn check(&self) -> Result<(), CheckpointError> {
        let actual = Epoch::of(self.last_height);
        if self.epoch != actual {
            return Err(CheckpointError::Epoch {
                named: self.epoch,
                height: self.last_height,
                actual,
            });
        }
        if self.circuit_version != CIRCUIT_VERSION {
            return Err(CheckpointError::CircuitVersion(self.circuit_version));
        }
        Ok(())
    }

    /// Whether this is the commitment to the batch that a bundle proves. A bundle names no blocks, so the last block
    /// and what it says of validator sets and the base layer are not compared.
    ///
    /// # Errors
    /// [`BatchMismatch`] with the first field that differs.
    pub fn check_batch(
        &self,
        batch_number: BatchNumber,
        (start, end): (&Threaded, &Threaded),
        words: &Words,
    ) -> Result<(), BatchMismatch> {
        let fields = [
            ("batch number", self.batch_number == batch_number),
            ("root before", self.root_before == start.root),
            ("root after", self.root_after == end.root),
            ("counters before", self.counters_before == start.counters()),
            ("counters after", self.counters_after == end.counters()),
            ("the accumulator h", self.h == end.h),
            (
                "the number of signed operations",
                self.signed_operations == end.counts.signed_operations,
            ),
            (
                "the operation words",
                self.ops_hash == keccak256(&sequence_bytes(&words.ops)),
            ),
            (
                "the withdrawal words",
                self.withdrawals_hash == keccak256(&sequence_bytes(&words.withdrawals)),
            ),
            (
                "the inbox words",
                self.inbox_hash == keccak256(&sequence_bytes(&words.inbox)),
            ),
        ];
        match fields.into_iter().find(|(_, is_equal)| !is_equal) {
            Some((name, _)) => Err(BatchMismatch(name)),
            None => Ok(()),
        }
    }
}

/// A commitment with one validator's signature. Not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedCommitment {
    /// What was signed.
    pub commitment: BatchCommitment,
    /// Who says so.
    pub validator: L1Address,
    /// Over [`BatchCommitment::digest`].
    pub signature: ValidatorSignature,
}

impl SignedCommitment {
    /// Whether the signature is the validator's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        self.signature
            .is_by(&self.validator, &self.commitment.digest(domain))
    }
}

/// More than two thirds of the weight signed this commitment: a batch certificate.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// What was signed.
    pub commitment: BatchCommitment,
    /// Signers by address.
    pub signatures: Quorum,
}

impl Checkpoint {
    /// The checkpoint of these signatures, in any order; those on another commitment and second ones of a signer are
    /// left out. Not yet checked.
    #[must_use]
    pub fn assemble<'a>(
        commitment: BatchCommitment,
        signed: impl IntoIterator<Item = &'a SignedCommitment>,
    ) -> Self {
        let signed = signed
            .into_iter()
            .filter(|one| one.commitment == commitment);
        Self {
            signatures: signed.map(|one| (one.validator, one.signature)).collect(),
            commitment,
        }
    }

    /// Accepts the checkpoint if more than two thirds of `set`, the set of its epoch, signed it.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<(), CheckpointError> {
        self.commitment.check()?;
        Ok(self
            .signatures
            .verify(&self.commitment.digest(domain), set)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        codec::{from_bytes, to_bytes},
        testing::{World, generator, trace_batch},
    };

    /// A world after one batch, the batch, and the header of its last block.
    fn sealed() -> (World, crate::testing::TracedBatch, BlockHeader) {
        let mut rng = generator(11);
        let mut world = World::random(&mut rng, 12);
        let state = world.state.clone();
        let blocks = world.grow(&mut rng, 3, 4);
        let batch = trace_batch(world.domain, (state, Height(0), 0), &blocks).unwrap();
        let last = blocks.last().unwrap().header.clone();
        (world, batch, last)
    }

    fn commitment() -> (World, BatchCommitment) {
        let (world, batch, last) = sealed();
        let done = &batch.finished;
        let ends = (&done.start, &done.end);
        let made = BatchCommitment::new(BatchNumber(1), ends, &done.words, &last, 0);
        (world, made)
    }

    fn signed(world: &World, commitment: &BatchCommitment, seats: usize) -> Checkpoint {
        let signed: Vec<SignedCommitment> = world
            .validators
            .iter()
            .rev()
            .take(seats)
            .map(|key| commitment.clone().sign(&world.domain, key))
            .collect();
        Checkpoint::assemble(commitment.clone(), &signed)
    }

    /// The commitment with each field changed in turn.
    fn altered(base: &BatchCommitment) -> Vec<BatchCommitment> {
        let alter: [fn(&mut BatchCommitment); 16] = [
            |one| one.batch_number.0 += 1,
            |one| one.root_before += Fr::from(1_u64),
            |one| one.root_after += Fr::from(1_u64),
            |one| one.counters_before += Fr::from(1_u64),
            |one| one.counters_after += Fr::from(1_u64),
            |one| one.h += Fr::from(1_u64),
            |one| one.signed_operations += 1,
            |one| one.epoch.0 += 1,
            |one| one.next_set_hash[0] ^= 1,
            |one| one.l1_origin_time += 1,
            |one| one.circuit_version += 1,
            |one| one.ops_hash[0] ^= 1,
            |one| one.withdrawals_hash[0] ^= 1,
            |one| one.inbox_hash[0] ^= 1,
            |one| one.last_height.0 += 1,
            |one| one.last_block.0[0] ^= 1,
        ];
        let changed = alter.into_iter().map(|alter| {
            let mut other = base.clone();
            alter(&mut other);
            other
        });
        changed.collect()
    }

    #[test]
    fn a_quorum_of_the_set_certifies_a_sealed_batch() {
        let (world, commitment) = commitment();
        let set = &world.genesis.validators;
        assert_eq!(
            signed(&world, &commitment, 4).verify(&world.domain, set),
            Ok(())
        );
        let three = signed(&world, &commitment, 3);
        assert_eq!(three.verify(&world.domain, set), Ok(()));
        assert_eq!(three.signatures.weight(set), 3);
        assert_eq!(from_bytes::<Checkpoint>(&to_bytes(&three)), Ok(three));
        let refused = CertificateError::NoQuorum {
            signed: 2,
            total: 4,
        };
        assert_eq!(
            signed(&world, &commitment, 2).verify(&world.domain, set),
            Err(refused.into())
        );
        let elsewhere = Domain(Fr::from(2_u64));
        assert!(
            signed(&world, &commitment, 4)
                .verify(&elsewhere, set)
                .is_err()
        );
    }

    #[test]
    fn every_field_is_signed() {
        let (world, commitment) = commitment();
        let set = &world.genesis.validators;
        let mut digests = BTreeSet::from([commitment.digest(&world.domain)]);
        for other in altered(&commitment) {
            digests.insert(other.digest(&world.domain));
            let moved = Checkpoint {
                commitment: other,
                ..signed(&world, &commitment, 4)
            };
            assert!(moved.verify(&world.domain, set).is_err(), "{moved:?}");
        }
        assert_eq!(digests.len(), 17);
    }

    /// A contract rebuilds the digest: names, order and width of every word are fixed here by hand.
    #[test]
    fn digest_is_abi_encoded() {
        let (world, one) = commitment();
        let number = |value: u64| format!("{value:064x}");
        let field = |value: &Fr| hex::encode(field_to_be_bytes(value));
        let words = [
            number(32 * 18),
            field(&world.domain.0),
            number(1),
            field(&one.root_before),
            field(&one.root_after),
            field(&one.counters_before),
            field(&one.counters_after),
            field(&one.h),
            number(one.signed_operations),
            number(0),
            hex::encode(one.next_set_hash),
            number(0),
            number(1),
            hex::encode(one.ops_hash),
            hex::encode(one.withdrawals_hash),
            hex::encode(one.inbox_hash),
            number(3),
            hex::encode(one.last_block.0),
            number(30),
            format!("{:0<64}", hex::encode("QUORATE/protocol/checkpoint/v1")),
        ];
        let preimage = hex::decode(words.concat()).unwrap();
        assert_eq!(one.digest(&world.domain), keccak256(&preimage));
    }

    #[test]
    fn forged_repeated_and_foreign_signatures_are_refused() {
        let (world, commitment) = commitment();
        let set = &world.genesis.validators;
        let good = signed(&world, &commitment, 4);
        let refused = |alter: &dyn Fn(&mut Checkpoint)| {
            let mut bad = good.clone();
            alter(&mut bad);
            bad.verify(&world.domain, set).unwrap_err()
        };
        let first = good.signatures[0].validator;
        assert_eq!(
            refused(&|bad| bad.signatures.0[0].signature = bad.signatures[1].signature),
            CertificateError::Signature(first).into()
        );
        assert_eq!(
            refused(&|bad| bad.signatures.0[1] = bad.signatures[0]),
            CertificateError::Order(first).into()
        );
        let stranger = ValidatorKey::from_bytes(&[99; 32]).unwrap();
        let mut all: Vec<SignedCommitment> = world.validators[..3]
            .iter()
            .map(|key| commitment.clone().sign(&world.domain, key))
            .collect();
        all.push(commitment.clone().sign(&world.domain, &stranger));
        assert_eq!(
            Checkpoint::assemble(commitment.clone(), &all).verify(&world.domain, set),
            Err(CertificateError::Stranger(stranger.address()).into())
        );
    }

    #[test]
    fn assembling_leaves_out_other_commitments_and_second_signatures() {
        let (world, commitment) = commitment();
        let other = altered(&commitment).swap_remove(2);
        let sign = |one: &BatchCommitment, seat: usize| {
            let key: &ValidatorKey = &world.validators[seat];
            one.clone().sign(&world.domain, key)
        };
        let all = [
            sign(&commitment, 2),
            sign(&other, 1),
            sign(&commitment, 0),
            sign(&commitment, 2),
        ];
        let made = Checkpoint::assemble(commitment, &all);
        let signers: Vec<L1Address> = made.signatures.iter().map(|one| one.validator).collect();
        assert_eq!(
            signers,
            [world.validators[0].address(), world.validators[2].address()]
        );
    }

    #[test]
    fn commitments_of_another_epoch_or_circuit_are_refused_whoever_signs() {
        let (world, commitment) = commitment();
        let set = &world.genesis.validators;
        for other in [
            BatchCommitment {
                epoch: Epoch(1),
                ..commitment.clone()
            },
            BatchCommitment {
                circuit_version: CIRCUIT_VERSION + 1,
                ..commitment.clone()
            },
        ] {
            let refused = signed(&world, &other, 4).verify(&world.domain, set);
            assert!(!matches!(
                refused,
                Ok(()) | Err(CheckpointError::Certificate(_))
            ));
        }
    }

    #[test]
    fn a_commitment_fits_its_own_batch_and_no_other() {
        let (_, batch, last) = sealed();
        let done = &batch.finished;
        let ends = (&done.start, &done.end);
        let made = BatchCommitment::new(BatchNumber(1), ends, &done.words, &last, 0);
        assert_eq!(made.check_batch(BatchNumber(1), ends, &done.words), Ok(()));
        let seen = altered(&made)
            .iter()
            .filter(|other| {
                other
                    .check_batch(BatchNumber(1), ends, &done.words)
                    .is_err()
            })
            .count();
        assert_eq!(
            seen, 10,
            "all but epoch, next set, times, version and last block"
        );
        let mut words = done.words.clone();
        words.ops.push(crate::words::Word::default());
        assert_eq!(
            made.check_batch(BatchNumber(1), ends, &words),
            Err(BatchMismatch("the operation words"))
        );
    }
}
