//! Puts the contracts on a base layer, from one key (docs/contracts.md, "Deployment").
//!
//! A plan fixes everything before anything is sent: the contracts name each other by addresses that follow from the deployer's
//! nonces, and the genesis of the rollup names the Rollup's. The plan is run in this process first (`deploy/rehearsal.rs`),
//! which tells the code that must stand at each address.
//!
//! Invariants:
//! - The same plan can be carried out again after a crash: each step has its own nonce, is skipped where its code stands, and
//!   nothing is sent with another nonce than the plan's.
//! - A deployment is returned only if the code at every address is the expected one, in the state of one block.
//! - An insecure reference string, whose proofs anybody can forge, is refused outside development chains.
//!
//! It does not wait until that block is final, registers no tokens, and funds the escrow of ETH alone.

mod artifact;
mod file;
mod plan;
mod rehearsal;

use std::time::Duration;

use alloy_consensus::{Header, Sealed, TxEip1559};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use protocol::genesis::GenesisError;

use crate::base_layer::{BaseLayer, BaseLayerError, BlockAt, Culprit, NonceAt, Rejection};
use crate::bindings::{BindingError, Bridge, view};
use crate::signer::{SignerError, TransactionSigner};

pub use artifact::VerifierCode;
pub use file::{DeploymentFile, DeploymentFileError};
use plan::Step;
pub use plan::{Deployment, DeploymentConfig, DeploymentPlan, Timing, VerifierConfig};

/// Why nothing, or not everything, was deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The base layer did not answer, or refused; its error says whose turn it is.
    #[error(transparent)]
    BaseLayer(#[from] BaseLayerError),
    /// The key does not sign for this chain.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A contract's answer that cannot be read.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// A genesis against the rules.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A plan for another chain.
    #[error("the genesis is for chain {genesis}, the base layer is chain {layer}")]
    OtherChain {
        /// Of the genesis.
        genesis: u64,
        /// Of the base layer.
        layer: u64,
    },
    /// A genesis that names another contract.
    #[error(
        "the genesis names Rollup {genesis}, this key and nonce make {foretold}; put that address into the genesis"
    )]
    OtherRollup {
        /// In the genesis.
        genesis: Address,
        /// What the deployment makes.
        foretold: Address,
    },
    /// Another key than the plan's.
    #[error("the plan is for deployer {plan}, the key is of {key}")]
    OtherDeployer {
        /// Of the plan.
        plan: Address,
        /// Of the key.
        key: Address,
    },
    /// A public secret outside development.
    #[error(
        "reference string {name:?} is INSECURE, anybody can forge its proofs: refused on chain {chain_id}"
    )]
    InsecureReference {
        /// Its name.
        name: String,
        /// The chain.
        chain_id: u64,
    },
    /// No verifier.
    #[error("the verifier has no code; pass the code generated from the final key")]
    EmptyVerifier,
    /// More code than a contract may have.
    #[error("the verifier has {0} bytes of code, a contract has at most 24576")]
    LongVerifier(usize),
    /// An artifact that does not parse: this program was built wrongly.
    #[error("artifact of {contract} is broken: {reason}; run `make contracts`")]
    Artifact {
        /// The contract.
        contract: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The rehearsal failed: nothing was sent.
    #[error("{step} would be refused: {reason}")]
    Refused {
        /// The step.
        step: &'static str,
        /// The contract's error.
        reason: String,
    },
    /// The key has not come to the step's nonce.
    #[error("{step} needs nonce {nonce}, the next of the key is {next}; plan from nonce {next}")]
    NonceGap {
        /// The step.
        step: &'static str,
        /// Its nonce.
        nonce: u64,
        /// The key's.
        next: u64,
    },
    /// The nonce was used for something else.
    #[error("nonce {nonce} of {step} was used for something else; plan anew from a later nonce")]
    NonceUsed {
        /// The step.
        step: &'static str,
        /// Its nonce.
        nonce: u64,
    },
    /// Another contract at the address.
    #[error("{step} has code {found} at {address}, expected is {expected}; do not use it")]
    OtherCode {
        /// The step.
        step: &'static str,
        /// Where.
        address: Address,
        /// Hash of the planned code.
        expected: B256,
        /// Hash of what is there.
        found: B256,
    },
    /// The escrow does not hold what genesis stands on.
    #[error("escrow of ETH is {found} wei, genesis needs {needed}; call Bridge.fund with the rest")]
    Unfunded {
        /// What genesis needs.
        needed: U256,
        /// What is there.
        found: U256,
    },
    /// Gas is too dear.
    #[error("inclusion costs {needed_wei} wei per gas, the limit is {limit_wei}; wait or raise it")]
    AboveFeeLimit {
        /// Base fee and tip.
        needed_wei: u128,
        /// The limit.
        limit_wei: u128,
    },
    /// No block took the step in time.
    #[error("{step} is in no block after {polls} looks; run again")]
    NotIncluded {
        /// The step.
        step: &'static str,
        /// How often was looked.
        polls: u32,
    },
}

