//! `quorate verify` on evidence and checkpoints, from outside: verdicts, exit codes, damage, foreign chains.
//!
//! The chain is the golden one: its genesis file and proven batches are in the repository, and its four validators have
//! the keys 1 to 4.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use protocol::{
    account::L1Address,
    block::BlockId,
    checkpoint::{BatchCommitment, Checkpoint, SignedCommitment},
    evidence::Evidence,
    hash::keccak256,
    number::{Epoch, Height, Round},
    params::{CIRCUIT_VERSION, params_hash},
    transaction::Domain,
    validator::{Validator, ValidatorKey, ValidatorSet},
    vote::{SignedVote, Step, Vote},
    words::sequence_bytes,
};
use serde_json::Value;
use verifier::{
    base_layer::BlockHeader, bundle::Bundle, checkpoint::CheckpointFile, evidence::EvidenceFile,
    finality::FinalityBundle, lineage::Lineage,
};

const HEIGHT: Height = Height(7);

/// A directory of its own for one test, and the binary inside it.
struct Bench {
    directory: tempfile::TempDir,
    lineage: Lineage,
}

fn golden(name: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/golden");
    fixtures.join(name).display().to_string()
}

fn key(seed: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[seed; 32]).expect("a small scalar")
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shown = run(
            directory.path(),
            &["genesis", "show", &golden("genesis.json"), "--json"],
        );
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        let hash = shown["hash"].as_str().expect("a hash");
        let hash = hex::decode(hash.trim_start_matches("0x")).expect("hex");
        let reference_string = shown["reference_string"].as_str().expect("a name");
        let seats = (1..=4).map(|seed| Validator {
            address: key(seed).address(),
            weight: 1,
        });
        let lineage = Lineage {
            genesis: BlockId(hash.try_into().expect("32 bytes")),
            domain: Domain::new(
                31_337,
                L1Address([0x52; 20]),
                params_hash(reference_string),
                CIRCUIT_VERSION,
            ),
            validators: ValidatorSet::new(seats.collect()).expect("four"),
            handovers: Vec::new(),
        };
        Self { directory, lineage }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("write");
        self.path(name).display().to_string()
    }

    /// Runs, checks the exit code, and that a refusal says why and what to do.
    fn expect(&self, code: i32, words: &[&str]) -> Output {
        let output = run(self.directory.path(), words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        let is_explained = stderr.contains("why:") && stderr.contains("do:");
        assert!(
            code == 0 || code == 2 || is_explained,
            "{words:?}: {stderr}"
        );
        output
    }

    fn json(&self, code: i32, words: &[&str]) -> Value {
        let output = run(self.directory.path(), &[words, &["--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
    }

    /// A genesis of another chain.
    fn foreign_genesis(&self) -> String {
        let path = self.path("foreign.json").display().to_string();
        self.expect(0, &["genesis", "new", &path, "--accounts", "2"]);
        path
    }

    fn vote(&self, seed: u8, block: u8) -> SignedVote {
        let vote = Vote {
            height: HEIGHT,
            round: Round(0),
            step: Step::Precommit,
            block: Some(BlockId([block; 32])),
        };
        vote.sign(&self.lineage.domain, &key(seed))
    }

    fn evidence(&self, seed: u8, blocks: [u8; 2]) -> Vec<u8> {
        let [first, second] = blocks.map(|block| self.vote(seed, block));
        let file = EvidenceFile {
            lineage: self.lineage.clone(),
            evidence: Evidence::DoubleVote(first, second),
            answer: Vec::new(),
        };
        file.encode()
    }

    /// The checkpoint of golden batch 1, signed by these keys.
    fn checkpoint(&self, seeds: &[u8]) -> Vec<u8> {
        let bytes = std::fs::read(golden("batch-1.bundle")).expect("the golden batch");
        let bundle = Bundle::decode(&bytes).expect("a bundle");
        let (start, end) = (&bundle.start, &bundle.chunks.last().expect("a chunk").after);
        let commitment = BatchCommitment {
            batch_number: bundle.batch_number,
            root_before: start.root,
            root_after: end.root,
            counters_before: start.counters(),
            counters_after: end.counters(),
            h: end.h,
            signed_operations: end.counts.signed_operations,
            epoch: Epoch(0),
            next_set_hash: self.lineage.validators.hash(),
            l1_origin_time: 0,
            circuit_version: CIRCUIT_VERSION,
            ops_hash: keccak256(&sequence_bytes(&bundle.words.ops)),
            withdrawals_hash: keccak256(&sequence_bytes(&bundle.words.withdrawals)),
            inbox_hash: keccak256(&sequence_bytes(&bundle.words.inbox)),
            last_height: end.height,
            last_block: BlockId([9; 32]),
        };
        let signed: Vec<SignedCommitment> = seeds
            .iter()
            .map(|seed| commitment.clone().sign(&self.lineage.domain, &key(*seed)))
            .collect();
        let file = CheckpointFile {
            lineage: self.lineage.clone(),
            checkpoint: Checkpoint::assemble(commitment, &signed),
        };
        file.encode()
    }

    /// A sample of flipped bytes, cuts and a longer file: each is refused, as `kind` and by its own first bytes.
    fn expect_damage_is_seen(&self, kind: &str, good: &[u8]) {
        let genesis = golden("genesis.json");
        let refused = |code: i32, bytes: &[u8]| {
            let file = self.write("damaged", bytes);
            let verdict = self.json(code, &["verify", kind, &file, "--genesis", &genesis]);
            assert_eq!(verdict["valid"], false);
            self.expect(code, &["verify", &file]);
        };
        for place in (0..good.len()).step_by(good.len() / 12) {
            let mut damaged = good.to_vec();
            damaged[place] ^= 1;
            refused(4, &damaged);
        }
        let mut newer = good.to_vec();
        newer[8] += 1;
        refused(5, &newer);
        for length in [0, 7, 19, good.len() / 2, good.len() - 1] {
            refused(4, &good[..length]);
        }
        refused(4, &[good, &[0]].concat());
    }
}

fn run(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(words)
        .current_dir(directory)
        .env("QUORATE_HOME", directory.join("home"))
        .env("QUORATE_CACHE", directory.join("cache"))
        .env_remove("QUORATE_LOG")
        .output()
        .expect("the binary runs")
}

#[test]
fn evidence_convicts_and_a_third_is_counted() {
    let bench = Bench::new();
    let genesis = golden("genesis.json");
    let first = bench.write("first", &bench.evidence(1, [0xa, 0xb]));
    let again = bench.write("again", &bench.evidence(1, [0xa, 0xc]));
    let second = bench.write("second", &bench.evidence(2, [0xa, 0xb]));

    let alone = bench.json(0, &["verify", "evidence", &first]);
    assert_eq!(alone["anchored_in_genesis"], false);
    let anchored = bench.json(0, &["verify", "evidence", &first, "--genesis", &genesis]);
    assert_eq!(anchored["valid"], true);
    assert_eq!(anchored["anchored_in_genesis"], true);
    assert_eq!(anchored["findings"][0]["offence"], "double vote");
    let offender = key(1).address().to_string();
    assert_eq!(anchored["findings"][0]["offender"], offender);
    assert_eq!(anchored["height"], HEIGHT.0);
    assert_eq!(anchored["at_least_one_third"], false);

    let same = bench.json(0, &["verify", "evidence", &first, &again]);
    assert_eq!(same["offenders_weight"], "1", "one offender counts once");
    let both = bench.json(
        0,
        &["verify", "--genesis", &genesis, "evidence", &first, &second],
    );
    assert_eq!(both["offenders_weight"], "2");
    assert_eq!(both["total_weight"], "4");
    assert_eq!(both["at_least_one_third"], true);

    // the file's own first bytes say what it is, also under the name of a subcommand
    bench.write("evidence", &bench.evidence(1, [0xa, 0xb]));
    for words in [["verify", "./evidence"], ["verify", &first]] {
        let output = bench.expect(0, &words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.contains("VALID EVIDENCE") && text.contains(&offender),
            "{text}"
        );
    }
}

#[test]
fn evidence_that_shows_nothing_is_refused() {
    let bench = Bench::new();
    let honest = bench.write("honest", &bench.evidence(1, [0xa, 0xa]));
    let verdict = bench.json(1, &["verify", "evidence", &honest]);
    assert_eq!(
        (&verdict["valid"], &verdict["exit_code"]),
        (&false.into(), &1.into())
    );
    let stranger = bench.write("stranger", &bench.evidence(9, [0xa, 0xb]));
    bench.expect(1, &["verify", "evidence", &stranger]);
    let good = bench.evidence(1, [0xa, 0xb]);
    let good_file = bench.write("good", &good);
    bench.expect(1, &["verify", "evidence", &good_file, &honest]);
    let foreign = bench.foreign_genesis();
    bench.expect(
        1,
        &["verify", "evidence", &good_file, "--genesis", &foreign],
    );
    bench.expect(4, &["verify", "evidence", &golden("batch-1.bundle")]);
    bench.expect_damage_is_seen("evidence", &good);
}

#[test]
fn checkpoints_are_vouched_for_and_proven_by_their_bundle() {
    let bench = Bench::new();
    let genesis = golden("genesis.json");
    let file = bench.write("file", &bench.checkpoint(&[1, 2, 3]));
    for words in [
        vec!["verify", "checkpoint", &file, "--genesis", &genesis],
        vec!["verify", &file, "--genesis", &genesis],
    ] {
        let verdict = bench.json(0, &words);
        assert_eq!(verdict["kind"], "checkpoint");
        assert_eq!(verdict["signed_weight"], "3");
        assert_eq!(verdict["total_weight"], "4");
        assert_eq!(verdict["proven_by_bundle"], false);
        assert_eq!(verdict["anchored_in_genesis"], true);
    }
    let with = |number: u8| golden(&format!("batch-{number}.bundle"));
    let checkpoint = ["verify", "checkpoint", &file, "--genesis", &genesis];
    let bundle = |number: u8, dev: &[&'static str]| -> Vec<String> {
        let words = checkpoint.iter().copied().chain(dev.iter().copied());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.extend(["--bundle".to_owned(), with(number)]);
        words
    };
    let expect = |code: i32, words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        bench.json(code, &words)
    };
    let proven = expect(0, &bundle(1, &["--dev"]));
    assert_eq!(
        (&proven["proven_by_bundle"], &proven["insecure"]),
        (&true.into(), &true.into())
    );
    let reason = |verdict: &Value| verdict["reason"].as_str().expect("a reason").to_owned();
    let other = reason(&expect(1, &bundle(2, &["--dev"])));
    assert!(other.contains("batch number"), "{other}");
    let insecure = reason(&expect(1, &bundle(1, &[])));
    assert!(insecure.contains("INSECURE"), "{insecure}");
    bench.expect(0, &["verify", "--dev", &with(1), "--genesis", &genesis]);
}

#[test]
fn checkpoints_that_show_nothing_are_refused() {
    let bench = Bench::new();
    let few = bench.write("few", &bench.checkpoint(&[1, 2]));
    let verdict = bench.json(1, &["verify", "checkpoint", &few]);
    assert_eq!(verdict["valid"], false);
    let stranger = bench.write("stranger", &bench.checkpoint(&[1, 2, 3, 9]));
    bench.expect(1, &["verify", "checkpoint", &stranger]);
    let good = bench.checkpoint(&[1, 2, 3, 4]);
    let file = bench.write("good", &good);
    let foreign = bench.foreign_genesis();
    bench.expect(1, &["verify", "checkpoint", &file, "--genesis", &foreign]);
    bench.expect(4, &["verify", "checkpoint", &golden("batch-1.bundle")]);
    bench.expect_damage_is_seen("checkpoint", &good);
}

#[test]
fn a_kind_without_a_file_or_beside_one_is_wrong_usage() {
    let bench = Bench::new();
    let file = bench.write("file", &bench.evidence(1, [0xa, 0xb]));
    let absent = bench.path("absent").display().to_string();
    let cases: [&[&str]; 6] = [
        &["verify", "evidence"],
        &["verify", "checkpoint"],
        &["verify", "evidence", &absent],
        &["verify", "checkpoint", &file, "--bundle", &absent],
        &["verify", &file, "evidence", &file],
        &["verify", "checkpoint", &file, &file],
    ];
    for words in cases {
        bench.expect(2, words);
    }
}

/// A batch that was settled with its real proof on the embedded chain (settlement/tests/contracts/finality.rs).
#[test]
fn a_finality_bundle_is_judged_under_the_block_that_the_reader_trusts() {
    let bench = Bench::new();
    let file = golden("settled.finality");
    let bytes = std::fs::read(&file).expect("the golden file; run `make golden`");
    let bundle = FinalityBundle::decode(&bytes).expect("a finality bundle");
    let block = BlockHeader::decode(&bundle.header).expect("a header").hash;
    let block = block.to_string();
    let judged = |arguments: &[&str]| {
        let output = run(
            bench.directory.path(),
            &[&["verify", "--json"], arguments].concat(),
        );
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), verdict)
    };
    let (code, verdict) = judged(&["--dev", "--trusted-block", &block, &file]);
    assert_eq!(code, Some(0), "{verdict}");
    assert_eq!(
        (
            &verdict["batch"],
            &verdict["block_trusted"],
            &verdict["proven_batches"]
        ),
        (&1.into(), &true.into(), &1.into())
    );
    assert_eq!(verdict["block_hash"], Value::from(block.as_str()));
    let operation = &verdict["operation"];
    assert_eq!(operation["slot"], 0, "{operation}");

    let (code, verdict) = judged(&["--dev", &file]);
    assert_eq!((code, &verdict["block_trusted"]), (Some(0), &false.into()));
    let trusted = verdict["still_trusted"].to_string();
    assert!(trusted.contains("--trusted-block"), "{trusted}");

    let other = format!("0x{}", "11".repeat(32));
    let (code, verdict) = judged(&["--dev", "--trusted-block", &other, &file]);
    assert_eq!(code, Some(1));
    let reason = verdict["reason"].to_string();
    assert!(reason.contains("trusted block"), "{reason}");

    let (code, verdict) = judged(&["--trusted-block", &block, &file]);
    let reason = verdict["reason"].to_string();
    assert!(code == Some(1) && reason.contains("INSECURE"), "{reason}");
    let genesis = golden("genesis.json");
    let (code, _) = judged(&["--dev", "--genesis", &genesis, &file]);
    assert_eq!(code, Some(1), "another chain's genesis");

    let damaged = bench.directory.path().join("damaged");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::write(&damaged, flipped).expect("a file");
    let (code, _) = judged(&["--dev", &damaged.display().to_string()]);
    assert_eq!(code, Some(4));
    // the flag is about finality bundles only
    let (code, _) = judged(&[
        "--dev",
        "--trusted-block",
        &block,
        &golden("batch-1.bundle"),
    ]);
    assert_eq!(code, Some(2));
}
