//! What the cache returns is what was stored, or an error that names the file.

use std::fs;
use std::sync::Barrier;

use halo2_proofs::SerdeFormat;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;

use super::{StringCache, encode, payload_bytes};
use crate::sealed::{self, Content, Lock};
use crate::srs::development::{self, Points};
use crate::srs::{ReferenceString, SrsError, StringKind};

/// A string of a secret that nobody announced: what an imported file gives.
fn unattested(k: u32, secret: u64) -> ReferenceString {
    let params = ParamsKZG::<Bn256>::setup(k, rand::rngs::mock::StepRng::new(secret, 1));
    let mut raw = Vec::new();
    params
        .write_custom(&mut raw, SerdeFormat::RawBytes)
        .expect("write");
    let points = super::decode(&raw, k).expect("the layout is halo2's");
    ReferenceString::from_points(k, points)
}

#[test]
fn development_string_comes_back_equal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = StringCache::new(directory.path());
    let generated = cache.insecure_development(6).expect("generate");
    let file = directory.path().join("srs-insecure-development-k6.qrt");
    let written = fs::metadata(&file)
        .expect("the file")
        .modified()
        .expect("time");
    let loaded = cache.insecure_development(6).expect("load");
    assert_eq!(encode(&loaded), encode(&generated));
    assert_eq!(loaded.kind(), StringKind::InsecureDevelopment);
    assert_eq!(
        encode(&loaded),
        encode(&ReferenceString::insecure_development(6).expect("again"))
    );
    assert_eq!(
        fs::metadata(&file)
            .expect("the file")
            .modified()
            .expect("time"),
        written
    );
}

#[test]
fn corrupt_development_string_is_made_anew() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = StringCache::new(directory.path());
    let honest = encode(&cache.insecure_development(3).expect("generate"));
    let file = directory.path().join("srs-insecure-development-k3.qrt");
    let stored = fs::read(&file).expect("read");
    for place in (0..stored.len()).step_by(61) {
        let mut bytes = stored.clone();
        bytes[place] ^= 0x10;
        fs::write(&file, &bytes).expect("write");
        assert_eq!(
            encode(&cache.insecure_development(3).expect("again")),
            honest
        );
        assert_eq!(
            fs::read(&file).expect("read"),
            stored,
            "the file was repaired"
        );
    }
    fs::write(&file, &stored[..stored.len() / 2]).expect("write");
    assert_eq!(
        encode(&cache.insecure_development(3).expect("again")),
        honest
    );
}

#[test]
fn corrupt_imported_string_is_named_and_never_used() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = StringCache::new(directory.path());
    let string = unattested(3, 77);
    let file = cache.store(&string).expect("store");
    assert_eq!(
        encode(&cache.like(&string, 3).expect("load")),
        encode(&string)
    );
    let stored = fs::read(&file).expect("read");
    for place in (0..stored.len()).step_by(29) {
        let mut bytes = stored.clone();
        bytes[place] ^= 1;
        fs::write(&file, &bytes).expect("write");
        let error = cache.like(&string, 3).expect_err("corrupt");
        let SrsError::CorruptCache { path, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(path, &file);
        assert!(
            error.to_string().contains("delete it and import"),
            "{error}"
        );
        assert_eq!(
            fs::read(&file).expect("read"),
            bytes,
            "the file is left for its owner"
        );
    }
    for length in [0, 5, 23, stored.len() - 1] {
        fs::write(&file, &stored[..length]).expect("write");
        assert!(matches!(
            cache.like(&string, 3),
            Err(SrsError::CorruptCache { .. })
        ));
    }
}

/// A file with a matching hash but other points than its name promises: what somebody could put
/// there.
#[test]
fn sealed_file_of_other_points_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = StringCache::new(directory.path());
    let string = unattested(3, 78);
    let file = cache.store(&string).expect("store");
    let seal = |payload: &[u8]| {
        let lock = Lock::acquire(&file.with_extension("lock")).expect("lock");
        sealed::store(&lock, &file, Content::ReferenceString, payload).expect("store");
        matches!(cache.like(&string, 3), Err(SrsError::CorruptCache { .. }))
    };
    let honest = encode(&string);
    let stray = (G1Affine::generator() * Fr::from(5))
        .to_affine()
        .to_raw_bytes();
    assert!(seal(&encode(
        &ReferenceString::insecure_development(3).expect("generate")
    )));
    assert!(seal(&encode(&unattested(3, 79))));
    assert!(seal(&encode(&unattested(2, 78))));
    for place in [4, 4 + 64, 4 + 8 * 64, 4 + 12 * 64] {
        let mut payload = honest.clone();
        payload[place..place + 64].copy_from_slice(&stray);
        assert!(seal(&payload), "place {place}");
    }
    assert_eq!(honest.len(), payload_bytes(3));
    assert!(!seal(&honest));
}

#[test]
fn shorter_string_is_cut_from_a_longer_one_and_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = StringCache::new(directory.path());
    let long = unattested(5, 80);
    cache.store(&long).expect("store");
    assert!(matches!(
        cache.like(&long, 6),
        Err(SrsError::UnavailableString {
            kind: StringKind::Unattested,
            k: 6,
            ..
        })
    ));
    let short = cache.like(&long, 3).expect("cut");
    assert_eq!(encode(&short), encode(&long.downsize(3).expect("downsize")));
    assert_eq!(short.params().get_g(), &long.params().get_g()[..8]);
    let files = fs::read_dir(directory.path()).expect("list").count();
    assert_eq!(encode(&cache.like(&long, 3).expect("load")), encode(&short));
    assert_eq!(fs::read_dir(directory.path()).expect("list").count(), files);
    assert!(matches!(
        cache.ceremony(3),
        Err(SrsError::UnavailableString {
            kind: StringKind::PerpetualPowersOfTau,
            ..
        })
    ));
}

#[test]
fn racing_threads_get_one_whole_string() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let expected = encode(&ReferenceString::insecure_development(7).expect("generate"));
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let cache = StringCache::new(directory.path());
                barrier.wait();
                for _ in 0..5 {
                    let string = cache.insecure_development(7).expect("load or generate");
                    assert_eq!(encode(&string), expected);
                }
            });
        }
    });
}

#[test]
fn insecure_strings_need_both_a_development_genesis_and_the_flag() {
    let development = ReferenceString::insecure_development(2).expect("generate");
    for string in [&development, &unattested(2, 81)] {
        assert!(string.is_insecure());
        for (genesis, flag, allowed) in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, true),
        ] {
            let verdict = string.check_allowed(genesis, flag);
            assert_eq!(verdict.is_ok(), allowed, "genesis {genesis}, flag {flag}");
            if let Err(error) = verdict {
                assert!(matches!(error, SrsError::InvalidInsecure { .. }));
                assert!(
                    error.to_string().contains(&string.kind().to_string()),
                    "{error}"
                );
            }
        }
    }
    // The guard looks at the kind only, and the kind at [s]_2 only: this is how the ceremony's
    // string passes.
    let points = development::generate(2);
    let s_g2 = super::ceremony::perpetual_powers_of_tau();
    let ceremony = ReferenceString::from_points(2, Points { s_g2, ..points });
    assert!(ceremony.check_allowed(false, false).is_ok());
}
