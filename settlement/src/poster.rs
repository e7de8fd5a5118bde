//! Posts a rollup's batches: commits what validators certified, proves what was proven, hands epochs over.
//!
//! A *duty* is a transaction that the chain lacks. Each step looks at the contracts in the state of one block, works
//! out which duties are due, tries each there by a call, and gives what would succeed to the [`Submitter`]. Nothing is
//! due twice: what is on its way, or stands there already whoever posted it, is no duty.
//!
//! Invariants: batches are committed and proven in order; what a contract refuses is never paid for, unless another's
//! transaction comes first in the same block; duties are stored with their flights before anything is sent, so a crash
//! repeats no transaction. In Desert nothing is posted. It signs no batch, makes no proof and keeps no clock.
//!
//! Source: `protocol.md`, "Commit and prove"; ADR 0018, "What Rust must provide".

mod duty;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use protocol::checkpoint::Checkpoint;
use protocol::handover::Handover;
use protocol::validator::ValidatorSet;
use protocol::words::Words;
use serde::{Deserialize, Serialize};

use crate::base_layer::{BaseLayer, BaseLayerError, Call};
use crate::bindings::{BindingError, Rollup, ValidatorRegistry, view};
use crate::deploy::Deployment;
use crate::ladder::Ladder;
use crate::signer::TransactionSigner;
use crate::submitter::{
    Flight, FlightId, Intent, Progress, Submitter, SubmitterConfig, SubmitterError,
};

pub use duty::Duty;

/// A certified batch.
#[derive(Clone, Debug)]
pub struct CertifiedBatch {
    /// What was signed, and the signatures.
    pub checkpoint: Checkpoint,
    /// What is published.
    pub words: Words,
    /// The set of the commitment's epoch.
    pub set: ValidatorSet,
}

/// The final proof of a batch.
#[derive(Clone, Debug)]
pub struct FinalProof {
    /// The prover that the proof names, who is paid.
    pub prover: Address,
    /// Limbs of the accumulator and proof, as the contract takes them.
    pub proof: Bytes,
}

