//! Measurements, printed as one table and written to `target/report/bench.json`.
//!
//! `ONLY=name` runs the groups whose name contains it and replaces their rows only. Absolute times are noisy on
//! shared machines; ratios within one run hold.

mod demo;
mod native;
mod ordering;
mod proving;
mod rebuilding;
mod report;
mod rpc;
mod settlement;
mod strings;

use std::path::Path;

use report::Row;

/// A group of measurements by name.
type Group = (&'static str, fn() -> Vec<Row>);

const GROUPS: [Group; 16] = [
    ("native", native::rows),
    ("rpc", rpc::rows),
    ("ordering-pace", ordering::pace_rows),
    ("ordering-sizes", ordering::size_rows),
    ("ordering-payload", ordering::payload_rows),
    ("ordering-delay", ordering::delay_rows),
    ("ordering-tiers", ordering::tier_rows),
    ("ordering-rate", ordering::rate_rows),
    ("ordering-faults", ordering::fault_rows),
    ("strings", strings::rows),
    ("proving", proving::rows),
    ("lanes", proving::lane_rows),
    ("verify", proving::verify_rows),
    ("settlement", settlement::rows),
    ("rebuild", rebuilding::rows),
    ("demo", demo::rows),
];

fn main() -> std::io::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(proving::CHILD) {
        return proving::child();
    }
    if std::env::args().nth(1).as_deref() == Some(proving::LANES_CHILD) {
        return proving::lanes_child();
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    let path = Path::new("target/report/bench.json");
    let mut all = Vec::new();
    for (name, rows) in GROUPS.iter().filter(|(name, _)| name.contains(&only)) {
        let rows = report::timed(name, rows);
        // each group when it is there: what fails later takes nothing with it
        report::keep(path, &rows)?;
        all.extend(rows);
    }
    report::print(&all);
    Ok(())
}
