//! Contracts in the repository: source and compiled code in `prover/golden/solidity`.
//!
//! `UPDATE_GOLDEN=1` writes the sources and the compiler's settings; `scripts/solidity-verifier`
//! compiles them and writes the code beside them.

use std::fs;
use std::path::PathBuf;

use prover::solidity::{COMPILER_VERSION, compiler_settings};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The compiler's version and settings.
const SETTINGS: &str = "compiler.json";

fn path(file: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/solidity");
    PathBuf::from(directory).join(file)
}

fn read(file: &str) -> String {
    let path = path(file);
    let complain = |error| panic!("{}: {error}; run make golden", path.display());
    fs::read_to_string(&path).unwrap_or_else(complain)
}

/// Whether golden files are to be written.
fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn write(file: &str, text: &str) {
    fs::write(path(file), text).expect("the golden directory is writable");
}

/// Compares a file with what it has to be, or writes it.
fn compare(file: &str, text: &str) {
    if updates() {
        write(file, text);
    }
    assert!(
        read(file) == text,
        "{file} is not what the generator writes; run make golden and look at the change"
    );
}

/// Compares a contract's source with the one in the repository.
pub(crate) fn compare_source(contract: &str, source: &str) {
    compare(&format!("{contract}.sol"), source);
}

/// Compares the compiler's settings with those the script uses, whatever the order of their keys.
pub(crate) fn compare_settings() {
    let settings = serde_json::json!({
        "version": COMPILER_VERSION,
        "settings": compiler_settings(),
    });
    if updates() {
        let text = serde_json::to_string_pretty(&settings).expect("JSON");
        write(SETTINGS, &format!("{text}\n"));
    }
    let golden: Value = serde_json::from_str(&read(SETTINGS)).expect("JSON");
    assert_eq!(
        golden, settings,
        "{SETTINGS} is out of date; run make golden"
    );
}

/// The code of a contract, compiled from the source in the repository under the settings there.
pub(crate) fn code(contract: &str) -> Vec<u8> {
    let compiled: Value =
        serde_json::from_str(&read(&format!("{contract}.json"))).expect("a compiled contract");
    let again = "compile it again: scripts/solidity-verifier";
    let source = hex::encode(Sha256::digest(read(&format!("{contract}.sol"))));
    assert_eq!(compiled["sourceSha256"], source, "{contract}: {again}");
    assert_eq!(compiled["settings"], compiler_settings(), "{again}");
    let version = compiled["version"].as_str().expect("a version");
    assert!(
        version.starts_with(&format!("{COMPILER_VERSION}+")),
        "{version}: {again}"
    );
    let code = compiled["deployedBytecode"].as_str().expect("code");
    hex::decode(code).expect("hexadecimal code")
}
