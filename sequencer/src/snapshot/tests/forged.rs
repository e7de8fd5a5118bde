//! Damaged and forged snapshots: each is refused with its own reason, and nothing is written.

use protocol::{
    account::Leaf,
    certificate::{CertificateError, CommitSignature, Quorum},
    checkpoint::BatchCommitment,
    validator::ValidatorKey,
};

use super::*;
use crate::{
    fixture::{certify, domain},
    snapshot::frame::{FrameReader, FrameWriter, Kind},
    storage::StoredBlock,
};

/// A snapshot taken apart.
#[derive(Clone)]
struct Parts {
    head: Head,
    blocks: Vec<StoredBlock>,
    leaves: Vec<Leaf>,
}

impl Parts {
    /// Of a file of epoch 0.
    fn read(path: &Path) -> Self {
        let mut file = File::open(path).unwrap();
        let mut frames = FrameReader::new(&mut file, path).unwrap();
        let head: Head = frames.read(Kind::Head).unwrap();
        let heights = head.first_block().0..=head.last_height().0;
        let blocks = heights.map(|_| frames.read(Kind::Block).unwrap());
        let blocks = blocks.collect();
        let leaves = frames.read(Kind::Leaves).unwrap();
        frames.finish().unwrap();
        Self {
            head,
            blocks,
            leaves,
        }
    }

    /// Written anew, with checksums that match.
    fn write(&self, path: &Path) {
        let mut file = File::create(path).unwrap();
        let mut frames = FrameWriter::new(&mut file, path).unwrap();
        frames.write(Kind::Head, &self.head).unwrap();
        for block in &self.blocks {
            frames.write(Kind::Block, block).unwrap();
        }
        frames.write(Kind::Leaves, &self.leaves).unwrap();
        frames.write(Kind::End, &()).unwrap();
    }

    fn commitment(&mut self) -> &mut BatchCommitment {
        &mut self.head.checkpoint.commitment
    }

    /// The checkpoint again, by this key.
    fn sign_by(&mut self, key: &ValidatorKey) {
        let commitment = self.commitment().clone();
        self.head.checkpoint.signatures = Quorum(vec![CommitSignature {
            validator: key.address(),
            signature: key.sign(&commitment.digest(&domain())),
        }]);
    }

    fn last(&mut self) -> &mut StoredBlock {
        self.blocks.last_mut().unwrap()
    }
}

/// Changes a good snapshot and tries to begin from it.
fn refusal(path: &Path, change: impl FnOnce(&mut Parts)) -> SnapshotError {
    let mut parts = Parts::read(path);
    change(&mut parts);
    let dir = TempDir::new().unwrap();
    let forged = dir.path().join("forged");
    parts.write(&forged);
    let data = dir.path().join("data");
    let error = restore_snapshot(&forged, &data, &genesis()).unwrap_err();
    assert!(!data.exists(), "{error}");
    error
}

fn stranger() -> ValidatorKey {
    ValidatorKey::from_bytes(&[99; 32]).unwrap()
}

#[test]
fn a_snapshot_written_anew_is_the_same_file() {
    let rig = certified();
    let path = written(&rig);
    let copy = rig.dir.path().join("copy");
    Parts::read(&path).write(&copy);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(copy).unwrap());
}

#[test]
fn a_flipped_byte_anywhere_and_every_cut_are_seen() {
    let rig = certified();
    let path = written(&rig);
    let good = std::fs::read(&path).unwrap();
    let dir = TempDir::new().unwrap();
    let (bad, data) = (dir.path().join("bad"), dir.path().join("data"));
    let refuse = |bytes: &[u8], what: String| {
        std::fs::write(&bad, bytes).unwrap();
        let error = restore_snapshot(&bad, &data, &genesis()).unwrap_err();
        let is_named = matches!(
            error,
            SnapshotError::Damaged(_) | SnapshotError::Version { .. }
        );
        assert!(is_named && !data.exists(), "{what}: {error}");
    };
    let places = (0..64)
        .chain((64..good.len()).step_by(97))
        .chain(good.len() - 40..good.len());
    for place in places {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << (place % 8);
        refuse(&bytes, format!("byte {place}"));
    }
    for length in (0..good.len()).step_by(211).chain([good.len() - 1]) {
        refuse(&good[..length], format!("cut at {length}"));
    }
    refuse(&[&good[..], &[0]].concat(), "one byte more".to_owned());
}

