//! `quorate outsider`: serves the inbox of a rollup whose operators are gone.
//!
//! It needs genesis, the deployment file and a node of the base layer; no node of the rollup, nobody's permission. It opens
//! Enforced mode when that is due, rebuilds the state from events, executes the next inbox items, proves that, and hands both to
//! the Rollup in one transaction. Who does it is paid the fees of the items. It does not order signed operations: those wait for
//! validators, or for their owners to force them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use circuits::aggregation::{BatchEnds, InnerProof};
use circuits::convert::to_circuit;
use clap::Args;
use protocol::codec::to_bytes;
use protocol::genesis::Genesis;
use prover::Prover;
use prover::aggregate::{Aggregator, BatchProofs};
use prover::progress::ignore_progress;
use prover::worker::JobProver;
use serde::Serialize;
use settlement::bindings::{BindingError, Rollup, l1_address, view};
use settlement::deploy::DeploymentFile;
use settlement::outsider::{OutsiderBatch, inbox_batch};
use settlement::{BaseLayer, BaseLayerError, Call};
use verifier::golden::CircuitName;

use crate::base_layer::{
    ContractsArgs, PayerArgs, binding_error, connect, head, intent, layer_error, load_deployment,
    rebuilt, transact,
};
use crate::exit::{CliError, Exit, Outcome};
use crate::node::block_on;
use crate::output::{Output, pairs};
use crate::{files, genesis_file, keys};

/// Gas of opening a mode at most.
const TRIGGER_GAS: u64 = 500_000;
/// Gas of committing and proving at most, the limit of one transaction (EIP-7825).
const SETTLE_GAS: u64 = 1 << 24;
/// Batches of one run at most: each takes a quarter of an hour.
const BATCHES_MAX: u32 = 64;

/// Arguments of `quorate outsider`.
#[derive(Debug, Args)]
pub(crate) struct OutsiderArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    #[command(flatten)]
    payer: PayerArgs,
    /// Genesis file of the rollup
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Who is rewarded [default: the payer]
    #[arg(long, value_name = "ADDRESS")]
    prover_id: Option<Address>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Permit the insecure development string, on a development chain
    #[arg(long)]
    dev: bool,
}

/// What one run did.
#[derive(Serialize)]
struct Served {
    /// Mode of the Rollup before.
    mode: &'static str,
    batches: Vec<ServedBatch>,
    /// Items that wait now.
    waiting: usize,
}

/// A batch that was settled, or would be.
#[derive(Serialize)]
struct ServedBatch {
    batch: u64,
    items: u64,
    transaction: Option<String>,
}

/// How the contracts stand.
struct Standing {
    layer: Arc<dyn BaseLayer>,
    file: DeploymentFile,
    genesis: Genesis,
}

fn unclear(error: &BindingError) -> CliError {
    binding_error("the contracts cannot be read", error)
}

impl Standing {
    async fn mode(&self) -> Result<u8, CliError> {
        let at = head(&*self.layer).await?;
        let mode = view(&*self.layer, at, self.file.rollup, &Rollup::modeCall {}).await;
        mode.map_err(|error| unclear(&error))
    }

    /// Whether the Rollup would open Enforced mode now.
    async fn is_due(&self, payer: Address) -> Result<bool, CliError> {
        let call = Call {
            from: payer,
            to: self.file.rollup,
            input: Rollup::triggerEnforcedCall {}.abi_encode().into(),
        };
        match self.layer.call(head(&*self.layer).await?, &call).await {
            Ok(_) => Ok(true),
            Err(BaseLayerError::Reverted { .. }) => Ok(false),
            Err(error) => Err(layer_error("the contracts cannot be read", &error)),
        }
    }

    async fn next_batch(&self) -> Result<(Option<OutsiderBatch>, usize), CliError> {
        let chain = rebuilt(&*self.layer, &self.file, &self.genesis).await?;
        let batch = inbox_batch(&chain, self.genesis.domain()).map_err(|error| {
            CliError::new(
                Exit::Bug,
                "an inbox item cannot be executed",
                error,
                "please report this",
            )
        })?;
        Ok((batch, chain.waiting.len()))
    }
}

/// Runs the command.
///
/// # Errors
/// `Invalid` in Desert, the base layer's, the prover's.
pub(crate) fn run(args: &OutsiderArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    keys::check_allowed(&genesis, args.dev)?;
    let file = load_deployment(&args.contracts.deployment)?;
    block_on(async {
        let layer = connect(&args.contracts.base_layer, file.chain_id).await?;
        let standing = Standing {
            layer,
            file,
            genesis,
        };
        let served = serve(args, &standing, output).await?;
        output.data(&served, |served| {
            let mut rows = vec![("mode", served.mode.to_owned())];
            rows.extend(served.batches.iter().map(|one| {
                let done = one.transaction.as_deref().unwrap_or("not sent");
                (
                    "batch",
                    format!("{}: {} items, {done}", one.batch, one.items),
                )
            }));
            rows.push(("waiting", served.waiting.to_string()));
            pairs(&rows)
        });
        Ok(Exit::Success)
    })
}

