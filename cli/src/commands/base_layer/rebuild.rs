//! `quorate base-layer rebuild`: every leaf of the rollup from genesis and the base layer alone.

use std::path::PathBuf;
use std::time::Instant;

use api::ledger::LeafJson;
use api::text::FieldText;
use clap::Args;
use protocol::number::LeafIndex;
use protocol::state::LeafView;
use serde::Serialize;

use crate::base_layer::{self, ContractsArgs};
use crate::exit::{CliError, Exit, Outcome};
use crate::genesis_file;
use crate::output::{Output, pairs};

/// Arguments of `quorate base-layer rebuild`.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    /// Genesis file of the rollup
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Show this leaf too; repeat it for more
    #[arg(long = "leaf", value_name = "INDEX")]
    leaves: Vec<u32>,
}

/// What was rebuilt.
#[derive(Serialize)]
struct Rebuilt {
    /// Equal to the root that the Rollup holds, or the command fails.
    root: FieldText,
    leaf_count: u64,
    batches: u64,
    height: u64,
    inbox_count: u64,
    inbox_waiting: usize,
    operations: u64,
    published_bytes: u64,
    base_layer_block: u64,
    seconds: f64,
    leaves: Vec<LeafJson>,
}

/// Rebuilds and prints.
///
/// # Errors
/// The base layer's, or `Invalid` for a genesis or events that do not lead to the Rollup's root.
pub(super) async fn run(args: &RebuildArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let file = base_layer::load_deployment(&args.contracts.deployment)?;
    let layer = base_layer::connect(&args.contracts.base_layer, file.chain_id).await?;
    let started = Instant::now();
    let chain = base_layer::rebuilt(&*layer, &file, &genesis).await?;
    let leaves = args.leaves.iter().map(|index| {
        let leaf = chain.state.leaf(LeafIndex(*index)).ok_or_else(|| {
            let why = format!("there are {} leaves", chain.state.leaf_count());
            CliError::new(
                Exit::Invalid,
                format!("there is no leaf {index}"),
                why,
                "name another",
            )
        })?;
        Ok(LeafJson::new(LeafIndex(*index), &leaf, leaf.nonce))
    });
    let rebuilt = Rebuilt {
        root: chain.state.root().into(),
        leaf_count: chain.state.leaf_count(),
        batches: chain.batches,
        height: chain.height.0,
        inbox_count: chain.inbox_count,
        inbox_waiting: chain.waiting.len(),
        operations: chain.operations,
        published_bytes: chain.published_bytes,
        base_layer_block: chain.block,
        leaves: leaves.collect::<Result<_, CliError>>()?,
        seconds: started.elapsed().as_secs_f64(),
    };
    output.data(&rebuilt, |rebuilt| {
        let mut rows = vec![
            ("root", format!("{}, as the Rollup holds", rebuilt.root)),
            ("leaves", rebuilt.leaf_count.to_string()),
            ("batches", rebuilt.batches.to_string()),
            ("operations", rebuilt.operations.to_string()),
            ("published", format!("{} bytes", rebuilt.published_bytes)),
            (
                "inbox",
                format!(
                    "{} items consumed, {} wait",
                    rebuilt.inbox_count, rebuilt.inbox_waiting
                ),
            ),
            (
                "base layer",
                format!("to block {}", rebuilt.base_layer_block),
            ),
            ("took", format!("{:.2} s", rebuilt.seconds)),
        ];
        rows.extend(rebuilt.leaves.iter().map(|leaf| {
            (
                "leaf",
                format!(
                    "{}: {} of token {}, nonce {}",
                    leaf.index, leaf.balance, leaf.token, leaf.nonce
                ),
            )
        }));
        pairs(&rows)
    });
    Ok(Exit::Success)
}
