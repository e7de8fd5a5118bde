//! Gets transactions of one key included, once each.
//!
//! An *intent* is a call that must happen; a *flight* is what became of it: a nonce, and the versions signed for that
//! nonce with rising fees, of which at most one can ever be included. `advance` looks at the chain and does what is
//! due: sends, sends again what the network lost, raises fees of what waits, and says what was included and what is
//! final.
//!
//! Invariants:
//! - One nonce, one intent: versions of a flight differ in fees alone, so an intent cannot happen twice. It gets another
//!   nonce only after a *final* block shows that its nonce was used by a transaction that is none of its versions.
//! - A version is recorded before it is sent. Whoever stores `flights()` after `submit` and after each `advance` and hands
//!   them to `resume` sends the same bytes after a crash, which is the same transaction.
//! - A flight ends when its block is final; until then a reorganisation brings it back, and it is sent again.
//! - Fees never rise above the configured limit; a flight that would need more waits and says so.
//!
//! It needs the key for itself: another program that signs with it costs nonces and time, not money twice. It keeps no time
//! (blocks are its clock) and writes nothing to disk.

mod flight;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed, TxEip1559};
use alloy_primitives::{Bytes, TxKind};

use crate::base_layer::{
    BaseLayer, BaseLayerError, BlockAt, Culprit, Fees, NonceAt, Receipt, Rejection,
};
use crate::signer::TransactionSigner;

use flight::FLIGHTS_MAX;
pub use flight::{Flight, FlightId, Intent, Progress, SubmitterConfig, SubmitterError, Version};

/// Versions of one flight: at an eighth more each time, the first fee times 40. Beyond it only sends again.
const VERSIONS_MAX: usize = 32;
/// A version costs this many eighths of the one before: above the tenth that pools ask for.
const BUMP_EIGHTHS: u128 = 9;

/// Gets transactions of one key included.
pub struct Submitter {
    layer: Arc<dyn BaseLayer>,
    signer: TransactionSigner,
    config: SubmitterConfig,
    flights: BTreeMap<FlightId, Flight>,
    next_id: FlightId,
}

/// What one look at the chain tells.
struct Sight {
    head: Sealed<Header>,
    finalized: Option<Sealed<Header>>,
    /// Our account's next nonce at the head.
    nonce: u64,
    /// The same at the finalized block.
    nonce_final: u64,
    fees: Fees,
}

impl Submitter {
    /// A submitter with the flights that were stored when it last ran; none at first.
    #[must_use]
    pub fn resume(
        layer: Arc<dyn BaseLayer>,
        signer: TransactionSigner,
        config: SubmitterConfig,
        flights: BTreeMap<FlightId, Flight>,
    ) -> Self {
        let next_id = flights.last_key_value().map_or(0, |(last, _)| last + 1);
        Self {
            layer,
            signer,
            config,
            flights,
            next_id,
        }
    }

    /// What is on its way; store it.
    #[must_use]
    pub fn flights(&self) -> &BTreeMap<FlightId, Flight> {
        &self.flights
    }

    /// Takes an intent and signs it. It is sent by the next `advance`, after the flight has been stored.
    ///
    /// # Errors
    /// [`SubmitterError::Full`], [`SubmitterError::AboveFeeLimit`], or the base layer's; nothing was taken then.
    pub async fn submit(&mut self, intent: Intent) -> Result<FlightId, SubmitterError> {
        if self.flights.len() >= FLIGHTS_MAX {
            return Err(SubmitterError::Full);
        }
        let sight = self.look().await?;
        let nonce = self.free_nonce(&sight);
        let version = self.sign(&intent, nonce, &sight, None)?;
        let flight = self.next_id;
        self.next_id += 1;
        let versions = version.into_iter().collect();
        self.flights.insert(
            flight,
            Flight {
                intent,
                nonce,
                versions,
                included: None,
            },
        );
        Ok(flight)
    }

