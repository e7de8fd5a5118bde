//! Reference strings from files: sound ones are imported, everything else is refused with its
//! reason.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ff::Field;
use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine, G2, G2Affine};
use halo2curves::group::cofactor::CofactorGroup;
use halo2curves::group::prime::PrimeCurveAffine;
use halo2curves::group::{Curve, Group, GroupEncoding};
use halo2curves::serde::SerdeObject;
use prover::srs::{FileDefect, PtauSummary, RawFormat, ReferenceString, SrsError, StringKind};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

#[path = "srs_import/builder.rs"]
mod builder;

use builder::{Ptau, assemble, modulus};

/// SHA-256 of the fixture; see `tests/fixtures/srs/README.md` for what it is and is not.
const FIXTURE_SHA256: &str = "6b1035eaf8fdba178834a7e21d075a199c86d88f963bd784cebb2cb2e8741f92";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/srs/powersOfTau28_hez_final_10.ptau")
}

fn fixture_pin() -> [u8; 32] {
    hex::decode(FIXTURE_SHA256)
        .expect("hexadecimal")
        .try_into()
        .expect("32 bytes")
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

/// Imports bytes through a file.
fn import(bytes: &[u8], k: Option<u32>) -> Result<(ReferenceString, PtauSummary), SrsError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file.ptau");
    std::fs::write(&path, bytes).expect("write");
    ReferenceString::import_ptau(&path, k, None, &mut rng())
}

fn defect(bytes: &[u8]) -> FileDefect {
    match import(bytes, None) {
        Err(SrsError::InvalidFile { defect, path }) => {
            assert!(path.ends_with("file.ptau"));
            defect
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("an unsound file was imported"),
    }
}

fn secret() -> Fr {
    Fr::from(0x5eed)
}

#[test]
fn real_file_is_imported_with_every_check() {
    let pin = Some(fixture_pin());
    let (string, summary) =
        ReferenceString::import_ptau(&fixture(), None, pin, &mut rng()).expect("import");
    assert_eq!(
        summary,
        PtauSummary {
            sha256: fixture_pin(),
            power: 12,
            contribution_count: 1
        }
    );
    assert_eq!(string.k(), 12);
    // One unknown contributor: consistent, but nobody vouches for it.
    assert_eq!(string.kind(), StringKind::Unattested);
    assert!(string.is_insecure());
    assert!(string.check_allowed(false, true).is_err());

    let (small, _) =
        ReferenceString::import_ptau(&fixture(), Some(5), None, &mut rng()).expect("import");
    assert_eq!(small.params().get_g(), &string.params().get_g()[..1 << 5]);
    assert_eq!(small.s_g2_bytes(), string.s_g2_bytes());
    let cut = string.downsize(5).expect("downsize");
    assert_eq!(cut.digest(), small.digest());
    assert_eq!(raw_bytes(&cut), raw_bytes(&small));
    assert_ne!(cut.digest(), string.digest());
}

#[test]
fn real_file_with_a_flipped_byte_in_any_section_is_refused() {
    let honest = std::fs::read(fixture()).expect("read");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("flipped.ptau");
    // Starts of the sections' contents (see the table in the fixture's README); two places in each
    // list.
    let places = [
        (1, 24 + 10),
        (2, 80 + 64 * 7000 + 3),
        (2, 80 + 64 * 3 + 40),
        (3, 524_316 + 128 * 4095 + 100),
        (3, 524_316 + 128 + 1),
        (4, 1_048_616 + 64 * 4000 + 9),
        (5, 1_310_772 + 64 * 17 + 63),
        (6, 1_572_928 + 64),
        (7, 1_573_068 + 4 + 2),
    ];
    for (section, place) in places {
        let mut bytes = honest.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).expect("write");
        let result = ReferenceString::import_ptau(&path, Some(2), None, &mut rng());
        assert!(
            matches!(result, Err(SrsError::InvalidFile { .. })),
            "section {section}, byte {place}"
        );
        let pinned = ReferenceString::import_ptau(&path, Some(2), Some(fixture_pin()), &mut rng());
        let Err(SrsError::InvalidFile {
            defect: FileDefect::Hash { expected, .. },
            ..
        }) = pinned
        else {
            panic!("section {section}, byte {place}: the pin must refuse it");
        };
        assert_eq!(expected, FIXTURE_SHA256);
    }
}

