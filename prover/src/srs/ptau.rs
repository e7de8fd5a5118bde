//! Import of snarkjs `.ptau` files (powers of tau over BN254).
//!
//! Layout (snarkjs `powersoftau_new`, `powersoftau_preparephase2`; all integers little-endian):
//!
//! | bytes | content |
//! |---|---|
//! | 4 + 4 + 4 | `ptau`, version 1, number of sections |
//! | per section 4 + 8 + n | id, length, content |
//!
//! | section | content, p = power | checked |
//! |---|---|---|
//! | 1 | field size 32, modulus, p, ceremony power | exact |
//! | 2 | `s^i G1`, i < 2^(p+1) - 1 | points; starts at the generator; ratio of every power |
//! | 3 | `s^i G2`, i < 2^p | as section 2, and `[s]_2` in the subgroup |
//! | 4, 5 | `a s^i G1`, `b s^i G1`, i < 2^p | points; ratio of every power |
//! | 6 | `b G2` | point; subgroup; same b as section 5 |
//! | 7 | contributions | structure; points; the last one is what the file holds |
//! | 12-15 | Lagrange forms, in files prepared for phase 2 | length only, never read |
//!
//! Invariants: lengths are compared with the file's before anything is read; the lists are read in
//! chunks, so memory is bounded by the k that is imported, not by the file; only points that passed
//! every check are returned.
//!
//! What it does not do: it does not replay the ceremony (proofs of knowledge of each contribution,
//! the beacon). Whether a string is trusted is decided by its `[s]_2` (`srs::ceremony`), which the
//! replay would end in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use halo2curves::CurveAffine;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{CryptoRng, RngCore};

use super::K_MAX;
use super::contributions;
use super::error::{FileDefect, SrsError};
use super::point::{G2_BYTES, Point, decode, decode_all};
use super::ratio::{PowerSums, is_in_subgroup, pairs_equal};

const MAGIC: [u8; 4] = *b"ptau";
const VERSION: u32 = 1;
/// A phase-2 file has eleven; the bound keeps a hostile table short.
const SECTION_COUNT_MAX: u32 = 32;
/// Bytes of the file's fixed start and of one section's header.
const FILE_HEADER_BYTES: u64 = 12;
const SECTION_HEADER_BYTES: u64 = 12;
/// Bytes of section 1.
const HEADER_SECTION_BYTES: u64 = 44;
/// The ceremony's power, which is also the two-adicity of the scalar field.
const POWER_MAX: u32 = 28;
/// Points read and checked at a time.
const CHUNK_POINTS: u64 = 1 << 15;
/// Longest contributions section: far above 54 contributions of about 1.6 KB each.
const CONTRIBUTIONS_BYTES_MAX: u64 = 1 << 24;
/// Modulus of the base field, little-endian.
const FIELD_MODULUS: [u8; 32] = [
    0x47, 0xfd, 0x7c, 0xd8, 0x16, 0x8c, 0x20, 0x3c, 0x8d, 0xca, 0x71, 0x68, 0x91, 0x6a, 0x81, 0x97,
    0x5d, 0x58, 0x81, 0x81, 0xb6, 0x45, 0x50, 0xb8, 0x29, 0xa0, 0x31, 0xe1, 0x72, 0x4e, 0x64, 0x30,
];

/// What a sound file holds.
pub(super) struct Checked {
    /// The first `2^k` powers in G1.
    pub(super) g: Vec<G1Affine>,
    /// `[s]_2`.
    pub(super) s_g2: G2Affine,
    /// log2 of their number.
    pub(super) k: u32,
    /// log2 of the number of powers in G2 that the file has.
    pub(super) power: u32,
    /// How many contributions the file records.
    pub(super) contribution_count: u32,
}

