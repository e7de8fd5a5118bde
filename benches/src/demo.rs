//! The whole demo as a user runs it: `quorate devnet --demo`, from start to verified bundle.

use std::{path::Path, process::Command, process::Stdio, time::Instant};

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
        .args(["devnet", "--demo"])
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let seconds = start.elapsed().as_secs_f64();
    assert!(
        output.status.success(),
        "the demo failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    vec![Row::alone("demo_total_one_run", "seconds", seconds)]
}
