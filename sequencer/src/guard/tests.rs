//! What was signed stays signed: across restarts, torn writes, rewritten logs and restored copies.

use std::fs::{self, OpenOptions};

use protocol::{
    soft::SoftHash,
    transaction::ListHash,
    vote::{Proposal, ProposalKind, Step, Vote},
};
use tempfile::TempDir;

use super::*;

const BLOCK: BlockId = BlockId([4; 32]);
const OTHER: BlockId = BlockId([5; 32]);

fn key() -> ValidatorKey {
    ValidatorKey::from_bytes(&[5; 32]).unwrap()
}

fn domain() -> Domain {
    Domain(protocol::Fr::from(9_u64))
}

/// A directory in which guards are opened. In memory where the machine has such a place: these tests are not about its
/// speed.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        Self(match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("guard")
    }

    fn open(&self) -> Result<SigningGuard, GuardError> {
        SigningGuard::open(&self.path(), key(), domain())
    }

    fn guard(&self) -> SigningGuard {
        self.open().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

fn vote(height: u64, round: u32, step: Step, block: Option<BlockId>) -> GuardRequest {
    GuardRequest::Vote(Vote {
        height: Height(height),
        round: Round(round),
        step,
        block,
    })
}

fn proposal(height: u64, kind: ProposalKind, block: BlockId) -> GuardRequest {
    let proposal = Proposal {
        height: Height(height),
        round: Round(0),
        pol_round: None,
        block,
    };
    GuardRequest::Proposal(proposal, kind)
}

fn numbered(kind: NumberedKind, number: u64, digest: u8) -> GuardRequest {
    GuardRequest::Numbered {
        kind,
        number,
        subject: [1; 32],
        digest: [digest; 32],
    }
}

fn extension(time_ms: u64) -> Extension {
    Extension {
        hashes: (0..96).map(|place| ListHash([place; 32])).collect(),
        time_ms,
        reports: Vec::new(),
    }
}

/// One request of every kind, and for each another one for the same slot.
fn pairs(height: u64) -> Vec<(GuardRequest, GuardRequest)> {
    let mut pairs = Vec::new();
    for step in [Step::Prevote, Step::Precommit] {
        let at = |round, block| vote(height, round, step, block);
        pairs.push((at(0, Some(BLOCK)), at(0, Some(OTHER))));
        pairs.push((at(1, None), at(1, Some(BLOCK))));
        pairs.push((at(2, Some(OTHER)), at(2, None)));
    }
    for kind in [ProposalKind::Proposal, ProposalKind::Init] {
        let other = proposal(height, kind, OTHER);
        pairs.push((proposal(height, kind, BLOCK), other));
    }
    for kind in [
        NumberedKind::Batch,
        NumberedKind::Soft,
        NumberedKind::Restart,
    ] {
        let at = |digest| numbered(kind, height, digest);
        pairs.push((at(1), at(2)));
    }
    pairs
}

fn is_conflict<T>(answer: Result<T, GuardError>) -> bool {
    matches!(answer, Err(GuardError::Conflict { .. }))
}

fn is_below<T>(answer: Result<T, GuardError>) -> bool {
    matches!(answer, Err(GuardError::Below { .. }))
}

fn sign_all(guard: &SigningGuard, height: u64) -> Vec<ValidatorSignature> {
    let extended = guard.sign_extension(Height(height), Round(0), BLOCK, extension(1));
    let (_, of_extension) = extended.unwrap();
    let signed = pairs(height)
        .into_iter()
        .map(|(request, _)| guard.sign(&request).unwrap());
    signed.chain([of_extension]).collect()
}

/// The first request of each pair gets its signature again, the second is refused, and the stored extension comes back.
fn assert_kept(guard: &SigningGuard, height: u64, signed: &[ValidatorSignature]) {
    let len = guard.inner().unwrap().log.len();
    for ((request, conflicting), signature) in pairs(height).into_iter().zip(signed) {
        assert_eq!(guard.sign(&request).unwrap(), *signature, "{request:?}");
        assert!(is_conflict(guard.sign(&conflicting)), "{conflicting:?}");
    }
    let at = (Height(height), Round(0));
    let (stored, signature) = guard
        .sign_extension(at.0, at.1, BLOCK, extension(2))
        .unwrap();
    assert_eq!((&stored, Some(&signature)), (&extension(1), signed.last()));
    let digest = stored.digest(&domain(), at.0, at.1, BLOCK);
    assert!(signature.is_by(&key().address(), &digest));
    assert!(is_conflict(guard.sign_extension(
        at.0,
        at.1,
        OTHER,
        extension(1)
    )));
    let len_after = guard.inner().unwrap().log.len();
    assert_eq!(len_after, len, "answers from memory write nothing");
}

#[test]
fn signatures_are_over_the_protocols_digests() {
    let place = Place::new();
    let guard = place.guard();
    let vote = Vote {
        height: Height(3),
        round: Round(1),
        step: Step::Precommit,
        block: None,
    };
    let signature = guard.sign(&GuardRequest::Vote(vote)).unwrap();
    assert_eq!(vote.sign(&domain(), &key()).signature, signature);
    let proposal = Proposal {
        height: Height(3),
        round: Round(1),
        pol_round: Some(Round(0)),
        block: BLOCK,
    };
    for kind in [ProposalKind::Proposal, ProposalKind::Init] {
        let signature = guard.sign(&GuardRequest::Proposal(proposal, kind)).unwrap();
        let expected = proposal.sign(kind, &domain(), &key()).signature;
        assert_eq!(expected, signature);
    }
    let batch = numbered(NumberedKind::Batch, 1, 8);
    let signature = guard.sign(&batch).unwrap();
    assert!(signature.is_by(&key().address(), &[8; 32]));
}

#[test]
fn every_kind_of_message_is_signed_once_also_after_a_restart() {
    let place = Place::new();
    let guard = place.guard();
    let signed = sign_all(&guard, 3);
    assert_kept(&guard, 3, &signed);
    drop(guard);
    assert_kept(&place.guard(), 3, &signed);
}

#[test]
fn a_batch_is_signed_once_for_each_root_before_it() {
    let place = Place::new();
    let guard = place.guard();
    let batch = |root: u8, digest: u8| GuardRequest::Numbered {
        kind: NumberedKind::Batch,
        number: 7,
        subject: [root; 32],
        digest: [digest; 32],
    };
    guard.sign(&batch(1, 1)).unwrap();
    guard.sign(&batch(2, 2)).unwrap();
    assert!(is_conflict(guard.sign(&batch(1, 2))));
}

#[test]
fn heights_below_the_last_are_refused_and_the_last_two_are_kept() {
    let place = Place::new();
    let guard = place.guard();
    let signed: Vec<_> = (3..=5).map(|height| sign_all(&guard, height)).collect();
    drop(guard);
    let guard = place.guard();
    assert_kept(&guard, 5, &signed[2]);
    // restarts below the highest height are refused, so height 4 is asked for votes only
    let (kept, _) = &pairs(4)[0];
    assert_eq!(guard.sign(kept).unwrap(), signed[1][0]);
    assert!(is_below(guard.sign(&vote(4, 9, Step::Prevote, None))));
    let (gone, _) = &pairs(3)[0];
    assert!(is_below(guard.sign(gone)));
    assert!(is_below(guard.sign(&numbered(NumberedKind::Restart, 2, 1))));
    assert_eq!(guard.highest_signed().unwrap(), Height(5));
}

#[test]
fn rounds_and_numbers_far_below_the_last_are_refused() {
    let place = Place::new();
    let guard = place.guard();
    let prevote = |round| vote(3, round, Step::Prevote, None);
    let batch = |number| numbered(NumberedKind::Batch, number, 1);
    guard.sign(&prevote(0)).unwrap();
    guard.sign(&batch(1)).unwrap();
    guard.sign(&prevote(ROUNDS_KEPT + 1)).unwrap();
    guard.sign(&batch(NUMBERS_KEPT + 2)).unwrap();
    drop(guard);
    let guard = place.guard();
    for round in [0, 1] {
        assert!(is_below(guard.sign(&prevote(round))));
    }
    guard.sign(&prevote(2)).unwrap();
    for number in [1, 2] {
        assert!(is_below(guard.sign(&batch(number))));
    }
    guard.sign(&batch(3)).unwrap();
}

#[test]
fn the_lock_is_the_latest_precommit_of_a_block() {
    let place = Place::new();
    let guard = place.guard();
    assert_eq!(guard.lock().unwrap(), None);
    let lock = |round, block| {
        Some(Lock {
            height: Height(3),
            round: Round(round),
            block,
        })
    };
    guard.sign(&vote(3, 0, Step::Prevote, Some(BLOCK))).unwrap();
    assert_eq!(guard.lock().unwrap(), None);
    guard
        .sign(&vote(3, 1, Step::Precommit, Some(OTHER)))
        .unwrap();
    // an earlier round that is replayed late, and a nil precommit, move nothing
    guard
        .sign(&vote(3, 0, Step::Precommit, Some(BLOCK)))
        .unwrap();
    guard.sign(&vote(3, 2, Step::Precommit, None)).unwrap();
    assert_eq!(guard.lock().unwrap(), lock(1, OTHER));
    drop(guard);
    let guard = place.guard();
    assert_eq!(guard.lock().unwrap(), lock(1, OTHER));
    // it outlives its round's entries
    guard
        .sign(&vote(3, ROUNDS_KEPT + 9, Step::Prevote, None))
        .unwrap();
    assert_eq!(guard.lock().unwrap(), lock(1, OTHER));
}

#[test]
fn catching_up_refuses_what_is_not_stored_and_never_falls() {
    let place = Place::new();
    let guard = place.guard();
    let signed = sign_all(&guard, 3);
    guard.catch_up(Height(8)).unwrap();
    guard.catch_up(Height(6)).unwrap();
    for guard in [guard, {
        let copy = Place::new();
        fs::copy(place.path(), copy.path()).unwrap();
        copy.guard()
    }] {
        assert_kept(&guard, 3, &signed);
        for height in 0..=8 {
            let fresh = vote(height, 7, Step::Prevote, None);
            assert!(is_below(guard.sign(&fresh)), "height {height}");
            let extended = guard.sign_extension(Height(height), Round(7), BLOCK, extension(1));
            assert!(is_below(extended), "height {height}");
        }
        assert!(is_below(guard.sign(&numbered(NumberedKind::Restart, 7, 1))));
        guard.sign(&numbered(NumberedKind::Restart, 8, 1)).unwrap();
        guard.sign(&vote(9, 0, Step::Prevote, None)).unwrap();
    }
}

#[test]
fn soft_blocks_are_signed_in_rising_numbers_once_for_each_also_after_a_restart() {
    let place = Place::new();
    let vote = |height, base, number, block| SoftVote {
        base_height: Height(height),
        base: BlockId([base; 32]),
        number,
        block: SoftHash([block; 32]),
    };
    let guard = place.guard();
    assert_eq!(guard.last_soft(Height(5)).unwrap(), 0);
    assert!(is_below(guard.sign_soft(&vote(5, 1, 0, 1))));
    let first = guard.sign_soft(&vote(5, 1, 1, 1)).unwrap();
    assert!(first.is_authentic(&domain()) && first.validator == key().address());
    guard.sign_soft(&vote(5, 1, 300, 1)).unwrap();
    drop(guard);
    let guard = place.guard();
    assert_eq!(guard.last_soft(Height(5)).unwrap(), 300);
    assert_eq!(guard.sign_soft(&vote(5, 1, 1, 1)).unwrap(), first);
    assert!(is_conflict(guard.sign_soft(&vote(5, 1, 1, 2))));
    assert!(is_below(guard.sign_soft(&vote(5, 1, 299, 1))));
    // another block at the height of the base is no way around it
    assert!(is_conflict(guard.sign_soft(&vote(5, 2, 300, 1))));
    guard.sign_soft(&vote(6, 1, 1, 1)).unwrap();
    guard.sign_soft(&vote(5, 1, 301, 1)).unwrap();
    guard.sign_soft(&vote(7, 1, 1, 1)).unwrap();
    assert!(is_below(guard.sign_soft(&vote(5, 1, 302, 1))));
    // the floor of a restored guard holds for the base below it
    guard.catch_up(Height(9)).unwrap();
    assert!(is_below(guard.sign_soft(&vote(8, 1, 1, 1))));
    guard.sign_soft(&vote(9, 1, 1, 1)).unwrap();
}

#[test]
fn malformed_extensions_are_not_signed() {
    let place = Place::new();
    let guard = place.guard();
    let mut disordered = extension(1);
    disordered.hashes.swap(0, 1);
    let answer = guard.sign_extension(Height(3), Round(0), BLOCK, disordered);
    assert!(matches!(answer, Err(GuardError::Extension(_))));
    guard
        .sign_extension(Height(3), Round(0), BLOCK, extension(1))
        .unwrap();
}

#[test]
fn a_second_process_and_another_key_or_chain_are_refused() {
    let place = Place::new();
    let guard = place.guard();
    assert!(matches!(place.open(), Err(GuardError::InUse { .. })));
    drop(guard);
    let path = place.path();
    let stranger = ValidatorKey::from_bytes(&[6; 32]).unwrap();
    let foreign = [
        SigningGuard::open(&path, stranger, domain()),
        SigningGuard::open(&path, key(), Domain(protocol::Fr::from(1_u64))),
    ];
    for answer in foreign {
        assert!(matches!(answer, Err(GuardError::Foreign { .. })));
    }
    place.guard();
}

#[test]
fn a_record_cut_off_at_any_byte_is_dropped_and_nothing_else() {
    let place = Place::new();
    let guard = place.guard();
    let signed = sign_all(&guard, 3);
    let whole = place.bytes().len();
    let last = vote(3, 5, Step::Precommit, Some(BLOCK));
    let signature = guard.sign(&last).unwrap();
    drop(guard);
    let bytes = place.bytes();
    for cut in whole..bytes.len() {
        // cut off, and cut off in a file that had grown already
        let mut grown = bytes[..cut].to_vec();
        grown.resize(bytes.len(), 0);
        let mut images = vec![bytes[..cut].to_vec()];
        let checksum_arrived = cut > bytes.len() - 8;
        if !checksum_arrived {
            images.push(grown);
        }
        for image in images {
            fs::write(place.path(), &image).unwrap();
            let guard = place.guard();
            assert_eq!(place.bytes(), bytes[..whole], "cut at {cut}");
            assert_kept(&guard, 3, &signed);
            assert_eq!(guard.sign(&last).unwrap(), signature);
            drop(guard);
            assert_eq!(place.bytes(), bytes, "cut at {cut}");
        }
    }
}

#[test]
fn an_extension_is_durable_with_what_is_signed_after_it_and_not_before() {
    let place = Place::new();
    let guard = place.guard();
    let sign = |guard: &SigningGuard, block, time| {
        let signed = guard.sign_extension(Height(3), Round(0), block, extension(time));
        signed.map(|(extension, _)| extension.time_ms)
    };
    let before = place.bytes();
    assert_eq!(sign(&guard, BLOCK, 1).unwrap(), 1);
    assert_eq!(sign(&guard, BLOCK, 2).unwrap(), 1);
    assert!(is_conflict(sign(&guard, OTHER, 1)));
    assert_eq!(place.bytes(), before);
    drop(guard);

    // it never left the node: after a crash another one may
    let guard = place.guard();
    assert_eq!(sign(&guard, OTHER, 5).unwrap(), 5);
    let precommit = vote(3, 0, Step::Precommit, Some(OTHER));
    let signature = guard.sign(&precommit).unwrap();
    drop(guard);
    let whole = place.bytes();
    for cut in before.len()..whole.len() {
        fs::write(place.path(), &whole[..cut]).unwrap();
        let guard = place.guard();
        assert_eq!(place.bytes(), before, "both or neither, cut at {cut}");
        assert_eq!(guard.highest_signed().unwrap(), Height(0));
    }
    fs::write(place.path(), &whole).unwrap();
    let guard = place.guard();
    assert_eq!(guard.sign(&precommit).unwrap(), signature);
    assert_eq!(sign(&guard, OTHER, 6).unwrap(), 5);
    assert!(is_conflict(sign(&guard, BLOCK, 5)));
}

#[test]
fn an_answer_from_memory_waits_for_the_extension_before_it() {
    let place = Place::new();
    let guard = place.guard();
    let precommit = vote(3, 0, Step::Precommit, Some(BLOCK));
    guard.sign(&precommit).unwrap();
    let (_, signature) = guard
        .sign_extension(Height(3), Round(0), BLOCK, extension(1))
        .unwrap();
    guard.sign(&precommit).unwrap();
    drop(guard);
    let again = place
        .guard()
        .sign_extension(Height(3), Round(0), BLOCK, extension(2));
    assert_eq!(again.unwrap(), (extension(1), signature));
}

#[test]
fn what_is_signed_together_is_signed_whole_or_not_at_all() {
    let place = Place::new();
    let guard = place.guard();
    let both =
        |block| [ProposalKind::Init, ProposalKind::Proposal].map(|kind| proposal(3, kind, block));
    let [_, of_proposal] = guard.sign_together(both(BLOCK)).unwrap();
    let [_, second] = both(BLOCK);
    let len = place.bytes().len();
    assert_eq!(guard.sign(&second).unwrap(), of_proposal);
    assert_eq!(guard.sign_together(both(BLOCK)).unwrap()[1], of_proposal);
    assert!(is_conflict(guard.sign_together(both(OTHER))));
    assert_eq!(place.bytes().len(), len);

    // one of the two is refused: the other is not signed either
    let fresh = vote(3, 7, Step::Prevote, None);
    assert!(is_conflict(guard.sign_together([fresh, both(OTHER)[0]])));
    let other = vote(3, 7, Step::Prevote, Some(OTHER));
    assert!(is_conflict(guard.sign_together([other, fresh])));
    guard.sign(&other).unwrap();
    drop(guard);
    let guard = place.guard();
    assert_eq!(guard.sign(&second).unwrap(), of_proposal);
    assert!(is_conflict(guard.sign(&fresh)));
}

#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let place = Place::new();
    let guard = place.guard();
    for (request, _) in pairs(3) {
        guard.sign(&request).unwrap();
    }
    drop(guard);
    let bytes = place.bytes();
    for (index, byte) in bytes.iter().enumerate() {
        for flip in [1 << (index % 8), 0xff] {
            let mut flipped = bytes.clone();
            flipped[index] = byte ^ flip;
            fs::write(place.path(), &flipped).unwrap();
            match place.open() {
                Err(GuardError::Damaged { path, offset, .. }) => {
                    assert_eq!(path, place.path());
                    assert!(offset <= index as u64);
                }
                other => panic!("byte {index}, flip {flip}: {other:?}"),
            }
        }
    }
    fs::write(place.path(), &bytes).unwrap();
    place.guard();
}