#[test]
fn a_huge_length_is_refused_before_it_is_read() {
    let rig = certified();
    let mut bytes = std::fs::read(written(&rig)).unwrap();
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let bad = rig.dir.path().join("bad");
    std::fs::write(&bad, bytes).unwrap();
    let error = check_snapshot(&bad, &genesis()).unwrap_err().to_string();
    assert!(error.contains("claims 4294967295 bytes"), "{error}");
}

#[test]
fn another_chains_snapshot_is_refused() {
    let rig = certified();
    let path = written(&rig);
    let mut other = genesis();
    other.timestamp_ms += 1;
    let error = check_snapshot(&path, &other).unwrap_err();
    assert!(
        matches!(error, SnapshotError::OtherGenesis { .. }),
        "{error}"
    );
    // even if it says otherwise
    let error = refusal(&path, |parts| parts.head.genesis = other.hash());
    assert!(
        matches!(error, SnapshotError::OtherGenesis { .. }),
        "{error}"
    );
}

#[test]
fn leaves_that_were_not_certified_are_refused() {
    let rig = certified();
    let path = written(&rig);
    let richer = |parts: &mut Parts| {
        parts.leaves[2].balance = Amount::new(1 << 100).unwrap();
    };
    let error = refusal(&path, richer);
    assert!(matches!(error, SnapshotError::Root { .. }), "{error}");
    let error = refusal(&path, |parts| parts.leaves.swap(1, 2));
    assert!(matches!(error, SnapshotError::Root { .. }), "{error}");
    let error = refusal(&path, |parts| parts.leaves.truncate(4));
    assert!(matches!(error, SnapshotError::Damaged(_)), "{error}");
    // with the root that they have, the set's signature is gone
    let forge = |parts: &mut Parts| {
        richer(parts);
        let root = protocol::state::State::new(parts.leaves.clone()).root();
        parts.commitment().root_after = root;
    };
    let error = refusal(&path, forge);
    assert!(matches!(error, SnapshotError::Checkpoint(_)), "{error}");
    let error = refusal(&path, |parts| {
        forge(parts);
        parts.sign_by(&stranger());
    });
    let reason = CheckpointError::Certificate(CertificateError::Stranger(stranger().address()));
    assert!(
        matches!(error, SnapshotError::Checkpoint(found) if found == reason),
        "a certificate by a wrong set"
    );
}

#[test]
fn what_the_checkpoint_does_not_say_is_refused() {
    let rig = certified();
    let path = written(&rig);
    let changes: [fn(&mut Parts); 5] = [
        |parts| parts.head.published_height.0 += 1,
        |parts| parts.head.inbox_count += 1,
        |parts| parts.head.next_set = ValidatorSet::of_one(stranger().address()),
        |parts| parts.head.leaf_count += 1,
        |parts| parts.commitment().batch_number.0 = 0,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let error = refusal(&path, change);
        assert!(
            matches!(error, SnapshotError::Inconsistent(_)),
            "{number}: {error}"
        );
    }
    // a later number, with which a node would sign other batches than the rest
    let error = refusal(&path, |parts| parts.commitment().batch_number.0 += 1);
    assert!(matches!(error, SnapshotError::Checkpoint(_)), "{error}");
    let error = refusal(&path, |parts| parts.head.checkpoint.signatures.0.clear());
    assert!(matches!(error, SnapshotError::Checkpoint(_)), "{error}");
}

#[test]
fn blocks_that_were_not_decided_are_refused() {
    let rig = certified();
    let path = written(&rig);
    let error = refusal(&path, |parts| {
        let block = parts.last();
        block.certificate = certify(&block.block, &stranger(), 1);
    });
    assert!(
        matches!(error, SnapshotError::Certificate { .. }),
        "{error}"
    );
    let changes: [fn(&mut Parts); 4] = [
        |parts| {
            let block = parts.blocks.first_mut().unwrap();
            block.block.payload.excuses = vec![sign(transfer(1, 2, 0, 1, 0))];
        },
        |parts| {
            let other = parts.blocks[3].block.header.certificate.clone();
            parts.blocks[4].block.header.certificate = other;
        },
        |parts| parts.blocks.swap(2, 3),
        // the author signs a second block of its own: one that is not the batch's last
        |parts| {
            let block = parts.last();
            block.block.header.core.timestamp_ms += 1;
            block.certificate = certify(&block.block, &validator(), 1);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let error = refusal(&path, change);
        assert!(
            matches!(error, SnapshotError::Inconsistent(_)),
            "{number}: {error}"
        );
    }
}
