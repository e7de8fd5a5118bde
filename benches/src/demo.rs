//! The whole demo as a user runs it: `quorate devnet --demo`, from start to verified bundle, final proof and claim.

use std::{path::Path, process::Command, process::Stdio, time::Instant};

use serde_json::Value;

use crate::report::Row;

/// Where `make build` puts the binary.
const QUORATE: &str = "target/release/quorate";

/// Seconds of one run; its keys are in the cache once the proving group or an earlier demo has run.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    assert!(
        Path::new(QUORATE).exists(),
        "{QUORATE} is missing: run make build, and this program from the repository's root"
    );
    let start = Instant::now();
    let output = Command::new(QUORATE)
        .args([
            "--json",
            "devnet",
            "--demo",
            "--base-layer",
            "embedded",
            "--aggregate",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let seconds = start.elapsed().as_secs_f64();
    assert!(
        output.status.success(),
        "the demo failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    let figures: Value = serde_json::from_str(&text).expect("the demo prints its figures");
    let figure = |name: &str| figures[name].as_f64().expect(name);
    vec![
        Row::alone("demo_total_one_run", "seconds", seconds),
        Row::alone("aggregate_seconds", "seconds", figure("aggregate_seconds")),
        Row::alone("aggregate_peak_memory_mb", "MiB", figure("peak_memory_mb")),
        Row::alone(
            "gas_per_transfer_calldata",
            "gas",
            figure("gas_per_transfer"),
        ),
        Row::alone(
            "published_bytes_per_transfer",
            "bytes",
            figure("published_bytes_per_transfer"),
        ),
        Row::alone("bundle_verify_ms", "ms", figure("verify_ms")),
    ]
}
