//! `quorate verify` on the golden batches: exit codes, and memory that hostile lengths may not take.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::golden::{bundle, bundle_bytes, bundle_path, genesis_path};

use super::bytes;

/// What the program may map, in KiB: several times its own size, far below a length of 2^32.
const ADDRESS_SPACE_KIB: u32 = 1_500_000;

/// The program that cargo built beside this test.
fn quorate() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let built = test
        .ancestors()
        .nth(2)
        .expect("deps/ lies in the profile's directory");
    let program = built.join("quorate");
    assert!(
        program.is_file(),
        "{} is missing: make build",
        program.display()
    );
    program
}

fn verify(file: &Path, arguments: &[&str]) -> Output {
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$@\"");
    Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(quorate())
        .arg("verify")
        .arg(file)
        .args(arguments)
        .env_remove("QUORATE_LOG")
        .output()
        .expect("a shell")
}

fn expect(code: i32, file: &Path, arguments: &[&str]) {
    let output = verify(file, arguments);
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr)
    );
}

#[test]
fn the_program_gives_each_verdict_its_exit_code() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("forged.bundle");
    let genesis = genesis_path().display().to_string();
    let trusting = ["--dev", "--genesis", &genesis];
    for number in [1, 2] {
        expect(0, &bundle_path(number), &trusting);
        expect(0, &bundle_path(number), &["--dev"]);
        expect(1, &bundle_path(number), &["--genesis", &genesis]);
    }
    let write_and_expect = |code, bytes: Vec<u8>| {
        std::fs::write(&file, bytes).expect("write");
        expect(code, &file, &trusting);
    };
    let mut invalid = bundle(1);
    invalid.chunks.swap(0, 1);
    write_and_expect(1, invalid.encode());
    let mut version = bundle(1);
    version.circuit_version += 1;
    write_and_expect(5, version.encode());
    write_and_expect(4, bundle_bytes(1)[1..].to_vec());
}

#[test]
fn lengths_in_the_file_do_not_take_memory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("huge.bundle");
    let files = bytes::with_huge_lengths();
    assert!(files.len() >= 9, "{}", files.len());
    for bytes in files {
        std::fs::write(&file, bytes).expect("write");
        expect(4, &file, &["--dev"]);
    }
}