/// Why the owner of batches cannot say.
#[derive(Debug, thiserror::Error)]
#[error("the store of batches failed: {0}")]
pub struct SourceError(#[from] pub Box<dyn Error + Send + Sync>);

/// Whoever has the batches.
pub trait BatchSource: Send + Sync {
    /// A batch that more than two thirds of its validators signed.
    ///
    /// # Errors
    /// The store's.
    fn certified(&self, batch: u64) -> Result<Option<CertifiedBatch>, SourceError>;

    /// The final proof of a batch.
    ///
    /// # Errors
    /// The store's.
    fn final_proof(&self, batch: u64) -> Result<Option<FinalProof>, SourceError>;

    /// A decided block of an epoch, and the set of that epoch.
    ///
    /// # Errors
    /// The store's.
    fn handover(&self, epoch: u64) -> Result<Option<(Handover, ValidatorSet)>, SourceError>;

    /// Stores what is on its way, before it is sent.
    ///
    /// # Errors
    /// The store's; nothing is sent then.
    fn save(&self, flights: &PostedFlights) -> Result<(), SourceError>;
}

/// What is on its way, for the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostedFlights {
    /// Why each flight was begun.
    pub duties: BTreeMap<FlightId, Duty>,
    /// The flights.
    pub flights: BTreeMap<FlightId, Flight>,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PosterError {
    /// The base layer or a contract.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// Sending.
    #[error(transparent)]
    Submitter(#[from] SubmitterError),
    /// The owner of batches.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<BaseLayerError> for PosterError {
    fn from(error: BaseLayerError) -> Self {
        Self::Binding(error.into())
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// A duty was given to the submitter.
    Begun(Duty),
    /// A contract refuses a duty now; the reason is its own.
    Refused(Duty, String),
    /// The submitter's news of a duty.
    Progress(Duty, Progress),
}

/// The contracts as they stand after one block.
struct Standing {
    block: B256,
    mode: u8,
    committed: u64,
    proven: u64,
}

/// The way of the registry to an epoch.
enum Handovers {
    /// It knows the epoch's set.
    None,
    /// This comes next.
    Next(Duty, Intent),
    /// The next is not known here.
    Missing,
}

/// Posts batches with one key.
pub struct Poster<S> {
    layer: Arc<dyn BaseLayer>,
    deployment: Deployment,
    source: S,
    submitter: Submitter,
    from: Address,
    duties: BTreeMap<FlightId, Duty>,
}

impl<S: BatchSource> Poster<S> {
    /// A poster with what was on its way when it last ran.
    #[must_use]
    pub fn resume(
        layer: Arc<dyn BaseLayer>,
        deployment: Deployment,
        (signer, config): (TransactionSigner, SubmitterConfig),
        source: S,
        stored: PostedFlights,
    ) -> Self {
        let from = signer.address();
        let PostedFlights { duties, flights } = stored;
        let submitter = Submitter::resume(Arc::clone(&layer), signer, config, flights);
        Self {
            layer,
            deployment,
            source,
            submitter,
            from,
            duties,
        }
    }

    /// Whose batches it posts.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Who pays.
    #[must_use]
    pub fn address(&self) -> Address {
        self.from
    }

    /// Looks at the contracts after `block`, begins what is due there, and moves what is on its way. `ladder` must stand
    /// at that block.
    ///
    /// # Errors
    /// [`PosterError`]; the next step goes on where this one stopped.
    pub async fn step(&mut self, block: B256, ladder: &Ladder) -> Result<Vec<Posted>, PosterError> {
        let mut done = self.advance().await?;
        let rollup = self.deployment.rollup;
        let standing = Standing {
            block,
            mode: view(&*self.layer, block, rollup, &Rollup::modeCall {}).await?,
            committed: view(&*self.layer, block, rollup, &Rollup::committedCountCall {}).await?,
            proven: view(&*self.layer, block, rollup, &Rollup::provenCountCall {}).await?,
        };
        let due = self.due(&standing, ladder).await?;
        let mut is_begun = false;
        for (duty, intent) in due {
            if self.is_on_its_way(duty) {
                continue;
            }
            match self.refusal(standing.block, &intent).await? {
                Some(reason) => done.push(Posted::Refused(duty, reason)),
                None => {
                    let flight = self.submitter.submit(intent).await?;
                    self.duties.insert(flight, duty);
                    done.push(Posted::Begun(duty));
                    is_begun = true;
                }
            }
        }
        if is_begun {
            done.extend(self.advance().await?);
        }
        Ok(done)
    }

    /// Stores, then moves, what is on its way.
    async fn advance(&mut self) -> Result<Vec<Posted>, PosterError> {
        self.save()?;
        let moved = self.submitter.advance().await;
        let news = match &moved {
            Ok(news) => news.as_slice(),
            Err(_) => &[],
        };
        let told: Vec<Posted> = news
            .iter()
            .filter_map(|step| {
                Some(Posted::Progress(
                    *self.duties.get(&step.flight())?,
                    step.clone(),
                ))
            })
            .collect();
        let flights = self.submitter.flights();
        self.duties.retain(|flight, _| flights.contains_key(flight));
        self.save()?;
        moved?;
        Ok(told)
    }

    fn save(&self) -> Result<(), SourceError> {
        self.source.save(&PostedFlights {
            duties: self.duties.clone(),
            flights: self.submitter.flights().clone(),
        })
    }

    /// Whether a transaction for this duty waits, or stands in a block and did it. One that reverted did not.
    fn is_on_its_way(&self, duty: Duty) -> bool {
        let flights = self.submitter.flights();
        self.duties.iter().any(|(flight, of)| {
            *of == duty
                && flights.get(flight).is_some_and(|flight| {
                    flight
                        .included
                        .as_ref()
                        .is_none_or(|receipt| receipt.succeeded)
                })
        })
    }

    /// What a contract says to a duty now, if it refuses it.
    async fn refusal(&self, block: B256, intent: &Intent) -> Result<Option<String>, PosterError> {
        let call = Call {
            from: self.from,
            to: intent.to.unwrap_or_default(),
            input: intent.input.clone(),
        };
        match self.layer.call(block, &call).await {
            Ok(_) => Ok(None),
            Err(BaseLayerError::Reverted { data }) => {
                let reason = crate::bindings::revert(&data);
                Ok(Some(reason.map_or_else(
                    || data.to_string(),
                    |reason| format!("{reason:?}"),
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn due(
        &self,
        standing: &Standing,
        ladder: &Ladder,
    ) -> Result<Vec<(Duty, Intent)>, PosterError> {
        let mut due = Vec::new();
        let rollup = self.deployment.rollup;
        let next = standing.committed + 1;
        let proving = standing.proven + 1;
        match standing.mode {
            duty::ACTIVE => {
                if let Some(batch) = self.source.certified(next)? {
                    let epoch = batch.checkpoint.commitment.epoch.0;
                    match self.handovers(standing.block, epoch).await? {
                        Handovers::None => {
                            due.push((Duty::Commit(next), duty::commit(rollup, &batch)?))
                        }
                        Handovers::Next(duty, intent) => due.push((duty, intent)),
                        Handovers::Missing => {}
                    }
                }
                if let (Some(batch), Some(proof)) =
                    (ladder.batch(proving), self.source.final_proof(proving)?)
                    && batch.proven.is_none()
                {
                    due.push((
                        Duty::Prove(proving),
                        duty::prove(rollup, &batch.stored, &proof),
                    ));
                }
            }
            duty::ENFORCED => {
                let certified = self.source.certified(proving)?;
                if let (Some(batch), Some(proof)) = (certified, self.source.final_proof(proving)?) {
                    let epoch = batch.checkpoint.commitment.epoch.0;
                    match self.handovers(standing.block, epoch).await? {
                        Handovers::None => {
                            let intent = duty::commit_and_prove(rollup, &batch, &proof)?;
                            due.push((Duty::CommitAndProve(proving), intent));
                        }
                        Handovers::Next(duty, intent) => due.push((duty, intent)),
                        Handovers::Missing => {}
                    }
                }
            }
            _ => {}
        }
        Ok(due)
    }

    /// What must be handed over before a certificate of this epoch is taken; the contract takes one after the other.
    async fn handovers(&self, block: B256, epoch: u64) -> Result<Handovers, PosterError> {
        let registry = self.deployment.validators;
        let mut first = epoch;
        while first > 0 {
            let call = ValidatorRegistry::epochsCall { epoch: first };
            if !view(&*self.layer, block, registry, &call)
                .await?
                .setHash
                .is_zero()
            {
                break;
            }
            first -= 1;
        }
        if first == epoch {
            return Ok(Handovers::None);
        }
        match self.source.handover(first)? {
            None => Ok(Handovers::Missing),
            Some((handover, set)) => {
                let intent = duty::hand_over(registry, &handover, &set)?;
                Ok(Handovers::Next(Duty::HandOver(first), intent))
            }
        }
    }
}

/// An intent without ether.
fn intent(to: Address, input: Bytes, gas_limit: u64) -> Intent {
    Intent {
        to: Some(to),
        input,
        value: U256::ZERO,
        gas_limit,
    }
}
