//! `quorate srs` on files: a real one of snarkjs, parameters of halo2 under the development string, and what is neither.

use std::path::Path;

use serde_json::Value;

use crate::{Bench, text};

/// Hashes of the fixture (`tests/fixtures/srs/README.md`).
const SHA256: &str = "6b1035eaf8fdba178834a7e21d075a199c86d88f963bd784cebb2cb2e8741f92";
const BLAKE2B_START: &str = "332f3166";
/// First coordinate of the accepted ceremony's `[s]_2` (`prover/CEREMONY.md`).
const CEREMONY_START: &str = "2183138194";

/// A sound file of 2^12 powers whose maker nobody knows.
fn fixture() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/srs/powersOfTau28_hez_final_10.ptau");
    path.display().to_string()
}

fn error(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stderr).expect("one JSON object on stderr")
}

/// A file of the cache, and the halo2 parameters in it.
fn development(bench: &Bench) -> (String, Vec<u8>) {
    let strings = prover::srs::StringCache::new(bench.path("other"));
    strings.insecure_development(4).expect("generate");
    let path = bench.path("other").join("srs-insecure-development-k4.qrt");
    let sealed = std::fs::read(&path).expect("read");
    let parameters = sealed[24..sealed.len() - 32].to_vec();
    (path.display().to_string(), parameters)
}

#[test]
fn a_file_says_what_it_is_and_that_nobody_vouches_for_it() {
    let bench = Bench::new();
    let file = fixture();
    let info = bench.json(&["srs", "info", &file]);
    assert_eq!(info["format"], "ptau");
    assert_eq!((&info["k"], &info["insecure"]), (&12.into(), &true.into()));
    assert_eq!(info["kind"], "unattested");
    assert_eq!(info["sha256"], SHA256);
    assert!(
        info["blake2b"]
            .as_str()
            .expect("hex")
            .starts_with(BLAKE2B_START)
    );
    let point = info["s_g2"].as_array().expect("four numbers");
    assert_eq!(point.len(), 4);
    assert!(
        point[0].as_str().expect("decimal").starts_with("10697120"),
        "{point:?}"
    );
    assert_eq!(info["shown"], serde_json::json!([]), "nothing was checked");
    let shown = text(&bench.expect(0, &["srs", "info", &file]).stdout);
    assert!(
        shown.contains("INSECURE") && shown.contains(SHA256),
        "{shown}"
    );
    assert!(!shown.contains(CEREMONY_START), "{shown}");
}

#[test]
fn verify_checks_every_power_and_says_no_to_a_string_that_nobody_vouches_for() {
    let bench = Bench::new();
    let file = fixture();
    let output = bench.expect(1, &["srs", "verify", &file]);
    let shown = text(&output.stdout);
    assert!(shown.contains("all 2^13 - 1 powers in G1"), "{shown}");
    assert!(text(&output.stderr).contains("INSECURE"));
    let found = bench.json(&["srs", "verify", &file, "--dev", "--hash", SHA256]);
    assert_eq!(
        (&found["k"], &found["kind"]),
        (&12.into(), &"unattested".into())
    );
    assert!(
        found["shown"].as_array().expect("a list").len() >= 5,
        "{found}"
    );

    // one bit of one power
    let mut bytes = std::fs::read(&file).expect("read");
    bytes[80 + 64 * 7_000 + 3] ^= 1;
    let bent = bench.write("bent.ptau", &bytes);
    let refused = bench.expect(1, &["srs", "verify", &bent, "--dev", "--json"]);
    assert!(refused.stdout.is_empty());
    let why = error(&refused)["error"]["why"].to_string();
    assert!(why.contains("tauG1") && why.contains("bent.ptau"), "{why}");
    let pinned = bench.expect(1, &["srs", "verify", &bent, "--dev", "--hash", SHA256]);
    assert!(text(&pinned.stderr).contains("pinned"));
    bench.expect(2, &["srs", "verify", &file, "--hash", "abc"]);
}