#[test]
fn flips_of_a_small_file_are_refused_or_touch_only_what_is_never_used() {
    let ptau = Ptau::new(2, secret());
    let honest = ptau.bytes();
    let (string, _) = import(&honest, None).expect("the honest file");
    let unused = unauthenticated(&ptau);
    let (mut accepted, mut tried) = (0, 0);
    // Every ninth byte visits each coordinate of each point, at changing places.
    for place in (0..honest.len()).step_by(9) {
        tried += 1;
        let mut bytes = honest.clone();
        bytes[place] ^= 1 << (place % 8);
        if let Ok((other, _)) = import(&bytes, None) {
            accepted += 1;
            assert!(
                unused.iter().any(|range| range.contains(&place)),
                "byte {place}"
            );
            assert_eq!(raw_bytes(&other), raw_bytes(&string), "byte {place}");
        }
    }
    assert!(accepted * 5 < tried, "{accepted} of {tried} flips accepted");
}

/// Bytes that only a pinned hash protects: the ceremony's power, hashes, kind and name of a
/// contribution.
fn unauthenticated(ptau: &Ptau) -> Vec<Range<usize>> {
    let sections = ptau.sections();
    let start = |id: u32| {
        let before: usize = sections
            .iter()
            .take_while(|(other, _)| *other != id)
            .map(|(_, s)| 12 + s.len())
            .sum();
        12 + before + 12
    };
    let ceremony_power = start(1) + 40;
    let hashes = start(7) + 4 + 448 + 768;
    let end = start(7) + sections[6].1.len();
    vec![ceremony_power..ceremony_power + 4, hashes..end]
}

#[test]
fn truncated_and_extended_files_are_refused() {
    let honest = Ptau::new(2, secret()).bytes();
    for length in (0..honest.len()).step_by(37) {
        assert!(import(&honest[..length], None).is_err(), "{length} bytes");
    }
    let mut longer = honest;
    longer.push(0);
    assert!(matches!(defect(&longer), FileDefect::Length { .. }));
}

#[test]
fn headers_that_lie_are_refused() {
    let sound = || Ptau::new(2, secret());
    // A length that would overflow or ask for more than the file has.
    for length in [u64::MAX, u64::MAX - 30, 1 << 40] {
        let mut bytes = sound().bytes();
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        assert!(matches!(defect(&bytes), FileDefect::SectionTable(_)));
    }
    let mut bytes = sound().bytes();
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(defect(&bytes), FileDefect::SectionTable(_)));
    let mut bytes = sound().bytes();
    bytes[4] = 2;
    assert!(matches!(defect(&bytes), FileDefect::Format { .. }));
    for power in [0, 29, u32::MAX] {
        let mut file = sound();
        file.power = power;
        file.ceremony_power = power;
        assert!(matches!(defect(&file.bytes()), FileDefect::Power { .. }));
    }
    // The lists do not have the length that the power calls for.
    for power in [1, 3, 28] {
        let mut file = sound();
        file.power = power;
        file.ceremony_power = 28;
        assert!(
            matches!(defect(&file.bytes()), FileDefect::Length { .. }),
            "power {power}"
        );
    }
    for missing in 0..7 {
        let mut sections = sound().sections();
        sections.remove(missing);
        assert!(matches!(
            defect(&assemble(&sections)),
            FileDefect::SectionTable(_)
        ));
    }
    let mut file = sound();
    file.extra = vec![(4, file.sections()[3].1.clone())];
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::SectionTable("section 4 occurs twice".into())
    );
    let mut file = sound();
    file.extra = vec![(9, vec![0; 64])];
    assert!(matches!(defect(&file.bytes()), FileDefect::SectionTable(_)));
    // A section of a file prepared for phase 2: the length is checked, the content never read.
    let mut file = sound();
    file.extra = vec![(13, vec![0; 7 * 128])];
    assert!(import(&file.bytes(), None).is_ok());
    file.extra = vec![(13, vec![0; 7 * 128 + 1])];
    assert!(matches!(defect(&file.bytes()), FileDefect::Length { .. }));
}

