//! Checkpoint files: a batch certificate that is verified offline, and compared with the batch's bundle.
//!
//! The file ([`CHECKPOINT`]) holds the signed commitment to a sealed batch and where the set that signed it comes from.
//! A checkpoint says that more than two thirds of the weight vouch for a root; a bundle proves that the root follows.
//! Together they say both: [`VerifiedCheckpoint::check_bundle`].
//!
//! What this module does not do: say that the base layer stored the commitment.

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    checkpoint::{BatchCommitment, Checkpoint, CheckpointError},
    genesis::Genesis,
    transaction::Domain,
};

use crate::{
    bundle::{Bundle, VerifiedBatch},
    container::{Container, FileError},
    lineage::Lineage,
};

/// Largest checkpoint file in bytes: the handovers of a thousand epochs of full sets.
pub const CHECKPOINT_BYTES_MAX: usize = 16 << 20;

/// The container of checkpoint files.
pub const CHECKPOINT: Container = Container {
    magic: *b"QRCHECKP",
    version: 1,
    bytes_max: CHECKPOINT_BYTES_MAX,
    noun: "checkpoint",
};

/// What a checkpoint file holds. Nothing of it is believed before [`CheckpointFile::verify`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckpointFile {
    /// Where the set that signed comes from.
    pub lineage: Lineage,
    /// Commitment and signatures.
    pub checkpoint: Checkpoint,
}

/// What more than two thirds of the weight vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// What was signed.
    pub commitment: BatchCommitment,
    /// Domain of the chain.
    pub domain: Domain,
    /// Validators who signed.
    pub signers: usize,
    /// Their weight.
    pub weight: u128,
    /// Weight of the whole set.
    pub total: u128,
    /// Whether the set follows from the reader's own genesis, and not only from the file's.
    pub is_anchored_in_genesis: bool,
}

