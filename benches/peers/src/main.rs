//! `peers circom --transfers N` and `peers narrow --k K`: rows of figures as lines of JSON on standard output.

use std::{io::Write, path::PathBuf, process::ExitCode};

use peers::{circom::groth16, narrow::proof, report};

/// What the program says when it is called wrongly.
const USAGE: &str = "usage: peers circom [--transfers N] [--runs R] [--build DIRECTORY]\n       \
                     peers narrow [--k K] [--runs R] [--build DIRECTORY]";

/// Transfers in a Groth16 proof: the most whose constraints fit 2^19, see README.md.
const TRANSFERS: usize = 17;

/// Rows of the narrow circuit, as a power of two: 25 transfers fill it to 99.8 %.
const K: u32 = 17;

struct Options {
    transfers: usize,
    k: u32,
    runs: usize,
    build: PathBuf,
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        transfers: TRANSFERS,
        k: K,
        runs: report::RUNS,
        build: PathBuf::from("build"),
    };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--transfers" => options.transfers = value.parse().ok().filter(|n| *n > 0)?,
            "--k" => options.k = value.parse().ok()?,
            "--runs" => options.runs = value.parse().ok().filter(|n| *n > 0)?,
            "--build" => options.build = PathBuf::from(value),
            _ => return None,
        }
    }
    Some(options)
}

type Failure = Box<dyn std::error::Error>;

fn run() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let peer = words.next().ok_or(USAGE)?;
    let Options {
        transfers,
        k,
        runs,
        build,
    } = options(words).ok_or(USAGE)?;
    let rows = match peer.as_str() {
        "circom" => groth16::measure(&build, transfers, runs)?,
        "narrow" => proof::measure(&build, k, runs)?,
        _ => return Err(USAGE.into()),
    };
    let mut out = std::io::stdout().lock();
    for row in rows {
        writeln!(out, "{}", serde_json::to_string(&row)?)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be told if standard error is closed.
            let _closed = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