#[test]
fn other_curves_are_refused() {
    let mut scalar_field = Ptau::new(2, secret());
    let r = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
    let mut bytes = hex::decode(r).expect("hexadecimal");
    bytes.reverse();
    scalar_field.field[4..].copy_from_slice(&bytes);
    assert_eq!(defect(&scalar_field.bytes()), FileDefect::Field);
    // BLS12-381: elements of 48 bytes.
    let mut bls = Ptau::new(2, secret());
    bls.field = 48u32.to_le_bytes().to_vec();
    bls.field.extend([0xab; 48]);
    assert_eq!(defect(&bls.bytes()), FileDefect::Field);
    assert_eq!(Ptau::new(2, secret()).field[4..], modulus());
}

#[test]
fn points_off_the_curve_and_identities_are_refused() {
    let mut off = G1Affine::generator();
    off.y += Fq::ONE;
    for bad in [off, G1Affine::identity()] {
        let mut file = Ptau::new(2, secret());
        file.tau_g1[6] = bad;
        assert_eq!(
            defect(&file.bytes()),
            FileDefect::Point {
                list: "tauG1",
                index: 6
            }
        );
        let mut file = Ptau::new(2, secret());
        file.alpha_g1[3] = bad;
        assert_eq!(
            defect(&file.bytes()),
            FileDefect::Point {
                list: "alphaTauG1",
                index: 3
            }
        );
    }
    let mut file = Ptau::new(2, secret());
    file.tau_g2[3].y.c1 += Fq::ONE;
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Point {
            list: "tauG2",
            index: 3
        }
    );
    let mut file = Ptau::new(2, secret());
    file.beta_g2 = G2Affine::identity();
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Point {
            list: "betaG2",
            index: 0
        }
    );
}

#[test]
fn consistent_but_wrong_powers_are_refused() {
    let n = 2 * 4 - 1;
    for index in 1..n {
        let mut file = Ptau::new(2, secret());
        file.tau_g1[index] = (file.tau_g1[index] + G1Affine::generator()).to_affine();
        assert_eq!(
            defect(&file.bytes()),
            FileDefect::NotPowers { list: "tauG1" },
            "{index}"
        );
    }
    for index in 2..4 {
        let mut file = Ptau::new(2, secret());
        file.tau_g2[index] = (file.tau_g2[index] + G2Affine::generator()).to_affine();
        assert_eq!(
            defect(&file.bytes()),
            FileDefect::NotPowers { list: "tauG2" },
            "{index}"
        );
    }
    // G1 and G2 hold the powers of different secrets.
    let mut file = Ptau::new(2, secret());
    file.tau_g2 = Ptau::new(2, secret() + Fr::ONE).tau_g2;
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::NotPowers { list: "tauG1" }
    );
    // Two neighbours swapped: the sums stay equal without weights.
    let mut file = Ptau::new(2, secret());
    file.tau_g1.swap(3, 4);
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::NotPowers { list: "tauG1" }
    );
    let mut file = Ptau::new(2, secret());
    file.beta_g1 = Ptau::new(2, secret() + Fr::ONE).beta_g1;
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::NotPowers { list: "betaTauG1" }
    );
    let mut file = Ptau::new(2, secret());
    file.beta_g2 = (file.beta_g2 + G2Affine::generator()).to_affine();
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::NotPowers { list: "betaG2" }
    );
}

#[test]
fn lists_that_do_not_start_at_the_generator_are_refused() {
    // All ratios hold, but the base is another point: a string for a base nobody else uses.
    let mut file = Ptau::new(2, secret());
    for point in &mut file.tau_g1 {
        *point = (*point * Fr::from(3)).to_affine();
    }
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Generator { list: "tauG1" }
    );
    let mut file = Ptau::new(2, secret());
    for point in &mut file.tau_g2 {
        *point = (*point * Fr::from(3)).to_affine();
    }
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Generator { list: "tauG2" }
    );
}

