//! `quorate base-layer deploy`: the contracts of a genesis on the embedded chain or any Ethereum node, from one key.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256, keccak256};
use clap::Args;
use serde::Serialize;
use settlement::BlockAt;
use settlement::deploy::{
    DeployError, DeployPace, Deployment, DeploymentConfig, DeploymentFile, DeploymentPlan, Timing,
    VerifierCode, VerifierConfig, deploy,
};

use crate::base_layer::{self, PayerArgs, layer_error};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, genesis_file, keys};

/// Arguments of `quorate base-layer deploy`.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// URL of a node of the base layer
    #[arg(long, value_name = "URL", default_value = base_layer::URL)]
    base_layer: String,
    /// Genesis file of the rollup; it names the Rollup that this key and nonce make
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// File to write the addresses to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    payer: PayerArgs,
    /// Nonce of the first transaction: the key's next one when the plan was made
    #[arg(long, value_name = "NONCE", default_value_t = 0)]
    first_nonce: u64,
    /// Who may announce verifiers and pause; the deployer without it
    #[arg(long, value_name = "ADDRESS")]
    governor: Option<Address>,
    /// Seconds after which an item must be in the next batch
    #[arg(long, value_name = "SECONDS")]
    overdue: Option<u64>,
    /// Seconds without a proof after which anybody may commit
    #[arg(long, value_name = "SECONDS")]
    enforced: Option<u64>,
    /// Seconds for a committed batch to be proven
    #[arg(long, value_name = "SECONDS")]
    proof_window: Option<u64>,
    /// Seconds that a proof takes at most
    #[arg(long, value_name = "SECONDS")]
    proof_time: Option<u64>,
    /// Seconds without a proof after which everybody leaves with what was proven last
    #[arg(long, value_name = "SECONDS")]
    desert: Option<u64>,
    /// Do not put the balances of genesis into the escrow
    #[arg(long)]
    unfunded: bool,
    /// Permit the insecure development string, on a development chain
    #[arg(long)]
    dev: bool,
}

/// What was deployed.
#[derive(Serialize)]
struct Deployed {
    file: PathBuf,
    deployer: Address,
    gas: u64,
    escrow_wei: String,
    #[serde(flatten)]
    contracts: DeploymentFile,
}

fn refused(error: DeployError) -> CliError {
    let what = "the contracts were not deployed";
    match error {
        DeployError::BaseLayer(error) => layer_error(what, &error),
        DeployError::NotIncluded { .. } | DeployError::AboveFeeLimit { .. } => CliError::new(
            Exit::Unavailable,
            what,
            error,
            "run the same command again: it goes on where it stopped",
        ),
        _ => CliError::new(
            Exit::Usage,
            what,
            error,
            "change the genesis or the arguments; nothing is repeated by a second run",
        ),
    }
}

/// The verifier that is committed with the circuits.
fn verifier(genesis: &protocol::genesis::Genesis) -> Result<VerifierConfig, CliError> {
    let broken = |error| {
        let what = "the verifier in this program is broken";
        CliError::new(Exit::Bug, what, error, "please report this")
    };
    let code = prover::solidity::final_verifier_code().map_err(broken)?;
    let key = prover::solidity::final_key_digest().map_err(broken)?;
    let inner = keys::accepted_digests(&genesis.reference_string)?;
    Ok(VerifierConfig {
        code: VerifierCode::Creation(code.into()),
        key_hash: B256::from(key),
        circuit_hash: keccak256(inner.concat()),
        reference_hash: keccak256(genesis.reference_string.as_bytes()),
        is_insecure: keys::is_insecure(&genesis.reference_string)?,
    })
}

/// Deploys and writes the file.
///
/// # Errors
/// `Usage` for a plan that contradicts itself or the chain, `Unavailable` if the chain does not answer or include.
pub(super) async fn run(args: &DeployArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    keys::check_allowed(&genesis, args.dev)?;
    let signer = args.payer.l1_key.signer()?;
    let suggested = DeploymentConfig::suggested(
        args.governor.unwrap_or_else(|| signer.address()),
        verifier(&genesis)?,
    );
    let least = suggested.timing;
    let fund_wei: U256 = genesis
        .leaves
        .iter()
        .filter(|leaf| leaf.token.0 == 0)
        .map(|leaf| U256::from(leaf.balance.get()))
        .sum();
    let config = DeploymentConfig {
        first_nonce: args.first_nonce,
        timing: Timing {
            overdue: args.overdue.unwrap_or(least.overdue),
            enforced: args.enforced.unwrap_or(least.enforced),
            proof_window: args.proof_window.unwrap_or(least.proof_window),
            proof_time: args.proof_time.unwrap_or(least.proof_time),
            desert: args.desert.unwrap_or(least.desert),
        },
        fund_wei: if args.unfunded { U256::ZERO } else { fund_wei },
        ..suggested
    };
    let plan = DeploymentPlan::new(&genesis, signer.address(), &config).map_err(refused)?;
    let layer = base_layer::connect(&args.base_layer, genesis.chain_id).await?;
    let unknown = |error| layer_error("the head of the base layer is not known", &error);
    let from = layer.header(BlockAt::Finalized).await.map_err(unknown)?;
    let first_block = existing(&args.out, plan.deployment())
        .unwrap_or_else(|| from.map_or(0, |header| header.number));
    let pace = DeployPace {
        poll: std::time::Duration::from_millis(250),
        polls: 1_200,
        fee_max_wei: u128::from(args.payer.fee_max).saturating_mul(1_000_000_000),
    };
    let deployment = deploy(&*layer, &signer, &plan, &pace)
        .await
        .map_err(refused)?;
    let contracts = DeploymentFile::new(genesis.chain_id, first_block, &deployment);
    let text = contracts.to_json().map_err(|error| {
        CliError::new(Exit::Bug, "no deployment file", error, "please report this")
    })?;
    files::replace(&args.out, text.as_bytes())?;
    let deployed = Deployed {
        file: args.out.clone(),
        deployer: signer.address(),
        gas: plan.transactions().map(|(_, gas)| gas).sum(),
        escrow_wei: config.fund_wei.to_string(),
        contracts,
    };
    output.data(&deployed, |deployed| {
        pairs(&[
            ("file", deployed.file.display().to_string()),
            ("chain", deployed.contracts.chain_id.to_string()),
            ("rollup", deployed.contracts.rollup.to_string()),
            ("inbox", deployed.contracts.inbox.to_string()),
            ("bridge", deployed.contracts.bridge.to_string()),
            ("escrow", format!("{} wei", deployed.escrow_wei)),
            ("gas", deployed.gas.to_string()),
            ("first block", deployed.contracts.first_block.to_string()),
        ])
    });
    Ok(Exit::Success)
}

/// The first block that an earlier run wrote down for the same contracts.
fn existing(path: &std::path::Path, deployment: &Deployment) -> Option<u64> {
    let file = base_layer::load_deployment(path).ok()?;
    (file.deployment() == *deployment).then_some(file.first_block)
}
