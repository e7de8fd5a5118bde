//! `quorate base-layer deploy`: the contracts of a genesis on the embedded chain or any Ethereum node, from one key.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, U256, keccak256};
use clap::Args;
use protocol::genesis::Genesis;
use serde::Serialize;
use settlement::deploy::{
    DeployError, DeployPace, Deployment, DeploymentConfig, DeploymentFile, DeploymentPlan, Timing,
    VerifierCode, VerifierConfig, deploy,
};
use settlement::{BlockAt, TransactionSigner};

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
    #[command(flatten)]
    timing: TimingArgs,
    /// Do not put the balances of genesis into the escrow
    #[arg(long)]
    unfunded: bool,
    /// Permit the insecure development string, on a development chain
    #[arg(long)]
    dev: bool,
}

/// Deadlines of the contracts.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct TimingArgs {
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
}

impl TimingArgs {
    fn over(self, suggested: Timing) -> Timing {
        Timing {
            overdue: self.overdue.unwrap_or(suggested.overdue),
            enforced: self.enforced.unwrap_or(suggested.enforced),
            proof_window: self.proof_window.unwrap_or(suggested.proof_window),
            proof_time: self.proof_time.unwrap_or(suggested.proof_time),
            desert: self.desert.unwrap_or(suggested.desert),
        }
    }
}

/// What was deployed.
#[derive(Serialize)]
pub(crate) struct Deployed {
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
fn verifier(genesis: &Genesis) -> Result<VerifierConfig, CliError> {
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

/// How contracts are deployed.
pub(crate) struct DeployTerms {
    /// URL of a node of the base layer.
    pub(crate) url: String,
    /// File to write.
    pub(crate) out: PathBuf,
    /// Who pays, and from which nonce on.
    pub(crate) signer: TransactionSigner,
    pub(crate) first_nonce: u64,
    /// Gwei per gas at most.
    pub(crate) fee_max_gwei: u64,
    pub(crate) governor: Option<Address>,
    /// What is not named keeps its suggested value.
    pub(crate) timing: TimingArgs,
    /// Whether the balances of genesis are paid into the escrow.
    pub(crate) is_funded: bool,
}

impl DeployTerms {
    /// By the first development key, from its first transaction on.
    pub(crate) fn default_for(url: &str, out: &Path) -> Self {
        Self {
            url: url.to_owned(),
            out: out.to_owned(),
            signer: TransactionSigner::development(0).expect("there are ten keys"),
            first_nonce: 0,
            fee_max_gwei: 200,
            governor: None,
            timing: TimingArgs::default(),
            is_funded: true,
        }
    }
}

/// Deploys the contracts of a genesis and writes the file.
///
/// # Errors
/// `Usage` for a plan that contradicts itself or the chain, `Unavailable` if the chain does not answer or include.
pub(crate) async fn deploy_contracts(
    genesis: &Genesis,
    terms: &DeployTerms,
) -> Result<Deployed, CliError> {
    let deployer = terms.signer.address();
    let suggested =
        DeploymentConfig::suggested(terms.governor.unwrap_or(deployer), verifier(genesis)?);
    let ether = genesis.leaves.iter().filter(|leaf| leaf.token.0 == 0);
    let config = DeploymentConfig {
        first_nonce: terms.first_nonce,
        timing: terms.timing.over(suggested.timing),
        fund_wei: match terms.is_funded {
            true => ether.map(|leaf| U256::from(leaf.balance.get())).sum(),
            false => U256::ZERO,
        },
        ..suggested
    };
    let plan = DeploymentPlan::new(genesis, deployer, &config).map_err(refused)?;
    let layer = base_layer::connect(&terms.url, genesis.chain_id).await?;
    let unknown = |error| layer_error("the head of the base layer is not known", &error);
    let from = layer.header(BlockAt::Finalized).await.map_err(unknown)?;
    let after = from.map_or(1, |header| header.number.saturating_add(1));
    let first_block = existing(&terms.out, plan.deployment()).unwrap_or(after);
    let pace = DeployPace {
        poll: std::time::Duration::from_millis(250),
        polls: 1_200,
        fee_max_wei: u128::from(terms.fee_max_gwei).saturating_mul(1_000_000_000),
    };
    let deployment = deploy(&*layer, &terms.signer, &plan, &pace)
        .await
        .map_err(refused)?;
    let contracts = DeploymentFile::new(genesis.chain_id, first_block, &deployment);
    let text = contracts.to_json().map_err(|error| {
        CliError::new(Exit::Bug, "no deployment file", error, "please report this")
    })?;
    files::replace(&terms.out, text.as_bytes())?;
    Ok(Deployed {
        file: terms.out.clone(),
        deployer,
        gas: plan.transactions().map(|(_, gas)| gas).sum(),
        escrow_wei: config.fund_wei.to_string(),
        contracts,
    })
}

/// Deploys and says where.
///
/// # Errors
/// As [`deploy_contracts`].
pub(super) async fn run(args: &DeployArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    keys::check_allowed(&genesis, args.dev)?;
    let terms = DeployTerms {
        url: args.base_layer.clone(),
        out: args.out.clone(),
        signer: args.payer.l1_key.signer()?,
        first_nonce: args.first_nonce,
        fee_max_gwei: args.payer.fee_max,
        governor: args.governor,
        timing: args.timing,
        is_funded: !args.unfunded,
    };
    let deployed = deploy_contracts(&genesis, &terms).await?;
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
fn existing(path: &Path, deployment: &Deployment) -> Option<u64> {
    let file = base_layer::load_deployment(path).ok()?;
    (file.deployment() == *deployment).then_some(file.first_block)
}
