//! Rows of the report: measured beside a peer in the same run, printed and written as JSON.

use std::{path::Path, time::Instant};

use serde::{Deserialize, Serialize};

/// Runs of each measurement; the median counts.
pub(crate) const RUNS: usize = 5;

/// One measured quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// Unit of both values.
    pub(crate) unit: String,
    /// Our median.
    pub(crate) ours: f64,
    /// The peer's median in the same run, if there is a peer.
    pub(crate) peer: Option<f64>,
    /// Who the peer is.
    pub(crate) peer_name: Option<String>,
    /// ours / peer.
    pub(crate) ratio: Option<f64>,
}

impl Row {
    /// A row without a peer.
    #[must_use]
    pub(crate) fn alone(name: &str, unit: &str, ours: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours,
            peer: None,
            peer_name: None,
            ratio: None,
        }
    }

    /// A row beside a peer.
    #[must_use]
    pub(crate) fn beside(name: &str, unit: &str, ours: f64, peer: f64, peer_name: &str) -> Self {
        Self {
            peer: Some(peer),
            peer_name: Some(peer_name.to_owned()),
            ratio: Some(ours / peer),
            ..Self::alone(name, unit, ours)
        }
    }

    fn line(&self) -> String {
        let peer = match (&self.peer_name, self.peer, self.ratio) {
            (Some(name), Some(peer), Some(ratio)) => format!("{peer:>14.3}  {ratio:>8.3}  {name}"),
            _ => String::new(),
        };
        format!(
            "{:<44} {:>14.3} {:<12} {peer}",
            self.name, self.ours, self.unit
        )
    }
}

/// Median seconds of [`RUNS`] runs of `work`, each on a fresh `setup`.
pub(crate) fn median_seconds<S, R>(
    mut setup: impl FnMut() -> S,
    mut work: impl FnMut(S) -> R,
) -> f64 {
    let seconds = (0..RUNS)
        .map(|_| {
            let input = setup();
            let start = Instant::now();
            std::hint::black_box(work(std::hint::black_box(input)));
            start.elapsed().as_secs_f64()
        })
        .collect();
    median(seconds)
}

/// The middle value, or the upper of the two.
///
/// # Panics
/// If there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The rows of a group; how long they took goes to standard error, so that a long run shows where it is.
#[expect(clippy::print_stderr, reason = "progress of this program")]
pub(crate) fn timed(name: &str, rows: impl FnOnce() -> Vec<Row>) -> Vec<Row> {
    eprintln!("{name} ...");
    let start = Instant::now();
    let rows = rows();
    eprintln!("{name}: {:.0} s", start.elapsed().as_secs_f64());
    rows
}

/// Prints the table.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:<44} {:>14} {:<12} {:>14}  {:>8}  peer",
        "measurement", "ours", "unit", "peer's", "ratio"
    );
    for row in rows {
        println!("{}", row.line());
    }
}

/// Writes rows to the list, replacing those of the same names that an earlier run left.
///
/// # Errors
/// If the list cannot be written.
pub(crate) fn keep(path: &Path, rows: &[Row]) -> std::io::Result<()> {
    let mut all: Vec<Row> = std::fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    all.retain(|old| rows.iter().all(|row| row.name != old.name));
    all.extend_from_slice(rows);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension("json.new");
    std::fs::write(&temporary, serde_json::to_vec_pretty(&all)?)?;
    std::fs::rename(temporary, path)
}
