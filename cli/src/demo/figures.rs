//! The table at the end of the demo, and the same figures for machines.

use std::path::PathBuf;

use api::jobs::JobKind;
use api::ledger::BatchJson;
use serde::Serialize;

use crate::commands::verify::Proven;
use crate::demo::settlement::SettledFigures;
use crate::demo::watch::job_seconds;
use crate::output::table;

/// `target/report/demo.json`: exactly these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Payments per second, from the first request to the last certificate.
    pub(crate) ordered_per_second: f64,
    /// Seconds from lease to accepted proof, mean over chunk jobs.
    pub(crate) chunk_seconds: f64,
    /// Milliseconds of proving, chunks and data, for each payment.
    pub(crate) ms_per_transfer_proven: f64,
    /// Largest sum of resident memory of node and workers at one time.
    pub(crate) peak_memory_mb: u64,
    /// Bytes of all proofs.
    pub(crate) proof_bytes: usize,
    /// Bytes that the batches publish, for each payment.
    pub(crate) published_bytes_per_transfer: f64,
    /// Milliseconds of the offline verification, of the slowest bundle.
    pub(crate) verify_ms: f64,
    /// Seconds from the start of the command to the verified bundles.
    pub(crate) total_seconds: f64,
    /// Seconds from lease to accepted proof, summed over the jobs of aggregation; absent without them.
    pub(crate) aggregate_seconds: Option<f64>,
    /// Gas of committing and proving, for each payment; absent without a base layer, the proof without a final one.
    pub(crate) gas_per_transfer: Option<f64>,
    /// A file that `quorate verify` accepts.
    pub(crate) bundle: PathBuf,
}

/// What was measured elsewhere.
pub(crate) struct Measured {
    pub(crate) payments: usize,
    pub(crate) ordered_seconds: f64,
    pub(crate) peak_memory_mb: u64,
    pub(crate) total_seconds: f64,
    pub(crate) bundle: PathBuf,
    pub(crate) settled: Option<SettledFigures>,
}

impl Figures {
    /// Puts the figures of the batches and their verdicts together.
    pub(crate) fn new(measured: Measured, batches: &[BatchJson], verdicts: &[Proven]) -> Self {
        let seconds = |kind: Option<JobKind>| -> Vec<f64> {
            batches
                .iter()
                .flat_map(|batch| &batch.jobs)
                .filter(|job| kind.is_none_or(|kind| job.kind == kind))
                .filter_map(job_seconds)
                .collect()
        };
        let chunks = seconds(Some(JobKind::Chunk));
        let data = seconds(Some(JobKind::Data));
        let aggregated: Vec<f64> = [JobKind::Join, JobKind::Close, JobKind::Finish]
            .into_iter()
            .flat_map(|kind| seconds(Some(kind)))
            .collect();
        let all: f64 = chunks.iter().chain(&data).sum();
        let payments = count(measured.payments);
        let published: usize = verdicts.iter().map(Proven::published_bytes).sum();
        Self {
            ordered_per_second: payments / measured.ordered_seconds,
            chunk_seconds: chunks.iter().sum::<f64>() / count(chunks.len()),
            ms_per_transfer_proven: 1_000.0 * all / payments,
            peak_memory_mb: measured.peak_memory_mb,
            proof_bytes: verdicts.iter().map(Proven::proof_bytes).sum(),
            published_bytes_per_transfer: count(published) / payments,
            verify_ms: verdicts.iter().map(Proven::verify_ms).fold(0.0, f64::max),
            total_seconds: measured.total_seconds,
            aggregate_seconds: (!aggregated.is_empty()).then(|| aggregated.iter().sum()),
            gas_per_transfer: measured.settled.map(|settled| {
                let gas = settled
                    .commit_gas
                    .saturating_add(settled.prove_gas.unwrap_or(0));
                count(usize::try_from(gas).unwrap_or(usize::MAX)) / payments
            }),
            bundle: measured.bundle,
        }
    }

    /// The table for people.
    pub(crate) fn to_table(&self) -> String {
        let row =
            |name: &str, value: String, unit: &str| vec![name.to_owned(), value, unit.to_owned()];
        table(
            &["measured", "value", "unit"],
            [
                row(
                    "ordered and certified",
                    format!("{:.1}", self.ordered_per_second),
                    "payments/s",
                ),
                row("one chunk proof", format!("{:.1}", self.chunk_seconds), "s"),
                row(
                    "proving per payment",
                    format!("{:.0}", self.ms_per_transfer_proven),
                    "ms",
                ),
                row(
                    "peak memory, node and workers",
                    self.peak_memory_mb.to_string(),
                    "MiB",
                ),
                row("all proofs", self.proof_bytes.to_string(), "bytes"),
                row(
                    "published per payment",
                    format!("{:.1}", self.published_bytes_per_transfer),
                    "bytes",
                ),
                row(
                    "offline verification",
                    format!("{:.1}", self.verify_ms),
                    "ms",
                ),
                row("aggregation", or_none(self.aggregate_seconds, 1), "s"),
                row(
                    "gas on the base layer per payment",
                    or_none(self.gas_per_transfer, 0),
                    "gas",
                ),
                row("everything", format!("{:.1}", self.total_seconds), "s"),
            ],
        )
    }
}

/// A figure that there may be none of.
fn or_none(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a report are far below 2^52"
)]
fn count(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_exactly_the_documented_fields() {
        let figures = Figures {
            ordered_per_second: 1.0,
            chunk_seconds: 2.0,
            ms_per_transfer_proven: 3.0,
            peak_memory_mb: 4,
            proof_bytes: 5,
            published_bytes_per_transfer: 6.0,
            verify_ms: 7.0,
            total_seconds: 8.0,
            aggregate_seconds: None,
            gas_per_transfer: Some(9.0),
            bundle: "file".into(),
        };
        let json = serde_json::to_value(&figures).expect("JSON");
        let names: Vec<&str> = json
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = [
            "ordered_per_second",
            "chunk_seconds",
            "ms_per_transfer_proven",
            "peak_memory_mb",
            "proof_bytes",
            "published_bytes_per_transfer",
            "verify_ms",
            "total_seconds",
            "aggregate_seconds",
            "gas_per_transfer",
            "bundle",
        ];
        expected.sort_unstable();
        let mut names = names;
        names.sort_unstable();
        assert_eq!(names, expected);
        assert!(figures.to_table().contains("payments/s"));
    }
}
