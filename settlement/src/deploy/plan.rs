//! What is deployed, with which arguments, and where it will stand.
//!
//! A plan is made from a genesis and parameters alone; it reads no chain. Which parameters contradict each other is for the
//! constructors, which the rehearsal runs.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolValue};
use protocol::genesis::Genesis;
use protocol::params::CIRCUIT_VERSION;

use super::artifact::{Contract, VerifierCode};
use super::{DeployError, rehearsal};
use crate::base_layer::BaseLayer;
use crate::bindings::{Bridge, address, integer};
use crate::embedded::TRANSACTION_GAS_MAX;

/// Deadlines in seconds, as `Timing` of contracts/src/Params.sol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// An item older than this at a batch's base-layer time must be in the batch.
    pub overdue: u64,
    /// Age of what waits that opens Enforced mode.
    pub enforced: u64,
    /// Age at which an unproven batch may be pruned.
    pub proof_window: u64,
    /// What committing and proving one batch takes an outsider.
    pub proof_time: u64,
    /// Age of what waits that opens Desert.
    pub desert: u64,
}

/// The verifier of the first circuit version, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierConfig {
    /// Its code.
    pub code: VerifierCode,
    /// Digest of the verifying key.
    pub key_hash: B256,
    /// Digest of the circuits' description.
    pub circuit_hash: B256,
    /// Digest of the reference string.
    pub reference_hash: B256,
    /// Whether the secret of the reference string is public.
    pub is_insecure: bool,
}

/// Parameters of a deployment (docs/contracts.md, "Parameters").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentConfig {
    /// Nonce of the deployer at which the first contract is made.
    pub first_nonce: u64,
    /// Who schedules, cancels and pauses.
    pub governor: Address,
    /// Seconds from scheduling to execution.
    pub delay_seconds: u64,
    /// Deadlines.
    pub timing: Timing,
    /// Seconds for which certificates of an epoch are taken after the next has begun.
    pub handover_seconds: u64,
    /// Seconds from leaving the set to payment.
    pub unbonding_seconds: u64,
    /// Least stake of a new validator, in gwei.
    pub stake_min_gwei: u64,
    /// Fee of an inbox item while the queue is nearly empty, in wei.
    pub fee_base_wei: u128,
    /// The verifier.
    pub verifier: VerifierConfig,
    /// Wei that the escrow of ETH gets at the end: what the balances of genesis stand on. Zero sends nothing.
    pub fund_wei: U256,
}

impl DeploymentConfig {
    /// The suggested parameters of docs/contracts.md, from the deployer's first nonce, without funds.
    #[must_use]
    pub fn suggested(governor: Address, verifier: VerifierConfig) -> Self {
        const HOUR: u64 = 3_600;
        const DAY: u64 = 24 * HOUR;
        Self {
            first_nonce: 0,
            governor,
            delay_seconds: 40 * DAY,
            timing: Timing {
                overdue: 6 * HOUR,
                enforced: DAY,
                proof_window: 12 * HOUR,
                proof_time: HOUR,
                desert: 7 * DAY,
            },
            handover_seconds: DAY,
            unbonding_seconds: 14 * DAY,
            stake_min_gwei: 32_000_000_000,
            fee_base_wei: 100_000_000_000_000,
            verifier,
            fund_wei: U256::ZERO,
        }
    }
}

/// Where the contracts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Poseidon of four inputs.
    pub poseidon: Address,
    /// The verifier of the first circuit version.
    pub verifier: Address,
    /// Announced calls and the pause.
    pub timelock: Address,
    /// The verifier of each circuit version.
    pub verifiers: Address,
    /// Stakes and sets.
    pub validators: Address,
    /// The chain of batches.
    pub rollup: Address,
    /// The money.
    pub bridge: Address,
    /// Operations that enter through the base layer.
    pub inbox: Address,
    /// Exits at the end.
    pub desert_exit: Address,
}

impl Deployment {
    /// Where a deployer's contracts will be, when the first has this nonce: the genesis names `rollup`.
    #[must_use]
    pub fn foretold(deployer: Address, first_nonce: u64) -> Self {
        let at = |place: u64| deployer.create(first_nonce.saturating_add(place));
        Self {
            poseidon: at(0),
            verifier: at(1),
            timelock: at(2),
            verifiers: at(3),
            validators: at(4),
            rollup: at(5),
            bridge: at(6),
            inbox: at(7),
            desert_exit: at(8),
        }
    }
}

/// One transaction of a plan.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) nonce: u64,
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) input: Bytes,
    /// The contract that it makes.
    pub(super) creates: Option<Address>,
    /// Hash of that contract's code, from the rehearsal.
    pub(super) code_hash: Option<B256>,
    /// What it cost in the rehearsal.
    pub(super) gas_used: u64,
    pub(super) gas_limit: u64,
}

/// A deployment before it happens.
#[derive(Clone, Debug)]
pub struct DeploymentPlan {
    chain_id: u64,
    deployer: Address,
    fund_wei: U256,
    deployment: Deployment,
    steps: Vec<Step>,
}

