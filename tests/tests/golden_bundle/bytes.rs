//! The file, byte by byte, with its checksum made anew after each change.
//!
//! Every byte of the header, the public data, the states and the lengths is flipped in every run;
//! words, proofs and keys in strides that a soak run makes 1. What each flip has to come to is said
//! by the region it is in.

use std::ops::Range;
use std::time::{Duration, Instant};

use protocol::codec::to_bytes;
use protocol::hash::keccak256;
use protocol::testing::soak;
use protocol::threaded::Threaded;
use tests::golden::{bundle, bundle_bytes};
use tests::parallel::check_all;
use verifier::bundle::{Bundle, BundleError};

use super::{chain, judge, trust};

const HEADER: usize = 20;
const CHECKSUM: usize = 32;
/// No verdict may take longer, on however busy a machine; one takes some hundredths of a second.
const VERDICT_TIME_MAX: Duration = Duration::from_secs(20);

/// Changed files in memory at a time.
const AT_ONCE: usize = 256;

/// A run of bytes of one kind.
struct Region {
    name: String,
    range: Range<usize>,
    /// Distance between flipped bytes in a short run.
    stride: usize,
    /// Exit codes that are right for a flip here.
    allowed: &'static [u8],
}

/// The layout of a bundle, written down a second time.
struct Layout {
    regions: Vec<Region>,
    end: usize,
}

impl Layout {
    fn push(&mut self, name: impl Into<String>, len: usize, stride: usize, allowed: &'static [u8]) {
        let range = self.end..self.end + len;
        self.end = range.end;
        self.regions.push(Region {
            name: name.into(),
            range,
            stride,
            allowed,
        });
    }

    /// Field elements may cease to be canonical, phase and fee leaves to be any: 4; else 1.
    fn push_state(&mut self, name: &str, state: &Threaded) {
        self.push(name, to_bytes(state).len(), 1, &[1, 4]);
    }

    fn push_list(&mut self, name: &str, len: usize, stride: usize, allowed: &'static [u8]) {
        self.push(format!("length of {name}"), 4, 1, &[4]);
        self.push(name, len, stride, allowed);
    }

    fn of(bundle: &Bundle) -> Self {
        let mut layout = Self {
            regions: Vec::new(),
            end: 0,
        };
        layout.push("magic", 8, 1, &[4]);
        layout.push("format version", 4, 1, &[5]);
        layout.push("length of the body", 8, 1, &[4]);
        layout.push("chain id", 8, 1, &[1]);
        layout.push("contract", 20, 1, &[1]);
        layout.push("circuit version", 8, 1, &[5]);
        layout.push("batch number", 8, 1, &[1]);
        layout.push_state("start", &bundle.start);
        let words = &bundle.words;
        for (name, words) in [
            ("ops", &words.ops),
            ("withdrawals", &words.withdrawals),
            ("inbox", &words.inbox),
        ] {
            layout.push_list(name, 31 * words.len(), 89, &[1]);
        }
        layout.push("number of chunks", 4, 1, &[4]);
        for (place, chunk) in bundle.chunks.iter().enumerate() {
            layout.push_state(&format!("state after chunk {place}"), &chunk.after);
            layout.push_list(&format!("proof {place}"), chunk.proof.len(), 331, &[1]);
        }
        layout.push_list("data proof", bundle.data_proof.len(), 331, &[1]);
        layout.push_list("chunk key", bundle.chunk_key.len(), 1_499, &[1, 4]);
        layout.push_list("data key", bundle.data_key.len(), 1_499, &[1, 4]);
        layout
    }
}

/// Repairs the checksum, so that the content has to be judged.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = bytes.len().saturating_sub(CHECKSUM);
    let checksum = keccak256(&bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum);
    bytes
}

/// A file with this body, whose header and checksum are right.
fn file(body: &[u8]) -> Vec<u8> {
    let honest = bundle_bytes(1);
    let length = u64::try_from(body.len())
        .expect("a small body")
        .to_le_bytes();
    seal([&honest[..12], &length, body, &[0; CHECKSUM]].concat())
}

/// A changed file and what it has to come to.
struct Case {
    name: String,
    bytes: Vec<u8>,
    allowed: &'static [u8],
}

fn check(cases: &[Case]) {
    let genesis = chain::genesis();
    check_all(cases, |case| {
        let from = Instant::now();
        let verdict = judge(&case.bytes, &trust(&genesis));
        let (name, time) = (&case.name, from.elapsed());
        match verdict {
            Ok(_) => Err(format!("{name}: accepted")),
            Err(error) if !case.allowed.contains(&error.exit_code()) => {
                Err(format!("{name}: {error}"))
            }
            Err(_) if time > VERDICT_TIME_MAX => Err(format!("{name}: {time:?}")),
            Err(_) => Ok(()),
        }
    });
}

