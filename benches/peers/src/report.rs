//! Rows of the report: one line of JSON each.

use std::time::Instant;

use serde::Serialize;

/// Runs of a measurement unless the caller says otherwise; the median counts.
pub const RUNS: usize = 5;

/// One measured quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// The median.
    pub median: f64,
    /// Every run, in the same unit, in order.
    pub runs: Vec<f64>,
    /// Median of the processor time of this process in a run, in the same unit: what it would be on one core. Tells
    /// little of others' influence, where wall time tells much.
    pub cpu_median: f64,
    /// Transfers in one proof.
    pub transfers: usize,
    /// Constraints of Groth16's circuit or rows of halo2's, in all.
    pub size: usize,
    /// What `size` counts.
    pub size_unit: &'static str,
    /// The same per transfer.
    pub size_per_transfer: f64,
    /// How it was measured.
    pub notes: String,
    /// Load average of the last minute before the first run; above 0.5 somebody else was at work.
    pub load_before: f64,
    /// Most memory that this process has had so far, in MiB.
    pub peak_memory_mib: f64,
}

/// What a peer's rows have in common.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Start of each row's name.
    pub peer: &'static str,
    /// Transfers in one proof.
    pub transfers: usize,
    /// Constraints or rows.
    pub size: usize,
    /// Which of the two.
    pub size_unit: &'static str,
    /// Load average before the first run.
    pub load_before: f64,
}

impl Subject {
    /// A row in milliseconds per transfer.
    #[must_use]
    pub fn per_transfer(&self, name: &str, times: &[Time], notes: &str) -> Row {
        let scale = 1000.0 / self.transfers as f64;
        let name = format!("{name}_ms_per_transfer");
        self.row(&name, "ms", times, scale, notes)
    }

    /// A row in seconds per proof.
    #[must_use]
    pub fn per_proof(&self, name: &str, times: &[Time], notes: &str) -> Row {
        self.row(&format!("{name}_s"), "s", times, 1.0, notes)
    }

    fn row(&self, name: &str, unit: &'static str, times: &[Time], scale: f64, notes: &str) -> Row {
        let runs: Vec<f64> = times.iter().map(|time| time.wall * scale).collect();
        let cpu: Vec<f64> = times.iter().map(|time| time.cpu * scale).collect();
        Row {
            name: format!("{}_{name}", self.peer),
            unit,
            median: median(&runs),
            runs,
            cpu_median: median(&cpu),
            transfers: self.transfers,
            size: self.size,
            size_unit: self.size_unit,
            size_per_transfer: self.size as f64 / self.transfers as f64,
            notes: notes.to_owned(),
            load_before: self.load_before,
            peak_memory_mib: peak_memory_mib().unwrap_or(0.0),
        }
    }
}

/// How long something took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// By the clock.
    pub wall: f64,
    /// Of all threads of this process and of the children it waited for; 0 where the system does not say.
    pub cpu: f64,
}

/// The result of `work` and the time it took.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, Time) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let result = work();
    let time = Time {
        wall: start.elapsed().as_secs_f64(),
        cpu: cpu_seconds() - cpu,
    };
    (result, time)
}

/// Sums of two series, run by run.
#[must_use]
pub fn sums(left: &[Time], right: &[Time]) -> Vec<Time> {
    let pairs = left.iter().zip(right);
    pairs
        .map(|(left, right)| Time {
            wall: left.wall + right.wall,
            cpu: left.cpu + right.cpu,
        })
        .collect()
}

/// The middle value, the mean of the two middle ones, or 0 of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    if sorted.len() % 2 == 1 || sorted.is_empty() {
        upper
    } else {
        (sorted[sorted.len() / 2 - 1] + upper) / 2.0
    }
}

/// Load average of the last minute, 0 where the system does not say.
#[must_use]
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Linux counts processor time in hundredths of a second.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, from the state on: user, system, and both of children.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(4);
    let ticks: f64 = ticks.filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak_memory_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn rows_divide_by_their_transfers() {
        let subject = Subject {
            peer: "peer",
            transfers: 4,
            size: 100,
            size_unit: "rows",
            load_before: 0.0,
        };
        let times = [2.0, 4.0, 3.0].map(|wall| Time {
            wall,
            cpu: 2.0 * wall,
        });
        let row = subject.per_transfer("proof", &times, "");
        assert_eq!(row.cpu_median, 1500.0);
        assert_eq!(
            (row.name.as_str(), row.median),
            ("peer_proof_ms_per_transfer", 750.0)
        );
        assert_eq!(row.size_per_transfer, 25.0);
    }
}
