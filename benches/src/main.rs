//! Measurements, printed as one table and written to `target/report/bench.json`.
//!
//! `ONLY=name` runs the groups whose name contains it and replaces their rows only. Absolute times are noisy on
//! shared machines; ratios within one run hold.

mod native;
mod report;

use std::path::Path;

use report::Row;

/// A group of measurements by name.
type Group = (&'static str, fn() -> Vec<Row>);

const GROUPS: [Group; 1] = [("native", native::rows)];

fn main() -> std::io::Result<()> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let rows: Vec<Row> = GROUPS
        .iter()
        .filter(|(name, _)| name.contains(&only))
        .flat_map(|(_, rows)| rows())
        .collect();
    report::publish(Path::new("target/report/bench.json"), &rows)
}