#[test]
fn a_flipped_byte_under_a_fresh_checksum_is_refused() {
    let (honest, bundle) = (bundle_bytes(1), bundle(1));
    let layout = Layout::of(&bundle);
    assert_eq!(
        layout.end + CHECKSUM,
        honest.len(),
        "the layout is the file's"
    );
    assert_eq!(seal(honest.clone()), honest, "the checksum is the file's");
    let is_soak = soak(1) > 1;
    // The cases of one region are made together: all of a soak run would fill the memory.
    let mut count = 0;
    for region in &layout.regions {
        let stride = if is_soak { 1 } else { region.stride };
        let last = region.range.clone().next_back();
        let places: Vec<usize> = region.range.clone().step_by(stride).chain(last).collect();
        for places in places.chunks(AT_ONCE) {
            let cases = places.iter().map(|at| {
                let mask = [0x01, 0x80, 0x10][at % 3];
                let mut bytes = honest.clone();
                bytes[*at] ^= mask;
                Case {
                    name: format!("{}, byte {at} ^ {mask:#x}", region.name),
                    bytes: seal(bytes),
                    allowed: region.allowed,
                }
            });
            let cases: Vec<Case> = cases.collect();
            count += cases.len();
            check(&cases);
        }
    }
    assert!(count >= 1_000, "only {count} flips");
}

#[test]
fn a_flipped_byte_under_the_old_checksum_is_damage() {
    let honest = bundle_bytes(1);
    let stride = if soak(1) > 1 { 1 } else { 991 };
    for at in (0..honest.len())
        .step_by(stride)
        .chain([8, 11, honest.len() - 1])
    {
        let mut bytes = honest.clone();
        bytes[at] ^= 4;
        let error = Bundle::decode(&bytes).expect_err("it is damaged");
        let expected = if (8..12).contains(&at) { 5 } else { 4 };
        assert_eq!(error.exit_code(), expected, "byte {at}");
    }
}

#[test]
fn a_shorter_or_longer_file_is_damage() {
    let honest = bundle_bytes(1);
    let body = &honest[HEADER..honest.len() - CHECKSUM];
    let stride = if soak(1) > 1 { 1 } else { 997 };
    let damage = |name: String, bytes: Vec<u8>| Case {
        name,
        bytes,
        allowed: &[4],
    };
    let ends = [1, 31, 32, 33].map(|cut| body.len() - cut);
    let lengths = (0..64).chain((64..body.len()).step_by(stride)).chain(ends);
    let lengths: Vec<usize> = lengths.collect();
    // As with flips, not all at once.
    for lengths in lengths.chunks(AT_ONCE) {
        let cases = lengths.iter().flat_map(|length| {
            let (cut, whole) = (&honest[..*length], file(&body[..*length]));
            [
                damage(format!("cut to {length} bytes"), cut.to_vec()),
                damage(format!("body cut to {length} bytes"), whole),
            ]
        });
        check(&cases.collect::<Vec<Case>>());
    }
    let mut cases = vec![
        damage("a file in a file".to_owned(), file(&honest)),
        damage("no body".to_owned(), file(&[])),
        damage("zeros".to_owned(), file(&vec![0; body.len()])),
        damage("ones".to_owned(), file(&vec![0xff; body.len()])),
    ];
    for tail in [&[0][..], &[0; 32], &honest] {
        let count = tail.len();
        let longer = [&honest[..], tail].concat();
        let before = [tail, &honest[..]].concat();
        let inside = file(&[body, tail].concat());
        cases.push(damage(format!("{count} bytes more"), longer.clone()));
        cases.push(damage(format!("{count} bytes more, sealed"), seal(longer)));
        cases.push(damage(format!("{count} bytes before"), seal(before)));
        cases.push(damage(format!("body of {count} bytes more"), inside));
    }
    check(&cases);
}

/// Lengths up to 2^32 - 1 with nothing behind them, at every list of the file. What they may take in
/// memory is measured on the program (`binary`).
#[test]
fn a_length_beyond_the_file_is_damage() {
    check(&with_lengths());
}

/// The golden file with each length raised.
fn with_lengths() -> Vec<Case> {
    let (honest, bundle) = (bundle_bytes(1), bundle(1));
    let layout = Layout::of(&bundle);
    let is_length = |region: &&Region| region.range.len() == 4 && region.allowed == [4];
    let lengths: Vec<&Region> = layout.regions.iter().filter(is_length).collect();
    assert!(lengths.len() >= 3 + 1 + 2 + 3, "{}", lengths.len());
    let mut cases = Vec::new();
    for region in lengths {
        let start = region.range.start;
        let old = honest[region.range.clone()].try_into().expect("four bytes");
        let old = u32::from_le_bytes(old);
        for length in [u32::MAX, 1 << 31, 1 << 24, old + 1, old.wrapping_sub(1)] {
            let mut bytes = honest.clone();
            bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
            cases.push(Case {
                name: format!("{} is {length}", region.name),
                bytes: seal(bytes),
                allowed: &[4],
            });
        }
    }
    cases
}

/// The golden file with the length that would take the most memory, at each place.
pub(super) fn with_huge_lengths() -> Vec<Vec<u8>> {
    let is_huge = |case: &Case| case.name.ends_with(&u32::MAX.to_string());
    let cases = with_lengths().into_iter().filter(is_huge);
    cases.map(|case| case.bytes).collect()
}

#[test]
fn garbage_is_damage() {
    use rand::RngCore;
    let honest = bundle_bytes(1);
    let mut rng = protocol::testing::generator(7);
    for round in 0..soak(200) {
        let mut body = honest[HEADER..honest.len() - CHECKSUM].to_vec();
        let from = usize::try_from(rng.next_u64()).unwrap_or(0) % body.len();
        // Past the public data, which any number fits.
        rng.fill_bytes(&mut body[from.min(60)..]);
        let error: BundleError = Bundle::decode(&file(&body)).expect_err("garbage");
        assert_eq!(error.exit_code(), 4, "round {round}, from byte {from}");
    }
}