/// Checks a whole file and returns its first `2^k` powers (as many as it has without a `k`).
pub(super) fn read(
    file: &mut File,
    path: &Path,
    k: Option<u32>,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Checked, SrsError> {
    let mut reader = Reader { file, path };
    let (sections, power) = reader.head()?;
    let k = k.unwrap_or(power.min(K_MAX));
    if k > power {
        return Err(SrsError::InvalidTooShort {
            k,
            available: power,
            origin: path.display().to_string(),
        });
    }

    let tau_g2 = reader.list::<G2Affine>(&sections, 3, "tauG2", 2, rng)?;
    let tau_g1 = reader.list::<G1Affine>(&sections, 2, "tauG1", 1 << k, rng)?;
    let alpha_g1 = reader.list::<G1Affine>(&sections, 4, "alphaTauG1", 1, rng)?;
    let beta_g1 = reader.list::<G1Affine>(&sections, 5, "betaTauG1", 1, rng)?;
    let beta_g2_bytes = reader.section(&sections, 6)?;
    let beta_g2 = decode::<G2Affine>(&beta_g2_bytes).ok_or_else(|| {
        reader.invalid(FileDefect::Point {
            list: "betaG2",
            index: 0,
        })
    })?;
    let contributions_bytes = reader.section(&sections, 7)?;

    let check = || {
        let s_g2 = check_powers(&tau_g1, &tau_g2)?;
        let s_g1 = *tau_g1
            .first
            .get(1)
            .ok_or(FileDefect::NotPowers { list: "tauG1" })?;
        for (list, name) in [(&alpha_g1, "alphaTauG1"), (&beta_g1, "betaTauG1")] {
            if !list.sums.hold_for(&s_g2) {
                return Err(FileDefect::NotPowers { list: name });
            }
        }
        let [alpha, beta] = [&alpha_g1, &beta_g1].map(|list| list.first.first().copied());
        let (Some(alpha), Some(beta)) = (alpha, beta) else {
            return Err(FileDefect::Contributions("a list is empty"));
        };
        if !is_in_subgroup(&beta_g2.to_curve()) {
            return Err(FileDefect::Subgroup { what: "betaG2" });
        }
        let (one_g1, one_g2) = (G1Affine::generator(), G2Affine::generator());
        if !pairs_equal((&beta, &one_g2), (&one_g1, &beta_g2)) {
            return Err(FileDefect::NotPowers { list: "betaG2" });
        }
        let last = contributions::Last {
            s_g1,
            s_g2,
            alpha,
            beta,
            beta_g2,
        };
        contributions::check(&contributions_bytes, &last).map(|count| (s_g2, count))
    };
    let (s_g2, contribution_count) = check().map_err(|defect| reader.invalid(defect))?;
    let mut g = tau_g1.first;
    g.truncate(1 << k);
    Ok(Checked {
        g,
        s_g2,
        k,
        power,
        contribution_count,
    })
}

/// Power and `[s]_2` as a file states them: only its table and lengths are checked.
pub(super) fn look(file: &mut File, path: &Path) -> Result<(u32, G2Affine), SrsError> {
    let mut reader = Reader { file, path };
    let (sections, power) = reader.head()?;
    let list = *sections
        .get(&3)
        .ok_or_else(|| reader.invalid(FileDefect::SectionTable("no section 3".to_owned())))?;
    let bytes = reader.bytes(list.start + G2_BYTES as u64, G2_BYTES as u64)?;
    let s_g2 = decode(&bytes).ok_or_else(|| {
        reader.invalid(FileDefect::Point {
            list: "tauG2",
            index: 1,
        })
    })?;
    Ok((power, s_g2))
}

fn check_power(power: u32, ceremony_power: u32) -> Result<(), FileDefect> {
    if power == 0 || power > POWER_MAX || ceremony_power < power || ceremony_power > POWER_MAX {
        return Err(FileDefect::Power {
            power,
            ceremony_power,
        });
    }
    Ok(())
}

/// The two lists of powers: both start at their generator and hold the powers of one secret.
fn check_powers(tau_g1: &List<G1Affine>, tau_g2: &List<G2Affine>) -> Result<G2Affine, FileDefect> {
    let (Some(first_g1), [first_g2, s_g2]) = (tau_g1.first.first(), tau_g2.first.as_slice()) else {
        return Err(FileDefect::SectionTable(
            "a list of powers is too short".to_owned(),
        ));
    };
    let s_g1 = tau_g1
        .first
        .get(1)
        .ok_or(FileDefect::NotPowers { list: "tauG1" })?;
    if *first_g1 != G1Affine::generator() {
        return Err(FileDefect::Generator { list: "tauG1" });
    }
    if *first_g2 != G2Affine::generator() {
        return Err(FileDefect::Generator { list: "tauG2" });
    }
    if let Some(power) = tau_g1.generator_again {
        return Err(FileDefect::TrivialSecret { power });
    }
    if !is_in_subgroup(&s_g2.to_curve()) {
        return Err(FileDefect::Subgroup { what: "[s]_2" });
    }
    if !tau_g1.sums.hold_for(s_g2) {
        return Err(FileDefect::NotPowers { list: "tauG1" });
    }
    if !tau_g2.sums.hold_for(s_g1) {
        return Err(FileDefect::NotPowers { list: "tauG2" });
    }
    Ok(*s_g2)
}

/// Position and length of a section's content.
#[derive(Clone, Copy)]
struct Section {
    start: u64,
    length: u64,
}

/// One list of points, read to its end.
struct List<C: CurveAffine> {
    /// Its first points, as many as were asked for (at least two of the G1 powers).
    first: Vec<C>,
    /// Both sides of the ratio equation over the whole list.
    sums: PowerSums<C>,
    /// Where the generator occurs a second time.
    generator_again: Option<u64>,
}

struct Reader<'a> {
    file: &'a mut File,
    path: &'a Path,
}

