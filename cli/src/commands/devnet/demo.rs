//! The demo's run: replay, wait for proofs, compare every balance, verify offline, report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use api::ledger::BatchJson;
use api::rpc::QuorateClient;
use api::status::Stage;
use api::text::HashText;
use protocol::account::Leaf;
use protocol::genesis::Genesis;
use protocol::number::LeafIndex;
use tokio_util::sync::CancellationToken;
use verifier::bundle::BUNDLE_BYTES_MAX;

use crate::commands::verify::{Proven, Verdict, describe, judge};
use crate::demo::agreement;
use crate::demo::figures::{Figures, Measured};
use crate::demo::ledger::settle;
use crate::demo::replay::{Replayed, replay};
use crate::demo::settlement::{SettledFigures, Settlement};
use crate::demo::watch;
use crate::demo::workload::{FRESH_RECIPIENTS, Holder, Workload};
use crate::development::Market;
use crate::exit::{CliError, Exit, Outcome};
use crate::node::Node;
use crate::output::Output;
use crate::process::PeakMemory;
use crate::{files, genesis_file};

/// What the demo works with.
pub(super) struct DemoPlan {
    pub(super) workload: Workload,
    pub(super) genesis: Genesis,
    /// Leaves of genesis before those of the workload.
    pub(super) fee_leaf_and_accounts: u32,
    pub(super) report: PathBuf,
    /// URLs of every node's RPC; workers prove for the first.
    pub(super) rpcs: Vec<String>,
    pub(super) started: Instant,
    pub(super) memory: PeakMemory,
    /// Leaves of builders, and of validators who sell their blocks.
    pub(super) market: Market,
    /// URLs of the builders' RPCs.
    pub(super) builders: Vec<String>,
    /// URL of the base layer's node and the deployment file, if there is one.
    pub(super) base_layer: Option<(String, PathBuf)>,
    /// Whether final proofs are made: then the demo waits for the base layer's finality.
    pub(super) aggregate: bool,
}

/// The first payments of the workload.
pub(super) fn workload(payments: u32) -> Result<Workload, CliError> {
    Workload::load(usize::try_from(payments).unwrap_or(usize::MAX)).map_err(|error| {
        CliError::new(
            Exit::Bug,
            "the carried transfers cannot be read",
            error,
            "please report it",
        )
    })
}

/// Runs the demo against nodes whose workers run; `stop` interrupts it.
pub(super) async fn run(plan: DemoPlan, stop: &CancellationToken, output: Output) -> Outcome {
    tokio::select! {
        ended = steps(&plan, output) => ended,
        () = stop.cancelled() => {
            let what = "the demo did not finish";
            Err(CliError::new(Exit::Unavailable, what, "it was asked to stop", "run it again: make demo"))
        }
    }
}