impl DeploymentPlan {
    /// Plans and rehearses the deployment of a rollup with this genesis by this key.
    ///
    /// # Errors
    /// [`DeployError`] of the genesis, the verifier, the reference string, or the constructor that refuses.
    pub fn new(
        genesis: &Genesis,
        deployer: Address,
        config: &DeploymentConfig,
    ) -> Result<Self, DeployError> {
        genesis.check()?;
        let name = &genesis.reference_string;
        let is_insecure = config.verifier.is_insecure || name.contains("development");
        if is_insecure && !genesis.is_development() {
            return Err(DeployError::InsecureReference {
                name: name.clone(),
                chain_id: genesis.chain_id,
            });
        }
        let deployment = Deployment::foretold(deployer, config.first_nonce);
        if address(genesis.rollup) != deployment.rollup {
            return Err(DeployError::OtherRollup {
                genesis: address(genesis.rollup),
                foretold: deployment.rollup,
            });
        }
        let mut steps = creations(genesis, config, &deployment)?;
        if !config.fund_wei.is_zero() {
            let call = Bridge::fundCall {
                token: 0,
                amount: config.fund_wei,
            };
            steps.push(Step {
                name: "Bridge.fund",
                to: TxKind::Call(deployment.bridge),
                value: config.fund_wei,
                input: call.abi_encode().into(),
                creates: None,
                ..empty_step()
            });
        }
        for (nonce, step) in (config.first_nonce..).zip(&mut steps) {
            step.nonce = nonce;
        }
        let rehearsed =
            rehearsal::rehearse(genesis.chain_id, deployer, config.first_nonce, &steps)?;
        for (step, done) in steps.iter_mut().zip(rehearsed) {
            step.code_hash = done.code_hash;
            step.gas_used = done.gas_used;
            // A quarter more, for chains that price something otherwise.
            let roomy = done.gas_used.saturating_add(done.gas_used / 4);
            step.gas_limit = roomy.min(TRANSACTION_GAS_MAX);
        }
        Ok(Self {
            chain_id: genesis.chain_id,
            deployer,
            fund_wei: config.fund_wei,
            deployment,
            steps,
        })
    }

    /// Whose key carries it out.
    #[must_use]
    pub fn deployer(&self) -> Address {
        self.deployer
    }

    /// Where the contracts will be.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Name and gas of each transaction, in order, as rehearsed.
    pub fn transactions(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.steps.iter().map(|step| (step.name, step.gas_used))
    }

    pub(super) fn fund_wei(&self) -> U256 {
        self.fund_wei
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn check_chain(&self, layer: &dyn BaseLayer) -> Result<(), DeployError> {
        if layer.chain_id() == self.chain_id {
            return Ok(());
        }
        Err(DeployError::OtherChain {
            genesis: self.chain_id,
            layer: layer.chain_id(),
        })
    }
}

/// The creations, in the order of docs/contracts.md. Nonces, hashes and gas come later.
fn creations(
    genesis: &Genesis,
    config: &DeploymentConfig,
    to: &Deployment,
) -> Result<Vec<Step>, DeployError> {
    let verifier = &config.verifier;
    let timing = &config.timing;
    let timelock = (config.governor, config.delay_seconds).abi_encode_params();
    let verifiers = (
        to.timelock,
        CIRCUIT_VERSION,
        to.verifier,
        verifier.key_hash,
        verifier.circuit_hash,
        verifier.reference_hash,
    );
    let validators = (
        to.rollup,
        B256::from(genesis.validators.hash()),
        config.handover_seconds,
        config.unbonding_seconds,
        config.stake_min_gwei,
    );
    let state = genesis.state();
    let rollup = (
        B256::from(genesis.params_hash()),
        integer(&state.root()),
        U256::from(state.leaf_count()),
        (
            timing.overdue,
            timing.enforced,
            timing.proof_window,
            timing.proof_time,
            timing.desert,
        ),
        to.inbox,
        to.validators,
        to.verifiers,
        to.timelock,
    );
    let bridge = (to.rollup, to.inbox, to.desert_exit).abi_encode_params();
    let inbox = (to.rollup, to.bridge, config.fee_base_wei).abi_encode_params();
    let desert = (to.rollup, to.inbox, to.bridge, to.poseidon).abi_encode_params();
    let make = |contract: Contract, arguments: &[u8], address: Address| {
        let input = contract.creation(arguments)?;
        Ok::<_, DeployError>(creation(contract.name(), input, address))
    };
    Ok(vec![
        make(Contract::Poseidon, &[], to.poseidon)?,
        creation("verifier", verifier.code.creation()?, to.verifier),
        make(Contract::Timelock, &timelock, to.timelock)?,
        make(
            Contract::VerifierRegistry,
            &verifiers.abi_encode_params(),
            to.verifiers,
        )?,
        make(
            Contract::ValidatorRegistry,
            &validators.abi_encode_params(),
            to.validators,
        )?,
        make(Contract::Rollup, &rollup.abi_encode_params(), to.rollup)?,
        make(Contract::Bridge, &bridge, to.bridge)?,
        make(Contract::Inbox, &inbox, to.inbox)?,
        make(Contract::DesertExit, &desert, to.desert_exit)?,
    ])
}

fn creation(name: &'static str, input: Bytes, address: Address) -> Step {
    Step {
        name,
        input,
        creates: Some(address),
        ..empty_step()
    }
}

/// A step that creates nothing yet.
fn empty_step() -> Step {
    Step {
        name: "",
        nonce: 0,
        to: TxKind::Create,
        value: U256::ZERO,
        input: Bytes::new(),
        creates: None,
        code_hash: None,
        gas_used: 0,
        gas_limit: 0,
    }
}