impl Reader<'_> {
    fn invalid(&self, defect: FileDefect) -> SrsError {
        SrsError::InvalidFile {
            path: self.path.to_path_buf(),
            defect,
        }
    }

    fn bytes(&mut self, start: u64, length: u64) -> Result<Vec<u8>, SrsError> {
        let mut bytes = vec![0u8; length as usize];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| SrsError::UnavailableFile {
                path: self.path.to_path_buf(),
                action: "read",
                source,
            })?;
        Ok(bytes)
    }

    /// Reads the table: each section once, back to back, the last one ending with the file.
    fn sections(&mut self) -> Result<BTreeMap<u32, Section>, SrsError> {
        let file_length = self
            .file
            .metadata()
            .map_err(|source| SrsError::UnavailableFile {
                path: self.path.to_path_buf(),
                action: "measure",
                source,
            })?
            .len();
        let format = FileDefect::Format {
            expected: "a snarkjs .ptau file, version 1",
        };
        if file_length < FILE_HEADER_BYTES {
            return Err(self.invalid(format));
        }
        let start = self.bytes(0, FILE_HEADER_BYTES)?;
        let count = le_u32(&start, 8);
        if !start.starts_with(&MAGIC) || le_u32(&start, 4) != VERSION {
            return Err(self.invalid(format));
        }
        if count > SECTION_COUNT_MAX {
            let text = format!("{count} sections, at most {SECTION_COUNT_MAX} are allowed");
            return Err(self.invalid(FileDefect::SectionTable(text)));
        }
        let mut sections = BTreeMap::new();
        let mut position = FILE_HEADER_BYTES;
        for index in 0..count {
            let content = position.saturating_add(SECTION_HEADER_BYTES);
            if content > file_length {
                let text = format!("section number {index} starts beyond the end of the file");
                return Err(self.invalid(FileDefect::SectionTable(text)));
            }
            let header = self.bytes(position, SECTION_HEADER_BYTES)?;
            let (id, length) = (le_u32(&header, 0), le_u64(&header, 4));
            let end = content
                .checked_add(length)
                .filter(|end| *end <= file_length);
            let Some(end) = end else {
                let text = format!("section {id} of {length} bytes ends beyond the file");
                return Err(self.invalid(FileDefect::SectionTable(text)));
            };
            if sections
                .insert(
                    id,
                    Section {
                        start: content,
                        length,
                    },
                )
                .is_some()
            {
                let text = format!("section {id} occurs twice");
                return Err(self.invalid(FileDefect::SectionTable(text)));
            }
            position = end;
        }
        if position != file_length {
            return Err(self.invalid(FileDefect::Length {
                what: "the file".to_owned(),
                expected: position,
                found: file_length,
            }));
        }
        Ok(sections)
    }

    /// Where the sections are, and the power, once it and their lengths are seen to fit.
    fn head(&mut self) -> Result<(BTreeMap<u32, Section>, u32), SrsError> {
        let sections = self.sections()?;
        let (power, ceremony_power) = self.header(&sections)?;
        check_power(power, ceremony_power)
            .and_then(|()| check_lengths(&sections, power))
            .map_err(|defect| self.invalid(defect))?;
        Ok((sections, power))
    }

    /// Reads section 1: `(power, ceremony power)`.
    fn header(&mut self, sections: &BTreeMap<u32, Section>) -> Result<(u32, u32), SrsError> {
        let section = *sections
            .get(&1)
            .ok_or_else(|| self.invalid(FileDefect::SectionTable("no section 1".to_owned())))?;
        if section.length < 4 {
            return Err(self.invalid(length_defect(1, HEADER_SECTION_BYTES, section.length)));
        }
        // The element size comes first, so that a file for another curve is named as such.
        let element_size = le_u32(&self.bytes(section.start, 4)?, 0);
        if element_size != 32 {
            return Err(self.invalid(FileDefect::Field));
        }
        if section.length != HEADER_SECTION_BYTES {
            return Err(self.invalid(length_defect(1, HEADER_SECTION_BYTES, section.length)));
        }
        let bytes = self.bytes(section.start, section.length)?;
        if bytes.get(4..36) != Some(&FIELD_MODULUS[..]) {
            return Err(self.invalid(FileDefect::Field));
        }
        Ok((le_u32(&bytes, 36), le_u32(&bytes, 40)))
    }

    /// Reads a short section whole; its length was checked.
    fn section(&mut self, sections: &BTreeMap<u32, Section>, id: u32) -> Result<Vec<u8>, SrsError> {
        let section = *sections
            .get(&id)
            .ok_or_else(|| self.invalid(FileDefect::SectionTable(format!("no section {id}"))))?;
        self.bytes(section.start, section.length)
    }

    /// Reads a list of points to its end; keeps the first `keep` (at least two of a list that has
    /// them).
    fn list<C: CurveAffine<ScalarExt = Fr> + Point>(
        &mut self,
        sections: &BTreeMap<u32, Section>,
        id: u32,
        name: &'static str,
        keep: usize,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<List<C>, SrsError> {
        let section = *sections
            .get(&id)
            .ok_or_else(|| self.invalid(FileDefect::SectionTable(format!("no section {id}"))))?;
        let point_bytes = <C as Point>::BYTES as u64;
        let count = section.length / point_bytes;
        let generator = <C as PrimeCurveAffine>::generator();
        let mut list = List {
            first: Vec::with_capacity(keep.max(2)),
            sums: PowerSums::new(),
            generator_again: None,
        };
        let mut done = 0;
        while done < count {
            let now = CHUNK_POINTS.min(count - done);
            let bytes = self.bytes(section.start + done * point_bytes, now * point_bytes)?;
            let points = decode_all::<C>(&bytes).map_err(|index| {
                self.invalid(FileDefect::Point {
                    list: name,
                    index: done + index as u64,
                })
            })?;
            list.sums.add(&points, rng);
            if list.generator_again.is_none() {
                let skip = usize::from(done == 0);
                let again = points
                    .iter()
                    .skip(skip)
                    .position(|point| *point == generator);
                list.generator_again = again.map(|index| done + (index + skip) as u64);
            }
            let missing = keep.max(2).saturating_sub(list.first.len());
            list.first.extend(points.iter().take(missing));
            done += now;
        }
        Ok(list)
    }
}