async fn steps(plan: &DemoPlan, output: Output) -> Outcome {
    let nodes = plan
        .rpcs
        .iter()
        .map(|rpc| Node::new(rpc))
        .collect::<Result<Vec<_>, _>>()?;
    let node = nodes
        .first()
        .ok_or_else(|| contradiction("there is no node"))?;
    wait_for_builders(node, &plan.builders).await?;
    let settlement = match &plan.base_layer {
        Some((url, deployment)) => Some(Settlement::connect(url, deployment).await?),
        None => None,
    };
    // The deposit opens the batch that the rest goes into.
    let mut entered = Vec::new();
    let mut withdrawal = None;
    if let Some(settlement) = &settlement {
        entered.push(settlement.deposit(node, output).await?);
        withdrawal = Some(settlement.withdraw(node, &plan.genesis).await?);
    }
    let count = plan.workload.payments.len();
    output.note(&format!(
        "replaying {count} payments of Ethereum mainnet through {}, {} of the recipients without a leaf",
        plan.rpcs.join(", "),
        plan.workload.fresh.len().min(FRESH_RECIPIENTS),
    ));
    let bar = output.progress(
        u64::try_from(count).unwrap_or(u64::MAX),
        "ordered and certified",
    );
    let replayed = replay(&nodes, &plan.workload, plan.fee_leaf_and_accounts, || {
        bar.inc(1)
    })
    .await?;
    bar.finish();
    output.note(&format!(
        "all {count} payments are certified after {:.1} s; proving",
        replayed.elapsed.as_secs_f64()
    ));

    let ids: Vec<HashText> = replayed.ids.iter().chain(&withdrawal).cloned().collect();
    let mut heights = watch::heights(node, &ids).await?;
    heights.extend(entered);
    let last = heights.last().copied().unwrap_or(0);
    agreement::same_blocks(&nodes, last).await?;
    if nodes.len() > 1 {
        output.note(&format!(
            "all {} nodes hold the same block at every height to {last}",
            nodes.len()
        ));
    }
    let batches = watch::proven(node, &heights, output).await?;
    check_stages(node, &replayed).await?;
    check_balances(node, plan, &replayed).await?;
    output.note("every payment is proven, and every balance is what plain arithmetic says");

    let genesis_path = plan.report.join("demo-genesis.json");
    files::replace(
        &genesis_path,
        genesis_file::to_text(&plan.genesis).as_bytes(),
    )?;
    let mut verdicts = Vec::new();
    let mut largest: Option<(u64, PathBuf)> = None;
    for batch in &batches {
        let (path, proven) = fetch_and_verify(node, plan, batch).await?;
        let operations = proven.signed_operations();
        if largest.as_ref().is_none_or(|(most, _)| operations > *most) {
            largest = Some((operations, path));
        }
        verdicts.push(proven);
    }
    let (_, bundle) = largest.ok_or_else(|| contradiction("no batch was proven"))?;
    let sold = sold(node, &batches).await?;
    if !plan.market.builders.is_empty() {
        output.note(&format!("{sold} blocks were bought from builders, unseen"));
    }
    let withdrawals = usize::from(withdrawal.is_some());
    check_counts(&verdicts, count + sold + withdrawals)?;
    check_with_the_command(&[&genesis_path, &bundle])?;
    let settled = match (&settlement, &withdrawal) {
        (Some(settlement), Some(id)) => {
            Some(settlement.settle(node, id, plan.aggregate, output).await?)
        }
        _ => None,
    };
    if let (Some(settlement), Some(settled), true) = (&settlement, &settled, plan.aggregate) {
        let path = plan.report.join("demo.finality");
        let block = settlement
            .write_finality(&plan.genesis, settled.batch, &path)
            .await?;
        let block = block.to_string();
        let trusted = [Path::new("--trusted-block"), Path::new(&block)];
        check_with_the_command(&[&genesis_path, trusted[0], trusted[1], &path])?;
        output.note(&format!(
            "finality shown offline:\n  quorate verify --dev --genesis {} --trusted-block {block} {}",
            genesis_path.display(),
            path.display()
        ));
    }
    let batches = match settled {
        Some(_) => watch::again(node, &batches).await?,
        None => batches,
    };
    report(
        plan,
        settled,
        &replayed,
        &batches,
        &verdicts,
        (bundle, &genesis_path),
        output,
    )
}

/// Builders sell only blocks that they have followed the chain to.
async fn wait_for_builders(node: &Node, builders: &[String]) -> Result<(), CliError> {
    let builders = builders.iter().map(|rpc| Node::new(rpc));
    let builders: Vec<Node> = builders.collect::<Result<_, _>>()?;
    let status = node.client.status().await;
    let status = status.map_err(|error| node.error("asking for the height", error))?;
    agreement::reached(&builders, status.height + 2).await
}

/// Every payment must be proven by its own status, too.
async fn check_stages(node: &Node, replayed: &Replayed) -> Result<(), CliError> {
    for id in &replayed.ids {
        let status = node.transaction(id).await?;
        if !status.reached.iter().any(|one| one.stage == Stage::Proven) {
            return Err(contradiction(&format!(
                "payment {id} is {:?} in a proven batch",
                status.stage
            )));
        }
    }
    Ok(())
}

/// Compares every leaf with the ledger, each with the Merkle path that the node gives.
async fn check_balances(node: &Node, plan: &DemoPlan, replayed: &Replayed) -> Result<(), CliError> {
    let ledger = settle(&plan.workload);
    let mut indices = plan.workload.indices(plan.fee_leaf_and_accounts);
    indices.extend(
        replayed
            .created
            .iter()
            .map(|(holder, index)| (*holder, *index)),
    );
    check_fees(node, plan, ledger.collected).await?;
    let holders = ledger.balances.iter().map(|(holder, balance)| {
        let Holder { token, .. } = holder;
        indices
            .get(holder)
            .map(|index| (*index, *balance, *token))
            .ok_or(holder)
    });
    for expected in holders {
        let (index, balance, token) =
            expected.map_err(|holder| contradiction(&format!("{holder:?} has no leaf")))?;
        let leaf = leaf(node, index).await?;
        if (leaf.balance.get(), leaf.token) != (balance, token) {
            let why = format!(
                "leaf {index} holds {} and must hold {balance}",
                leaf.balance
            );
            return Err(contradiction(&why));
        }
    }
    Ok(())
}

/// A leaf whose Merkle path the node has shown.
async fn leaf(node: &Node, index: LeafIndex) -> Result<Leaf, CliError> {
    let proof = node.client.leaf(index.0).await;
    let proof = proof.map_err(|error| node.error("asking for a leaf", error))?;
    let leaf = proof.verify();
    leaf.map_err(|error| CliError::refused("checking a leaf's path", &error))
}