#[test]
fn trivial_secrets_are_refused() {
    for (secret, power) in [(Fr::ONE, 1), (-Fr::ONE, 2)] {
        assert_eq!(
            defect(&Ptau::new(2, secret).bytes()),
            FileDefect::TrivialSecret { power }
        );
    }
    assert!(matches!(
        defect(&Ptau::new(2, Fr::ZERO).bytes()),
        FileDefect::Point { .. }
    ));
}

#[test]
fn points_outside_the_subgroup_are_refused() {
    let mut seed = rng();
    // A point of G2's curve whose order is not r: a random one, unless it happens to be in the
    // subgroup.
    let outside = loop {
        let mut bytes = <G2Affine as GroupEncoding>::Repr::default();
        rand::RngCore::fill_bytes(&mut seed, bytes.as_mut());
        bytes.as_mut()[63] &= 0x1f;
        bytes.as_mut()[31] &= 0x1f;
        let Some(point) = Option::<G2Affine>::from(G2Affine::from_bytes(&bytes)) else {
            continue;
        };
        if !bool::from(point.to_curve().is_torsion_free()) {
            break point;
        }
    };
    // r times it kills the part in the subgroup: what is left is invisible to a pairing.
    let stray: G2 = outside.to_curve() * -Fr::ONE + outside.to_curve();
    assert!(!bool::from(stray.is_identity()));
    let mut file = Ptau::new(2, secret());
    file.tau_g2[1] = (file.tau_g2[1] + stray).to_affine();
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Subgroup { what: "[s]_2" }
    );
    let mut file = Ptau::new(2, secret());
    file.tau_g2[3] = (file.tau_g2[3] + stray).to_affine();
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::NotPowers { list: "tauG2" }
    );
    let mut file = Ptau::new(2, secret());
    file.beta_g2 = (file.beta_g2 + stray).to_affine();
    assert_eq!(
        defect(&file.bytes()),
        FileDefect::Subgroup { what: "betaG2" }
    );
}

#[test]
fn contributions_must_end_in_the_points_of_the_file() {
    let other = Ptau::new(2, secret() + Fr::ONE).contribution();
    let mut file = Ptau::new(2, secret());
    let own = file.contribution();
    file.contributions = Some(other.clone());
    assert!(matches!(
        defect(&file.bytes()),
        FileDefect::Contributions(_)
    ));
    let mut two = 2u32.to_le_bytes().to_vec();
    two.extend(&other[4..]);
    two.extend(&own[4..]);
    file.contributions = Some(two.clone());
    let (_, summary) = import(&file.bytes(), None).expect("the last one counts");
    assert_eq!(summary.contribution_count, 2);
    two[..4].copy_from_slice(&3u32.to_le_bytes());
    file.contributions = Some(two.clone());
    assert!(matches!(
        defect(&file.bytes()),
        FileDefect::Contributions(_)
    ));
    two[..4].copy_from_slice(&1u32.to_le_bytes());
    file.contributions = Some(two);
    assert!(matches!(
        defect(&file.bytes()),
        FileDefect::Contributions(_)
    ));
    let mut long_name = own;
    let length = long_name.len() - 6 - 4;
    long_name[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    file.contributions = Some(long_name);
    assert!(matches!(
        defect(&file.bytes()),
        FileDefect::Contributions(_)
    ));
}

#[test]
fn more_rows_than_the_file_has_are_refused() {
    let bytes = Ptau::new(3, secret()).bytes();
    assert!(matches!(
        import(&bytes, Some(4)),
        Err(SrsError::InvalidTooShort {
            k: 4,
            available: 3,
            ..
        })
    ));
    assert!(matches!(
        import(&bytes, Some(0)),
        Err(SrsError::InvalidSize { .. })
    ));
    assert!(matches!(
        import(&bytes, Some(23)),
        Err(SrsError::InvalidSize { .. })
    ));
    let missing = ReferenceString::import_ptau(Path::new("nowhere.ptau"), None, None, &mut rng());
    let error = missing.expect_err("no such file").to_string();
    assert!(error.contains("nowhere.ptau"), "{error}");
}

fn raw_bytes(string: &ReferenceString) -> Vec<u8> {
    params_bytes(string.params(), SerdeFormat::RawBytesUnchecked)
}

fn params_bytes(params: &ParamsKZG<Bn256>, format: SerdeFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    params
        .write_custom(&mut bytes, format)
        .expect("write to memory");
    bytes
}

fn import_raw(bytes: &[u8], format: RawFormat) -> Result<ReferenceString, SrsError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("params.bin");
    std::fs::write(&path, bytes).expect("write");
    ReferenceString::import_halo2(&path, format, None, &mut rng())
}