#[test]
fn an_import_is_found_in_the_cache_and_an_insecure_one_must_be_wanted() {
    let bench = Bench::new();
    let file = fixture();
    let refused = bench.expect(1, &["srs", "import", &file]);
    assert!(text(&refused.stderr).contains("INSECURE"));
    assert!(!bench.path("cache").exists(), "nothing was stored");
    assert!(
        bench
            .expect(0, &["srs", "info", "--json"])
            .stdout
            .is_empty()
    );

    let imported = bench.json(&["srs", "import", &file, "--dev", "--k", "6"]);
    assert_eq!(
        (&imported["k"], &imported["stored"]["k"]),
        (&12.into(), &6.into())
    );
    let stored = imported["stored"]["path"].as_str().expect("a path");
    let listed = bench.json(&["srs", "info"]);
    assert_eq!((&listed["path"], &listed["k"]), (&stored.into(), &6.into()));
    assert_eq!(listed["format"], "cached");
    assert_eq!(listed["s_g2"], imported["s_g2"]);
    let verified = bench.json(&["srs", "verify", stored, "--dev"]);
    assert_eq!(verified["kind"], "unattested");

    // into another cache, from the first one's file, a shorter string
    let again = [
        "srs", "import", stored, "--dev", "--k", "3", "--cache", "second",
    ];
    assert_eq!(bench.json(&again)["stored"]["k"], 3);
    let too_long = ["srs", "import", stored, "--dev", "--k", "7"];
    bench.expect(2, &too_long);
    bench.expect(2, &["srs", "import", &file, "--dev", "--k", "23"]);
    bench.expect(2, &["srs", "import", &file, "--dev", "--k", "13"]);
}

#[test]
fn parameters_of_halo2_are_known_and_the_development_string_is_recognised() {
    let bench = Bench::new();
    let (cached, parameters) = development(&bench);
    let file = bench.write("params.bin", &parameters);
    for (path, format) in [(&cached, "cached"), (&file, "halo2")] {
        let found = bench.json(&["srs", "verify", path, "--dev"]);
        assert_eq!(found["format"], format);
        assert_eq!(
            (&found["k"], &found["kind"]),
            (&4.into(), &"insecure-development".into())
        );
        bench.expect(1, &["srs", "verify", path]);
        bench.expect(1, &["srs", "import", path]);
        assert_eq!(bench.json(&["srs", "info", path])["s_g2"], found["s_g2"]);
    }
    let mut bent = parameters;
    bent[4 + 64 * 9] ^= 1;
    let bent = bench.write("bent.bin", &bent);
    bench.expect(1, &["srs", "verify", &bent, "--dev"]);
}

#[test]
fn truncated_files_are_called_damaged_and_foreign_ones_foreign() {
    let bench = Bench::new();
    let ptau = std::fs::read(fixture()).expect("read");
    let (cached, parameters) = development(&bench);
    let sealed = std::fs::read(&cached).expect("read");
    let cases: [(&str, &[u8], i32, &str); 8] = [
        (
            "half.ptau",
            &ptau[..ptau.len() / 2],
            4,
            "ends beyond the file",
        ),
        ("start.ptau", &ptau[..9], 2, "not a snarkjs .ptau file"),
        ("longer.ptau", &[&ptau[..], b"x"].concat(), 4, "bytes long"),
        (
            "half.bin",
            &parameters[..parameters.len() / 2],
            4,
            "truncated",
        ),
        ("half.qrt", &sealed[..sealed.len() / 2], 4, "corrupt"),
        ("text", b"powers of tau, honestly", 2, "is not a snarkjs"),
        ("empty", b"", 2, "is not a snarkjs"),
        // a file of snarkjs for another curve
        ("curve.ptau", &other_curve(&ptau), 2, "BN254"),
    ];
    for (name, bytes, code, words) in cases {
        let path = bench.write(name, bytes);
        for command in ["info", "verify", "import"] {
            let output = bench.expect(code, &["srs", command, &path, "--json"]);
            assert!(output.stdout.is_empty(), "{name}");
            let error = error(&output);
            let why = error["error"]["why"].as_str().expect("why");
            assert!(
                why.contains(words) && why.contains(name),
                "{command} {name}: {why}"
            );
            assert!(!error["error"]["todo"].as_str().expect("todo").is_empty());
        }
    }
    bench.expect(2, &["srs", "verify", "absent.ptau"]);
    bench.expect(2, &["srs", "verify", "."]);
}

/// The same file, for a field whose elements have another size.
fn other_curve(ptau: &[u8]) -> Vec<u8> {
    let mut bytes = ptau.to_vec();
    bytes[24] = 48;
    bytes
}

#[test]
fn a_damaged_file_does_not_hide_the_rest_of_the_cache() {
    let bench = Bench::new();
    bench.json(&["srs", "import", &fixture(), "--dev", "--k", "2"]);
    std::fs::write(bench.path("cache").join("srs-a-k1.qrt"), "rubbish").expect("write");
    let output = bench.expect(2, &["srs", "info", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).expect("the good one");
    assert_eq!(shown["k"], 2);
    assert!(text(&output.stderr).contains("srs-a-k1.qrt"));
}