    /// Looks at the chain and does what is due, lowest nonce first.
    ///
    /// # Errors
    /// The base layer's. What was done until then stays done, and calling again goes on.
    pub async fn advance(&mut self) -> Result<Vec<Progress>, SubmitterError> {
        let sight = self.look().await?;
        let mut order: Vec<(u64, FlightId)> = self
            .flights
            .iter()
            .map(|(id, flight)| (flight.nonce, *id))
            .collect();
        order.sort_unstable();
        let mut progress = Vec::new();
        for (_, id) in order {
            self.advance_one(id, &sight, &mut progress).await?;
        }
        Ok(progress)
    }

    async fn advance_one(
        &mut self,
        id: FlightId,
        sight: &Sight,
        progress: &mut Vec<Progress>,
    ) -> Result<(), SubmitterError> {
        let Some(mut flight) = self.flights.get(&id).cloned() else {
            return Ok(());
        };
        if let Some(receipt) = self.find(&flight).await? {
            let height = sight.finalized.as_ref().map(|header| header.number);
            if height.is_some_and(|height| receipt.block_number <= height) {
                self.flights.remove(&id);
                progress.push(Progress::Final {
                    flight: id,
                    receipt,
                });
            } else if flight.included.as_ref() != Some(&receipt) {
                flight.included = Some(receipt.clone());
                self.flights.insert(id, flight);
                progress.push(Progress::Included {
                    flight: id,
                    receipt,
                });
            }
            return Ok(());
        }
        if flight.included.take().is_some() {
            progress.push(Progress::Reverted { flight: id });
        }
        if flight.nonce < sight.nonce_final {
            // For certain none of our versions: they have no receipt, and their nonce is used for ever.
            flight.nonce = self.free_nonce(sight);
            flight.versions = self
                .sign(&flight.intent, flight.nonce, sight, None)?
                .into_iter()
                .collect();
            let nonce = flight.nonce;
            progress.push(Progress::Renumbered { flight: id, nonce });
        } else if flight.nonce < sight.nonce {
            // Used, but not for ever: the receipt may be late, or a reorganisation may free the nonce.
            self.flights.insert(id, flight);
            return Ok(());
        } else {
            self.bump_if_due(id, &mut flight, sight, progress)?;
        }
        let raw = flight.versions.last().map(|last| last.signed.raw.clone());
        // Recorded before it is sent.
        self.flights.insert(id, flight);
        match raw {
            Some(raw) => self.send(id, &raw).await,
            None => Ok(()),
        }
    }

    /// Signs a version with higher fees when the last has waited for too long.
    fn bump_if_due(
        &self,
        id: FlightId,
        flight: &mut Flight,
        sight: &Sight,
        progress: &mut Vec<Progress>,
    ) -> Result<(), SubmitterError> {
        let Some(last) = flight.versions.last() else {
            return Ok(());
        };
        let waited = sight.head.number.saturating_sub(last.signed_at);
        // A head that has gone back is no reason to pay more.
        if waited < self.config.patience_blocks || flight.versions.len() >= VERSIONS_MAX {
            return Ok(());
        }
        match self.sign(&flight.intent, flight.nonce, sight, Some(last))? {
            Some(version) => {
                let fee_wei = version.fee_wei;
                flight.versions.push(version);
                progress.push(Progress::Bumped {
                    flight: id,
                    fee_wei,
                });
            }
            None => {
                let fee_wei = last.fee_wei;
                progress.push(Progress::AtFeeLimit {
                    flight: id,
                    fee_wei,
                });
            }
        }
        Ok(())
    }