#[test]
fn halo2_files_are_imported_in_both_forms() {
    let params = ParamsKZG::<Bn256>::setup(4, rng());
    for (written, read) in [
        (SerdeFormat::RawBytes, RawFormat::Uncompressed),
        (SerdeFormat::RawBytesUnchecked, RawFormat::Uncompressed),
        (SerdeFormat::Processed, RawFormat::Compressed),
    ] {
        let bytes = params_bytes(&params, written);
        let string = import_raw(&bytes, read).expect("import");
        assert_eq!(string.k(), 4);
        assert_eq!(string.kind(), StringKind::Unattested);
        assert_eq!(
            raw_bytes(&string),
            params_bytes(&params, SerdeFormat::RawBytes)
        );
        for length in (0..bytes.len()).step_by(101) {
            assert!(import_raw(&bytes[..length], read).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(import_raw(&longer, read).is_err());
    }
}

#[test]
fn every_flipped_byte_of_a_halo2_file_is_refused() {
    let params = ParamsKZG::<Bn256>::setup(2, rng());
    for (written, read) in [
        (SerdeFormat::RawBytes, RawFormat::Uncompressed),
        (SerdeFormat::Processed, RawFormat::Compressed),
    ] {
        let honest = params_bytes(&params, written);
        for place in 0..honest.len() {
            let mut bytes = honest.clone();
            bytes[place] ^= 1 << (place % 8);
            assert!(
                import_raw(&bytes, read).is_err(),
                "{written:?}, byte {place}"
            );
        }
    }
}

#[test]
fn halo2_file_with_wrong_relations_is_refused() {
    let params = ParamsKZG::<Bn256>::setup(2, rng());
    let honest = params_bytes(&params, SerdeFormat::RawBytes);
    let g1 = (G1Affine::generator() * Fr::from(99))
        .to_affine()
        .to_raw_bytes();
    let s_g2 = (G2Affine::generator() * Fr::from(99))
        .to_affine()
        .to_raw_bytes();
    let bent = |at: usize, with: &[u8]| {
        let mut bytes = honest.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        match import_raw(&bytes, RawFormat::Uncompressed) {
            Err(SrsError::InvalidFile { defect, .. }) => defect,
            other => panic!("not refused as expected: {other:?}"),
        }
    };
    assert_eq!(bent(4, &g1), FileDefect::Generator { list: "g" });
    assert_eq!(bent(4 + 64 * 3, &g1), FileDefect::NotPowers { list: "g" });
    assert_eq!(bent(4 + 64 * 6, &g1), FileDefect::Lagrange);
    assert_eq!(
        bent(4 + 64 * 8, &s_g2),
        FileDefect::Generator { list: "g2" }
    );
    assert_eq!(
        bent(4 + 64 * 8 + 128, &s_g2),
        FileDefect::NotPowers { list: "g" }
    );
    let huge = import_raw(&[0xff; 4 + 64 * 8 + 256], RawFormat::Uncompressed);
    assert!(matches!(
        huge,
        Err(SrsError::InvalidFile {
            defect: FileDefect::Rows { k: u32::MAX },
            ..
        })
    ));
}

#[test]
fn development_points_in_a_file_are_recognised() {
    let string = ReferenceString::insecure_development(3).expect("generate");
    let imported = import_raw(&raw_bytes(&string), RawFormat::Uncompressed).expect("import");
    assert_eq!(imported.kind(), StringKind::InsecureDevelopment);
    assert!(imported.is_insecure());
}