async fn serve(
    args: &OutsiderArgs,
    standing: &Standing,
    output: Output,
) -> Result<Served, CliError> {
    let payer = args.payer.l1_key.signer()?.address();
    let prover_id = args.prover_id.unwrap_or(payer);
    let mut served = Served {
        mode: "enforced",
        batches: Vec::new(),
        waiting: 0,
    };
    match standing.mode().await? {
        0 if !standing.is_due(payer).await? => {
            served.mode = "active";
            served.waiting = standing.next_batch().await?.1;
            output.note("the operators still have time: Enforced mode is not due");
            return Ok(served);
        }
        0 if args.dry_run => {
            served.mode = "active";
            output.note("Enforced mode is due, and would be opened first");
        }
        0 => {
            let input = Rollup::triggerEnforcedCall {}.abi_encode().into();
            let call = intent(standing.file.rollup, input, U256::ZERO, TRIGGER_GAS);
            let what = "Enforced mode was not opened";
            transact(&standing.layer, &args.payer, what, call).await?;
            output.note("Enforced mode is open: batches need no certificate");
        }
        1 => {}
        _ => {
            let todo = "leave with quorate wallet claim and the contract DesertExit";
            return Err(CliError::new(
                Exit::Invalid,
                "the rollup has ended",
                "it is in Desert",
                todo,
            ));
        }
    }
    let mut machine = None;
    for _ in 0..BATCHES_MAX {
        let (batch, waiting) = standing.next_batch().await?;
        served.waiting = waiting;
        let Some(batch) = batch else {
            break;
        };
        let items = batch
            .end
            .inbox_count
            .saturating_sub(batch.start.inbox_count);
        let number = batch.number.0;
        let mut one = ServedBatch {
            batch: number,
            items,
            transaction: None,
        };
        if args.dry_run {
            served.batches.push(one);
            break;
        }
        output.note(&format!(
            "proving batch {number} of {items} items; minutes and 6 GiB"
        ));
        let machine = match &mut machine {
            Some(machine) => machine,
            none => none.insert(Machine::load(args)?),
        };
        let proof = machine.prove(&batch, prover_id)?;
        let input = batch.commit_and_prove(prover_id, &proof);
        let call = intent(standing.file.rollup, input, U256::ZERO, SETTLE_GAS);
        let receipt = transact(
            &standing.layer,
            &args.payer,
            "the batch was not taken",
            call,
        )
        .await?;
        one.transaction = Some(receipt.transaction.to_string());
        served.batches.push(one);
        if standing.mode().await? != 1 {
            served.waiting = standing.next_batch().await?.1;
            output.note("nothing is overdue any more: the rollup is active again");
            break;
        }
    }
    Ok(served)
}

/// Everything that makes proofs.
struct Machine {
    prover: Prover,
    aggregator: Aggregator,
}

fn unproven(error: impl std::fmt::Display) -> CliError {
    let todo = "run quorate doctor; free memory and disk, and run the same command again";
    CliError::new(Exit::Unavailable, "the batch was not proven", error, todo)
}

impl Machine {
    fn load(args: &OutsiderArgs) -> Result<Self, CliError> {
        let cache = args.cache.clone().unwrap_or_else(files::cache);
        let cache: &Path = &cache;
        let kind = keys::string_kind(args.dev);
        let prover = Prover::load(cache, kind).map_err(unproven)?;
        let protocols =
            [CircuitName::Chunk, CircuitName::Data].map(|name| prover.inner_protocol(name));
        let [chunk, data] = protocols;
        let aggregator = Aggregator::load(cache, kind, (chunk, data)).map_err(unproven)?;
        Ok(Self { prover, aggregator })
    }

    /// The argument of the contract.
    fn prove(&self, batch: &OutsiderBatch, prover_id: Address) -> Result<Bytes, CliError> {
        let chunks = batch.chunks.iter().map(|chunk| {
            let inputs = chunk.public_inputs();
            self.inner(api::jobs::JobKind::Chunk, &to_bytes(chunk), &inputs)
        });
        let proofs = BatchProofs {
            chunks: chunks.collect::<Result<_, _>>()?,
            data: self.inner(
                api::jobs::JobKind::Data,
                &to_bytes(&batch.data),
                &batch.data.public_inputs(),
            )?,
            ends: BatchEnds {
                number: batch.number,
                start: batch.start,
                end: batch.end,
            },
        };
        let made = self
            .aggregator
            .aggregate(proofs, l1_address(prover_id), &ignore_progress);
        Ok(made.map_err(unproven)?.to_contract_bytes().into())
    }

    fn inner(
        &self,
        kind: api::jobs::JobKind,
        witness: &[u8],
        inputs: &[protocol::Fr],
    ) -> Result<InnerProof, CliError> {
        Ok(InnerProof {
            instance: inputs.iter().copied().map(to_circuit).collect(),
            proof: self
                .prover
                .prove(kind, witness, &ignore_progress)
                .map_err(unproven)?,
        })
    }
}