    /// Sends a version. The refusals that say that something else holds the nonce are answered by what the next look
    /// finds, so they are no errors.
    async fn send(&self, flight: FlightId, raw: &Bytes) -> Result<(), SubmitterError> {
        match self.layer.send(raw).await {
            Ok(_) => Ok(()),
            Err(BaseLayerError::Rejected(
                reason @ (Rejection::NonceTooLow { .. }
                | Rejection::NonceTooHigh { .. }
                | Rejection::ReplacementUnderpriced { .. }),
            )) => {
                tracing::debug!(flight, %reason, "version was not taken, the next look decides");
                Ok(())
            }
            Err(error) if error.culprit() == Culprit::Time => {
                tracing::debug!(flight, %error, "version was not taken now, it is sent again");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The receipt of whichever version was included.
    async fn find(&self, flight: &Flight) -> Result<Option<Receipt>, SubmitterError> {
        for version in flight.versions.iter().rev() {
            if let Some(receipt) = self.layer.receipt(version.signed.hash).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    async fn look(&self) -> Result<Sight, SubmitterError> {
        let at = BlockAt::Latest;
        let head = self.layer.header(at).await?;
        let head = head.ok_or(BaseLayerError::UnknownBlock { at })?;
        let finalized = self.layer.header(BlockAt::Finalized).await?;
        let address = self.signer.address();
        let nonce_at = async |header: &Sealed<Header>| {
            self.layer
                .nonce(address, NonceAt::Block(header.hash()))
                .await
        };
        let nonce = nonce_at(&head).await?;
        let nonce_final = match &finalized {
            Some(header) => nonce_at(header).await?,
            None => 0,
        };
        let fees = self.layer.fees().await?;
        Ok(Sight {
            head,
            finalized,
            nonce,
            nonce_final,
            fees,
        })
    }

    /// The lowest nonce that neither the chain nor a flight of ours has.
    fn free_nonce(&self, sight: &Sight) -> u64 {
        let taken = |nonce: u64| self.flights.values().any(|flight| flight.nonce == nonce);
        let limit = sight
            .nonce
            .saturating_add(u64::try_from(FLIGHTS_MAX).unwrap_or(u64::MAX));
        let free = (sight.nonce..=limit).find(|nonce| !taken(*nonce));
        free.unwrap_or(limit)
    }

    /// Signs with today's fees, and in place of `last` with an eighth more than that at least. `None` when that is above
    /// the limit.
    fn sign(
        &self,
        intent: &Intent,
        nonce: u64,
        sight: &Sight,
        last: Option<&Version>,
    ) -> Result<Option<Version>, SubmitterError> {
        let limit = self.config.fee_max_wei;
        let needed = sight.fees.base_fee_wei.saturating_add(sight.fees.tip_wei);
        let raised = |fee: u128| fee.saturating_mul(BUMP_EIGHTHS).div_ceil(8);
        // Twice the base fee lasts for six full blocks.
        let roomy = needed.saturating_add(sight.fees.base_fee_wei).min(limit);
        let (fee_wei, tip_wei) = match last {
            None if needed > limit => {
                return Err(SubmitterError::AboveFeeLimit {
                    needed_wei: needed,
                    limit_wei: limit,
                });
            }
            None => (roomy, sight.fees.tip_wei.min(roomy)),
            Some(last) => {
                let fee = roomy.max(raised(last.fee_wei));
                let tip = sight.fees.tip_wei.max(raised(last.tip_wei)).min(fee);
                if fee > limit {
                    return Ok(None);
                }
                (fee, tip)
            }
        };
        let signed = self.signer.sign(TxEip1559 {
            chain_id: self.layer.chain_id(),
            nonce,
            gas_limit: intent.gas_limit,
            max_fee_per_gas: fee_wei,
            max_priority_fee_per_gas: tip_wei,
            to: intent.to.map_or(TxKind::Create, TxKind::Call),
            value: intent.value,
            input: intent.input.clone(),
            ..TxEip1559::default()
        })?;
        Ok(Some(Version {
            signed,
            fee_wei,
            tip_wei,
            signed_at: sight.head.number,
        }))
    }
}

#[cfg(test)]
mod tests;