#[test]
fn an_empty_or_repeated_log_is_refused() {
    let place = Place::new();
    let guard = place.guard();
    guard.sign(&vote(3, 0, Step::Prevote, None)).unwrap();
    drop(guard);
    let bytes = place.bytes();
    for image in [Vec::new(), bytes[..4].to_vec(), vec![0; 40]] {
        fs::write(place.path(), image).unwrap();
        assert!(matches!(place.open(), Err(GuardError::Damaged { .. })));
    }
    fs::write(place.path(), bytes.repeat(2)).unwrap();
    assert!(matches!(place.open(), Err(GuardError::Damaged { .. })));
}

#[test]
fn a_failed_write_or_sync_poisons_the_guard_until_it_is_opened_again() {
    // a full disk refuses the write; a device that is no disk refuses the sync
    for device in ["/dev/full", "/dev/null"] {
        let place = Place::new();
        let guard = place.guard();
        let stored = vote(3, 0, Step::Prevote, None);
        let signature = guard.sign(&stored).unwrap();
        let broken = OpenOptions::new().write(true).open(device).unwrap();
        guard.inner.lock().unwrap().log.swap(broken);
        let fresh = vote(3, 0, Step::Precommit, None);
        assert!(matches!(guard.sign(&fresh), Err(GuardError::Io { .. })));
        for request in [stored, fresh] {
            assert!(matches!(guard.sign(&request), Err(GuardError::Poisoned)));
        }
        let extended = guard.sign_extension(Height(3), Round(0), BLOCK, extension(1));
        assert!(matches!(extended, Err(GuardError::Poisoned)));
        assert!(matches!(
            guard.catch_up(Height(9)),
            Err(GuardError::Poisoned)
        ));
        assert!(matches!(guard.lock(), Err(GuardError::Poisoned)));
        drop(guard);
        assert_eq!(place.guard().sign(&stored).unwrap(), signature);
    }
}

