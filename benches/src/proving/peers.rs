//! The peers' figures: `benches/peers` is a workspace of its own, run through its makefile in the same run as ours.

use std::process::{Command, Stdio};

use serde::Deserialize;

/// A line of its report; it has more fields.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    median: f64,
}

/// The median of a row of a peer, measured now: installs and compiles what is missing. `None`, with its own words on standard
/// error, where the peer cannot be had, without Node.js for one.
pub(super) fn median_ms(target: &str, name: &str) -> Option<f64> {
    let output = Command::new("make")
        .args(["-C", "benches/peers", "--no-print-directory", target])
        .stderr(Stdio::inherit())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines
        .filter(|line| line.name == name)
        .map(|line| line.median)
        .next()
}
