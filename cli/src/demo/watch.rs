//! Follows batches until they are proven, and shows how far each proof is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use api::jobs::JobKind;
use api::ledger::{BatchJob, BatchJson, BatchStage};
use api::rpc::QuorateClient;
use api::status::{Evidence, TransactionStatus};
use api::text::HashText;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

use crate::exit::{CliError, Exit};
use crate::node::Node;
use crate::output::Output;

/// Time between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Without any progress for so long, nothing will come.
const STALLED: Duration = Duration::from_secs(600);

/// Heights in which these operations were certified.
///
/// # Errors
/// The network's or the node's.
pub(crate) async fn heights(node: &Node, ids: &[HashText]) -> Result<BTreeSet<u64>, CliError> {
    let mut found = BTreeSet::new();
    for id in ids {
        found.extend(certified_height(&node.transaction(id).await?));
    }
    Ok(found)
}

fn certified_height(status: &TransactionStatus) -> Option<u64> {
    status
        .reached
        .iter()
        .find_map(|reached| match &reached.evidence {
            Evidence::Certificate { height, .. } | Evidence::Record { height, .. } => Some(*height),
            Evidence::Mempool
            | Evidence::Soft { .. }
            | Evidence::Bundle { .. }
            | Evidence::BaseLayer { .. } => None,
        })
}

/// Waits until every batch that holds one of these heights is proven; returns them in order.
///
/// # Errors
/// The network's or the node's, or `Unavailable` if nothing moves for a long time.
pub(crate) async fn proven(
    node: &Node,
    heights: &BTreeSet<u64>,
    output: Output,
) -> Result<Vec<BatchJson>, CliError> {
    let mut display = Display::new(output);
    let mut last = (String::new(), Instant::now());
    loop {
        let batches = batches(node, heights).await?;
        display.show(&batches);
        let is_done = !batches.is_empty()
            && batches
                .iter()
                .all(|batch| batch.stage == BatchStage::Proven)
            && heights
                .iter()
                .all(|height| batches.iter().any(|batch| covers(batch, *height)));
        if is_done {
            display.finish();
            return Ok(batches);
        }
        let seen = format!(
            "{:?}",
            batches
                .iter()
                .flat_map(|batch| &batch.jobs)
                .collect::<Vec<_>>()
        );
        if seen != last.0 {
            last = (seen, Instant::now());
        } else if last.1.elapsed() > STALLED {
            let why = format!("no proof has moved for {} s", STALLED.as_secs());
            let todo = "look at the workers' logs; quorate doctor checks memory and disk";
            return Err(CliError::new(
                Exit::Unavailable,
                "proving has stopped",
                why,
                todo,
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The same batches as they stand now.
///
/// # Errors
/// The network's or the node's.
pub(crate) async fn again(node: &Node, batches: &[BatchJson]) -> Result<Vec<BatchJson>, CliError> {
    let mut found = Vec::new();
    for batch in batches {
        let batch = node.client.batch(Some(batch.number)).await;
        found.push(batch.map_err(|error| node.error("asking for a batch", error))?);
    }
    Ok(found)
}

fn covers(batch: &BatchJson, height: u64) -> bool {
    batch.first_height <= height && batch.last_height.is_none_or(|last| height <= last)
}

/// The batches from the first that holds a height to the last that does.
async fn batches(node: &Node, heights: &BTreeSet<u64>) -> Result<Vec<BatchJson>, CliError> {
    let status = node.client.status().await;
    let open = status
        .map_err(|error| node.error("asking for batches", error))?
        .batch_open;
    let mut found = Vec::new();
    for number in (1..=open).rev() {
        let batch = node.client.batch(Some(number)).await;
        let batch = batch.map_err(|error| node.error("asking for a batch", error))?;
        let is_older = heights
            .first()
            .is_none_or(|first| batch.last_height.is_some_and(|last| last < *first));
        if heights.iter().any(|height| covers(&batch, *height)) {
            found.push(batch);
        } else if is_older {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Seconds between lease and proof of a finished job.
pub(crate) fn job_seconds(job: &BatchJob) -> Option<f64> {
    let milliseconds = job.proven_ms?.saturating_sub(job.leased_ms?);
    Some(Duration::from_millis(milliseconds).as_secs_f64())
}

fn job_name(batch: u64, job: &BatchJob) -> String {
    match job.kind {
        JobKind::Chunk => format!("batch {batch} chunk {}", job.index),
        JobKind::Join => format!("batch {batch} join {}", job.index),
        JobKind::Data | JobKind::Close | JobKind::Finish => {
            format!("batch {batch} {}", job.kind.name())
        }
    }
}

/// One bar for each job on a terminal, a line for each change of phase elsewhere, nothing with `--json`.
struct Display {
    output: Output,
    bars: Option<MultiProgress>,
    jobs: BTreeMap<String, (ProgressBar, String)>,
}

impl Display {
    fn new(output: Output) -> Self {
        let is_visible = !output.is_json() && std::io::stderr().is_terminal();
        let bars =
            is_visible.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self {
            output,
            bars,
            jobs: BTreeMap::new(),
        }
    }

    fn show(&mut self, batches: &[BatchJson]) {
        for (number, job) in batches
            .iter()
            .flat_map(|batch| batch.jobs.iter().map(|job| (batch.number, job)))
        {
            let name = job_name(number, job);
            let (phase, percent) = match (job.proven_ms, job.leased_ms) {
                (Some(_), _) => ("proven".to_owned(), 100),
                (None, None) => ("queued".to_owned(), 0),
                (None, Some(_)) => (
                    job.phase.clone().unwrap_or_else(|| "leased".to_owned()),
                    job.percent.unwrap_or(0),
                ),
            };
            self.show_job(name, phase, percent);
        }
    }

    fn show_job(&mut self, name: String, phase: String, percent: u8) {
        let bars = self.bars.as_ref();
        let (bar, last) = self.jobs.entry(name.clone()).or_insert_with(|| {
            let bar = bars.map_or_else(ProgressBar::hidden, |bars| bars.add(ProgressBar::new(100)));
            let style = ProgressStyle::with_template(
                "{prefix:18} [{bar:32}] {pos:>3} % {msg:10} {elapsed}",
            );
            bar.set_style(style.expect("the template is fixed").progress_chars("=> "));
            bar.set_prefix(name.clone());
            (bar, String::new())
        });
        bar.set_position(u64::from(percent));
        if *last == phase {
            return;
        }
        bar.set_message(phase.clone());
        if percent == 100 {
            bar.finish();
        }
        if bars.is_none() {
            self.output.note(&format!("{name}: {phase} ({percent} %)"));
        }
        *last = phase;
    }

    fn finish(&self) {
        for (bar, _) in self.jobs.values() {
            bar.finish();
        }
    }
}