#[test]
fn ten_thousand_signatures_keep_the_log_bounded_and_the_guard_strict() {
    let place = Place::new();
    let mut guard = place.guard();
    let (mut longest, mut rewrites, mut before) = (0, 0, 0);
    for height in 1..=2_000 {
        guard
            .sign_extension(Height(height), Round(0), BLOCK, extension(height))
            .unwrap();
        for step in [Step::Prevote, Step::Precommit] {
            guard.sign(&vote(height, 0, step, Some(BLOCK))).unwrap();
            guard.sign(&vote(height, 1, step, None)).unwrap();
        }
        let len = guard.inner().unwrap().log.len();
        longest = longest.max(len);
        if len < before {
            rewrites += 1;
            drop(guard);
            guard = place.guard();
            let lock = guard.lock().unwrap().unwrap();
            assert_eq!((lock.height, lock.round), (Height(height), Round(0)));
            let conflicting = vote(height, 0, Step::Precommit, Some(OTHER));
            assert!(is_conflict(guard.sign(&conflicting)));
            let conflicting = vote(height - 1, 0, Step::Prevote, None);
            assert!(is_conflict(guard.sign(&conflicting)));
            let old = vote(height - 2, 0, Step::Prevote, None);
            assert!(is_below(guard.sign(&old)));
            let at = Height(height);
            let (stored, _) = guard
                .sign_extension(at, Round(0), BLOCK, extension(0))
                .unwrap();
            assert_eq!(stored, extension(height));
        }
        before = len;
    }
    assert!(rewrites >= 3, "rewritten {rewrites} times");
    assert!(longest < (1 << 20) + (8 << 10), "{longest} bytes");
}