/// What was collected lies in the fee leaf, or went through the market: to builders as fees, from them to validators.
async fn check_fees(node: &Node, plan: &DemoPlan, collected: u128) -> Result<(), CliError> {
    let Market {
        bid_leaves,
        builders,
    } = &plan.market;
    let builders = builders
        .iter()
        .flat_map(|(collateral, fees)| [*collateral, *fees]);
    let (mut before, mut after) = (0, 0);
    for index in std::iter::once(LeafIndex(0))
        .chain(bid_leaves.iter().copied())
        .chain(builders)
    {
        let place = usize::try_from(index.0).unwrap_or(usize::MAX);
        let genesis = plan.genesis.leaves.get(place);
        before += genesis.map_or(0, |leaf| leaf.balance.get());
        after += leaf(node, index).await?.balance.get();
    }
    if after == before + collected {
        return Ok(());
    }
    let must = before + collected;
    let why = format!("fee leaves and the market hold {after} and must hold {must}");
    Err(contradiction(&why))
}

/// Blocks of these batches that were bought from a builder.
async fn sold(node: &Node, batches: &[BatchJson]) -> Result<usize, CliError> {
    let mut sold = 0;
    for batch in batches {
        for height in batch.first_height..=batch.last_height.unwrap_or(batch.first_height) {
            let block = node.client.block(Some(height)).await;
            let block = block.map_err(|error| node.error("asking for a block", error))?;
            sold += usize::from(block.bid.is_some());
        }
    }
    Ok(sold)
}

/// Fetches a bundle by RPC, keeps it as a file, reads the file and verifies it as `quorate verify` does.
async fn fetch_and_verify(
    node: &Node,
    plan: &DemoPlan,
    batch: &BatchJson,
) -> Result<(PathBuf, Proven), CliError> {
    let bundle = node.client.bundle(batch.number).await;
    let bundle = bundle.map_err(|error| node.error("fetching a bundle", error))?;
    let bytes = bundle
        .bytes
        .parse()
        .map_err(|error| CliError::refused("reading a bundle", &error))?;
    let path = plan
        .report
        .join(format!("demo-batch-{}.bundle", batch.number));
    files::replace(&path, &bytes)?;
    let bytes = files::read(&path, BUNDLE_BYTES_MAX)?;
    match judge(&bytes, Some(&plan.genesis), true) {
        Verdict::Valid(proven) => Ok((path, *proven)),
        Verdict::Invalid {
            exit_code, reason, ..
        } => {
            let what = format!("the bundle of batch {} does not verify", batch.number);
            let todo = "please report it, with the file";
            Err(CliError::new(
                Exit::from_code(exit_code),
                what,
                reason,
                todo,
            ))
        }
    }
}

/// The proofs must cover exactly the payments, and the payment of every bid.
fn check_counts(verdicts: &[Proven], payments: usize) -> Result<(), CliError> {
    let proven: u64 = verdicts.iter().map(Proven::signed_operations).sum();
    if u64::try_from(payments) == Ok(proven) {
        return Ok(());
    }
    Err(contradiction(&format!(
        "{payments} payments, those of bids among them, were sent and {proven} operations are proven"
    )))
}

/// Runs the command that the report names, in a process of its own.
fn check_with_the_command(arguments: &[&Path]) -> Result<(), CliError> {
    let failed = |why: String| {
        CliError::new(
            Exit::Invalid,
            "quorate verify does not accept the bundle",
            why,
            "please report it, with the file",
        )
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let output = std::process::Command::new(program)
        .args(["verify", "--dev", "--genesis"])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn report(
    plan: &DemoPlan,
    settled: Option<SettledFigures>,
    replayed: &Replayed,
    batches: &[BatchJson],
    verdicts: &[Proven],
    (bundle, genesis): (PathBuf, &Path),
    output: Output,
) -> Outcome {
    let measured = Measured {
        payments: plan.workload.payments.len(),
        ordered_seconds: replayed.elapsed.as_secs_f64(),
        peak_memory_mb: plan.memory.mb(),
        total_seconds: plan.started.elapsed().as_secs_f64(),
        bundle: bundle.clone(),
        settled,
    };
    let figures = Figures::new(measured, batches, verdicts);
    let mut text = serde_json::to_string_pretty(&figures).expect("numbers and a path");
    text.push('\n');
    let path = plan.report.join("demo.json");
    files::replace(&path, text.as_bytes())?;
    if !output.is_json() {
        for proven in verdicts {
            output.note(&describe(&Verdict::Valid(Box::new(proven.clone()))));
        }
    }
    output.data(&figures, |figures| {
        let program = std::env::args().next().unwrap_or_else(|| "quorate".to_owned());
        format!(
            "{}the same figures: {}\nverify it yourself, offline:\n  {program} verify --dev --genesis {} {}\n",
            figures.to_table(),
            path.display(),
            genesis.display(),
            bundle.display(),
        )
    });
    Ok(Exit::Success)
}

fn contradiction(why: &str) -> CliError {
    CliError::new(
        Exit::Bug,
        "the demo's results contradict each other",
        why,
        "please report it, with the log",
    )
}