/// Every section has exactly the length that the power calls for, and no other section exists.
fn check_lengths(sections: &BTreeMap<u32, Section>, power: u32) -> Result<(), FileDefect> {
    let (g1, g2) = (G1Affine::BYTES as u64, G2_BYTES as u64);
    let rows = 1u64 << power;
    // The Lagrange forms of every size up to 2^power; the one of tauG1 also has size 2^(power + 1).
    let all_sizes = 2 * rows - 1;
    let required = [
        (2, (2 * rows - 1) * g1),
        (3, rows * g2),
        (4, rows * g1),
        (5, rows * g1),
        (6, g2),
    ];
    let prepared = [
        (12, (all_sizes + 2 * rows) * g1),
        (13, all_sizes * g2),
        (14, all_sizes * g1),
        (15, all_sizes * g1),
    ];
    for (id, expected) in required {
        let found = sections
            .get(&id)
            .ok_or_else(|| FileDefect::SectionTable(format!("no section {id}")))?
            .length;
        if found != expected {
            return Err(length_defect(id, expected, found));
        }
    }
    let contributions = sections
        .get(&7)
        .ok_or_else(|| FileDefect::SectionTable("no section 7".to_owned()))?
        .length;
    if contributions > CONTRIBUTIONS_BYTES_MAX {
        return Err(length_defect(7, CONTRIBUTIONS_BYTES_MAX, contributions));
    }
    for (id, section) in sections.iter().filter(|(id, _)| !(1..=7).contains(*id)) {
        match prepared.iter().find(|(known, _)| known == id) {
            Some((_, expected)) if *expected == section.length => {}
            Some((_, expected)) => return Err(length_defect(*id, *expected, section.length)),
            None => return Err(FileDefect::SectionTable(format!("unknown section {id}"))),
        }
    }
    Ok(())
}

fn length_defect(id: u32, expected: u64, found: u64) -> FileDefect {
    FileDefect::Length {
        what: format!("section {id}"),
        expected,
        found,
    }
}

/// The integer at `offset` of bytes that were read with that length.
fn le_u32(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0u8; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

fn le_u64(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0u8; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}