#[test]
fn a_rewrite_that_a_crash_cut_off_changes_nothing() {
    let place = Place::new();
    let guard = place.guard();
    let signed = sign_all(&guard, 3);
    drop(guard);
    let unfinished = place.path().with_extension("new");
    fs::write(&unfinished, b"half a log").unwrap();
    let guard = place.guard();
    assert_kept(&guard, 3, &signed);
    // and the next one is not disturbed by it
    let mut inner = guard.inner().unwrap();
    let records: Vec<_> = inner.slots.records().collect();
    inner.log.replace(records.into_iter()).unwrap();
    drop(inner);
    assert_kept(&guard, 3, &signed);
    drop(guard);
    assert_kept(&place.guard(), 3, &signed);
    assert!(!unfinished.exists());
}

#[test]
fn what_peers_show_is_known_if_it_is_stored_or_can_be_signed_no_more() {
    let place = Place::new();
    let guard = place.guard();
    let first = vote(5, 0, Step::Prevote, Some(BLOCK));
    guard.sign(&first).unwrap();
    assert!(guard.knows(&first).unwrap());
    let other = vote(5, 0, Step::Prevote, Some(OTHER));
    assert!(!guard.knows(&other).unwrap(), "somebody else has signed it");
    let later = vote(5, 1, Step::Prevote, None);
    assert!(!guard.knows(&later).unwrap());
    assert!(guard.knows(&vote(4, 0, Step::Prevote, None)).unwrap());
    assert_eq!(guard.passed().unwrap(), Height(0));
    guard.catch_up(Height(5)).unwrap();
    drop(guard);
    let guard = place.guard();
    assert_eq!(guard.passed().unwrap(), Height(5));
    assert!(guard.knows(&later).unwrap());
    assert!(guard.sign(&later).is_err());
    assert!(!guard.knows(&vote(6, 0, Step::Prevote, None)).unwrap());
}