impl CheckpointFile {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        CHECKPOINT.encode(self)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] or [`FileError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        CHECKPOINT.decode(bytes)
    }

    /// Accepts the checkpoint under the set of its epoch, or says why not.
    ///
    /// # Errors
    /// [`FileError::Version`] for circuits that this program does not know, else [`FileError::Invalid`].
    pub fn verify(&self, genesis: Option<&Genesis>) -> Result<VerifiedCheckpoint, FileError> {
        let commitment = &self.checkpoint.commitment;
        let refused = |error: CheckpointError| match error {
            CheckpointError::CircuitVersion(_) => FileError::Version(error.to_string()),
            _ => FileError::Invalid(error.to_string()),
        };
        commitment.check().map_err(refused)?;
        let domain = self.lineage.domain;
        let set = self.lineage.set_of(commitment.epoch, genesis)?;
        self.checkpoint.verify(&domain, set).map_err(refused)?;
        Ok(VerifiedCheckpoint {
            commitment: commitment.clone(),
            domain,
            signers: self.checkpoint.signatures.len(),
            weight: self.checkpoint.signatures.weight(set),
            total: set.total(),
            is_anchored_in_genesis: genesis.is_some(),
        })
    }
}

impl VerifiedCheckpoint {
    /// Whether this is the commitment to the batch that a bundle proves: roots, counters, h and words.
    ///
    /// # Errors
    /// [`FileError::Invalid`] with the first field that differs.
    pub fn check_bundle(&self, bundle: &Bundle, proven: &VerifiedBatch) -> Result<(), FileError> {
        if proven.domain != self.domain {
            return Err(FileError::Invalid(
                "the bundle belongs to another chain than the checkpoint".to_owned(),
            ));
        }
        let ends = (&proven.start, &proven.end);
        self.commitment
            .check_batch(proven.batch_number, ends, &bundle.words)
            .map_err(|error| FileError::Invalid(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        number::{BatchNumber, Epoch, Height},
        params::{CIRCUIT_VERSION, EPOCH_HEIGHTS},
        testing::{Succession, World, leaf},
        threaded::Threaded,
        validator::ValidatorKey,
        words::{Word, Words},
    };

    use super::*;
    use crate::{bundle::ChunkProof, container::tests::assert_damage_is_seen};

    fn world() -> World {
        World::new(vec![leaf(0, 0, 1)], 1)
    }

    fn ends() -> (Threaded, Threaded) {
        let start = Threaded::batch_start(protocol::Fr::from(1_u64), 1, Height(0), 0);
        let end = Threaded {
            root: protocol::Fr::from(2_u64),
            height: Height(1),
            ..start
        };
        (start, end)
    }

    fn commitment(world: &World, last_height: u64) -> BatchCommitment {
        let mut last = world
            .block(Default::default(), world.genesis.fee_leaves)
            .header;
        last.core.height = Height(last_height);
        last.core.epoch = Epoch::of(last.core.height);
        let (start, end) = ends();
        BatchCommitment::new(BatchNumber(1), (&start, &end), &Words::default(), &last, 0)
    }

    fn signed(
        commitment: &BatchCommitment,
        keys: &[ValidatorKey],
        lineage: Lineage,
    ) -> CheckpointFile {
        let signed: Vec<_> = keys
            .iter()
            .map(|key| commitment.clone().sign(&lineage.domain, key))
            .collect();
        CheckpointFile {
            checkpoint: Checkpoint::assemble(commitment.clone(), &signed),
            lineage,
        }
    }

    fn good() -> CheckpointFile {
        let world = world();
        let lineage = Lineage::new(&world.genesis, Vec::new());
        signed(&commitment(&world, 3), &world.validators[..3], lineage)
    }

    #[test]
    fn a_quorum_vouches_offline_with_and_without_genesis() {
        let world = world();
        let file = CheckpointFile::decode(&good().encode()).unwrap();
        for genesis in [None, Some(&world.genesis)] {
            let verified = file.verify(genesis).unwrap();
            assert_eq!(verified.commitment, commitment(&world, 3));
            let counted = (verified.signers, verified.weight, verified.total);
            assert_eq!(counted, (3, 3, 4));
            assert_eq!(verified.is_anchored_in_genesis, genesis.is_some());
        }
        let lineage = Lineage::new(&world.genesis, Vec::new());
        let few = signed(&commitment(&world, 3), &world.validators[..2], lineage);
        assert_eq!(few.verify(Some(&world.genesis)).unwrap_err().exit_code(), 1);
        let richer = World::new(vec![leaf(0, 0, 2)], 1);
        assert_eq!(
            file.verify(Some(&richer.genesis)).unwrap_err().exit_code(),
            1
        );
    }

    #[test]
    fn damage_is_seen() {
        let world = world();
        assert_damage_is_seen(&good().encode(), |bytes| {
            let verified =
                CheckpointFile::decode(bytes).and_then(|file| file.verify(Some(&world.genesis)));
            verified.err().map(|error| error.exit_code())
        });
    }

    /// Without the checksum in the way.
    #[test]
    fn a_changed_body_says_the_same_or_is_refused() {
        let world = world();
        let body = protocol::codec::to_bytes(&good());
        let expected = good().verify(Some(&world.genesis)).unwrap();
        for place in 0..body.len() {
            let mut changed = body.clone();
            changed[place] ^= 1;
            let Ok(changed) = protocol::codec::from_bytes::<CheckpointFile>(&changed) else {
                continue;
            };
            if let Ok(verified) = changed.verify(Some(&world.genesis)) {
                assert_eq!(verified, expected, "byte {place}");
            }
            let _ = changed.verify(None);
        }
    }

    #[test]
    fn the_set_of_its_own_epoch_signs() {
        let world = world();
        let succession = Succession::new(&world, 2);
        let commitment = commitment(&world, 2 * EPOCH_HEIGHTS + 5);
        let lineage = Lineage::new(&world.genesis, succession.links.clone());
        let now = signed(&commitment, &succession.keys[2], lineage.clone());
        assert!(now.verify(Some(&world.genesis)).is_ok());
        let before = signed(&commitment, &succession.keys[1], lineage);
        assert!(before.verify(Some(&world.genesis)).is_err());
        let short = Lineage::new(&world.genesis, succession.links[..1].to_vec());
        let short = signed(&commitment, &succession.keys[2], short);
        assert!(short.verify(Some(&world.genesis)).is_err());
    }

    #[test]
    fn circuits_of_another_version_are_named_as_such() {
        let world = world();
        let newer = BatchCommitment {
            circuit_version: CIRCUIT_VERSION + 1,
            ..commitment(&world, 3)
        };
        let lineage = Lineage::new(&world.genesis, Vec::new());
        let file = signed(&newer, &world.validators, lineage);
        assert_eq!(
            file.verify(Some(&world.genesis)).unwrap_err().exit_code(),
            5
        );
    }

    #[test]
    fn a_bundle_of_another_batch_or_chain_is_not_its_proof() {
        let world = world();
        let verified = good().verify(Some(&world.genesis)).unwrap();
        let (start, end) = ends();
        let bundle = Bundle {
            chain_id: world.genesis.chain_id,
            rollup: world.genesis.rollup,
            circuit_version: CIRCUIT_VERSION,
            batch_number: BatchNumber(1),
            start,
            words: Words::default(),
            chunks: vec![ChunkProof {
                after: end,
                proof: Vec::new(),
            }],
            data_proof: Vec::new(),
            chunk_key: Vec::new(),
            data_key: Vec::new(),
        };
        let proven = VerifiedBatch {
            chain_id: bundle.chain_id,
            rollup: bundle.rollup,
            domain: world.domain,
            batch_number: BatchNumber(1),
            start,
            end,
            chunks: 1,
            proof_bytes: 0,
            published_bytes: 0,
            is_insecure: true,
            is_anchored_in_genesis: true,
        };
        assert_eq!(verified.check_bundle(&bundle, &proven), Ok(()));
        let elsewhere = VerifiedBatch {
            domain: Domain(protocol::Fr::from(9_u64)),
            ..proven.clone()
        };
        assert!(verified.check_bundle(&bundle, &elsewhere).is_err());
        let moved = VerifiedBatch {
            end: start,
            ..proven.clone()
        };
        assert!(verified.check_bundle(&bundle, &moved).is_err());
        let mut longer = bundle;
        longer.words.ops.push(Word::default());
        assert!(verified.check_bundle(&longer, &proven).is_err());
    }
}