/// How patiently a deployment waits, and what it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeployPace {
    /// Between looks at the chain.
    pub poll: Duration,
    /// Looks for each step.
    pub polls: u32,
    /// Wei per gas at most.
    pub fee_max_wei: u128,
}

/// Where a step stands.
enum Standing {
    Done,
    Due,
}

/// Carries out what is left of a plan, and returns the addresses when all is there.
///
/// # Errors
/// [`DeployError`]; what was done stays done, and the same plan goes on from there.
pub async fn deploy(
    layer: &dyn BaseLayer,
    signer: &TransactionSigner,
    plan: &DeploymentPlan,
    pace: &DeployPace,
) -> Result<Deployment, DeployError> {
    if signer.address() != plan.deployer() {
        return Err(DeployError::OtherDeployer {
            plan: plan.deployer(),
            key: signer.address(),
        });
    }
    plan.check_chain(layer)?;
    for step in plan.steps() {
        take(layer, signer, plan, step, pace).await?;
    }
    check_deployment(layer, plan, head(layer).await?.hash()).await
}

/// The addresses, if everything planned stands in the state after a block.
///
/// # Errors
/// [`DeployError::OtherCode`] or [`DeployError::Unfunded`] if not, or the base layer's.
pub async fn check_deployment(
    layer: &dyn BaseLayer,
    plan: &DeploymentPlan,
    block: B256,
) -> Result<Deployment, DeployError> {
    plan.check_chain(layer)?;
    for step in plan.steps() {
        let found = code_at(layer, block, step).await?;
        if found != step.code_hash {
            return Err(other_code(step, found));
        }
    }
    let deployment = *plan.deployment();
    let call = Bridge::escrowCall { token: 0 };
    let found = view(layer, block, deployment.bridge, &call).await?;
    if found < plan.fund_wei() {
        return Err(DeployError::Unfunded {
            needed: plan.fund_wei(),
            found,
        });
    }
    Ok(deployment)
}

/// Sends a step unless it is done, and waits until it is.
async fn take(
    layer: &dyn BaseLayer,
    signer: &TransactionSigner,
    plan: &DeploymentPlan,
    step: &Step,
    pace: &DeployPace,
) -> Result<(), DeployError> {
    let (mut is_sent, mut is_doubted) = (false, false);
    for _ in 0..pace.polls {
        let head = head(layer).await?;
        match standing(layer, plan, step, &head).await {
            Ok(Standing::Done) => return Ok(()),
            Ok(Standing::Due) if !is_sent => {
                send(layer, signer, step, pace).await?;
                is_sent = true;
                continue;
            }
            Ok(Standing::Due) => {}
            // a node may count a transaction of the block that it is making, and not have its contract yet: asked again
            Err(error) if !is_doubted && may_be_torn(&error) => is_doubted = true,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pace.poll).await;
    }
    Err(DeployError::NotIncluded {
        step: step.name,
        polls: pace.polls,
    })
}

/// Whether this may come of answers that were given before and after a block.
fn may_be_torn(error: &DeployError) -> bool {
    match error {
        DeployError::NonceUsed { .. } => true,
        DeployError::BaseLayer(error) => error.culprit() == Culprit::Node,
        _ => false,
    }
}

/// Whether a step is done in the state of the head, or its turn has come.
async fn standing(
    layer: &dyn BaseLayer,
    plan: &DeploymentPlan,
    step: &Step,
    head: &Sealed<Header>,
) -> Result<Standing, DeployError> {
    let nonce = NonceAt::Block(head.hash());
    let next = layer.nonce(plan.deployer(), nonce).await?;
    if next < step.nonce {
        return Err(DeployError::NonceGap {
            step: step.name,
            nonce: step.nonce,
            next,
        });
    }
    if next == step.nonce {
        // nothing is asked about its code: anvil's block 0 has accounts under a root that does not hold them
        return Ok(Standing::Due);
    }
    let found = code_at(layer, head.hash(), step).await?;
    if found == step.code_hash {
        Ok(Standing::Done)
    } else if found == Some(KECCAK256_EMPTY) {
        Err(DeployError::NonceUsed {
            step: step.name,
            nonce: step.nonce,
        })
    } else {
        Err(other_code(step, found))
    }
}

async fn send(
    layer: &dyn BaseLayer,
    signer: &TransactionSigner,
    step: &Step,
    pace: &DeployPace,
) -> Result<(), DeployError> {
    let fees = layer.fees().await?;
    let needed_wei = fees.base_fee_wei.saturating_add(fees.tip_wei);
    if needed_wei > pace.fee_max_wei {
        return Err(DeployError::AboveFeeLimit {
            needed_wei,
            limit_wei: pace.fee_max_wei,
        });
    }
    // Twice the base fee lasts for six full blocks.
    let fee_wei = needed_wei.saturating_add(fees.base_fee_wei);
    let fee_wei = fee_wei.min(pace.fee_max_wei);
    let signed = signer.sign(TxEip1559 {
        chain_id: layer.chain_id(),
        nonce: step.nonce,
        gas_limit: step.gas_limit,
        max_fee_per_gas: fee_wei,
        max_priority_fee_per_gas: fees.tip_wei.min(fee_wei),
        to: step.to,
        value: step.value,
        input: step.input.clone(),
        ..TxEip1559::default()
    })?;
    tracing::info!(step = step.name, address = ?step.creates, hash = %signed.hash, "deploying");
    match layer.send(&signed.raw).await {
        Ok(_) => Ok(()),
        // An earlier run has sent it; what the chain shows next decides.
        Err(BaseLayerError::Rejected(
            Rejection::ReplacementUnderpriced { .. } | Rejection::NonceTooLow { .. },
        )) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Hash of the code where a step makes a contract; none for a step that makes none.
async fn code_at(
    layer: &dyn BaseLayer,
    block: B256,
    step: &Step,
) -> Result<Option<B256>, DeployError> {
    match step.creates {
        Some(address) => {
            let proof = layer.proof(block, address, &[]).await?;
            Ok(Some(proof.account.code_hash))
        }
        None => Ok(None),
    }
}

fn other_code(step: &Step, found: Option<B256>) -> DeployError {
    DeployError::OtherCode {
        step: step.name,
        address: step.creates.unwrap_or_default(),
        expected: step.code_hash.unwrap_or_default(),
        found: found.unwrap_or_default(),
    }
}

async fn head(layer: &dyn BaseLayer) -> Result<Sealed<Header>, DeployError> {
    let at = BlockAt::Latest;
    let head = layer.header(at).await?;
    Ok(head.ok_or(BaseLayerError::UnknownBlock { at })?)
}

#[cfg(test)]
mod tests;
