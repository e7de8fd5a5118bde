//! The receipt of one operation: every stage it has reached with its evidence, and every tier with who vouches for it, how long
//! it took, and what could still revert it.

use api::{
    error::{ApiError, ErrorCode},
    operation::Verdict,
    preconfirmation::PreconfirmationJson,
    set::SetWeights,
    status::{Evidence, Failure, Stage, StageReached, Tier, TierReached, TransactionStatus},
};
use protocol::{
    number::{BatchNumber, Height},
    transaction::TransactionId,
    validator::ValidatorSet,
};

use super::{
    answers::{certificate_json, place_json},
    public::{PublicApi, internal},
};
use crate::{
    soft::Told,
    storage::{StorageError, StoredBlock, TransactionRecord},
};

/// Stages and tiers as they are found.
#[derive(Default)]
struct Receipt {
    stages: Vec<StageReached>,
    tiers: Vec<TierReached>,
}

impl Receipt {
    fn stage(&mut self, stage: Stage, time_ms: u64, evidence: Evidence) {
        self.stages.push(StageReached {
            stage,
            time_ms,
            evidence,
        });
    }

    /// A tier reached at a time, certified by a set with this weight of signatures.
    fn tier(&mut self, tier: Tier, time_ms: u64, set: &ValidatorSet, signed: Option<u128>) {
        self.push(tier, time_ms, Some(SetWeights::new(set)), signed);
    }

    fn push(
        &mut self,
        tier: Tier,
        time_ms: u64,
        weights: Option<SetWeights>,
        signed: Option<u128>,
    ) {
        self.tiers.push(TierReached {
            tier,
            time_ms,
            since_received_ms: 0,
            since_previous_ms: 0,
            preconfirmation: None,
            weights,
            weight_signed: signed.map(|weight| u64::try_from(weight).unwrap_or(u64::MAX)),
            revertible_by: tier.revertible_by(weights.as_ref()),
        });
    }

    /// Puts the tiers in the order of time and says how long each took.
    fn finish(mut self, received_ms: u64) -> (Vec<StageReached>, Vec<TierReached>) {
        self.tiers.sort_by_key(|tier| tier.time_ms);
        let mut previous_ms = received_ms;
        for tier in &mut self.tiers {
            tier.since_received_ms = tier.time_ms.saturating_sub(received_ms);
            tier.since_previous_ms = tier.time_ms.saturating_sub(previous_ms);
            previous_ms = tier.time_ms;
        }
        (self.stages, self.tiers)
    }
}

/// In a soft block: the sentence says how much has signed it.
fn soft(told: &Told, receipt: &mut Receipt) {
    let evidence = Evidence::Soft {
        base_height: told.base_height.0,
        number: told.number,
        block: told.block.0.into(),
        weight_signed: told.weight_signed,
        weight_total: told.weights.total,
    };
    receipt.stage(Stage::Soft, told.time_ms, evidence);
    let signed = Some(u128::from(told.weight_signed));
    receipt.push(Tier::Soft, told.time_ms, Some(told.weights), signed);
    if let Some(tier) = receipt.tiers.last_mut() {
        let (signed, total) = (told.weight_signed, told.weights.total);
        let sentence = &tier.revertible_by;
        tier.revertible_by = format!("signed by {signed} of {total}; {sentence}");
    }
}

fn pending(time_ms: u64, receipt: &mut Receipt) {
    receipt.stage(Stage::Pending, time_ms, Evidence::Mempool);
    receipt.push(Tier::Pending, time_ms, None, None);
}

impl PublicApi {
    /// The status ladder of one operation.
    pub(super) fn status_of(&self, id: &TransactionId) -> Result<TransactionStatus, ApiError> {
        let record = self
            .shared
            .store
            .transaction(id)
            .map_err(|error| internal(&error))?;
        let mut receipt = Receipt::default();
        let mut failure = None;
        let mut received = 0;
        let stage = match record {
            None => match self.soft.told(id) {
                Some(told) => {
                    received = told.time_ms;
                    soft(&told, &mut receipt);
                    Stage::Soft
                }
                None => Stage::UnknownHere,
            },
            Some(TransactionRecord::Pending { received_ms, .. }) => {
                received = received_ms;
                pending(received_ms, &mut receipt);
                match self.soft.told(id) {
                    Some(told) => {
                        soft(&told, &mut receipt);
                        Stage::Soft
                    }
                    None => {
                        self.promised(id, &mut receipt);
                        Stage::Pending
                    }
                }
            }
            Some(TransactionRecord::Failed {
                received_ms,
                failed_ms,
                code,
                reason,
            }) => {
                received = received_ms;
                pending(received_ms, &mut receipt);
                let hint = ErrorCode::from_number(code)
                    .map_or("", ErrorCode::hint)
                    .to_owned();
                failure = Some(Failure {
                    time_ms: failed_ms,
                    verdict: Verdict { code, reason, hint },
                });
                Stage::Failed
            }
            Some(TransactionRecord::Ordered {
                received_ms,
                ordered_ms,
                height,
                place,
            }) => {
                received = received_ms;
                pending(received_ms, &mut receipt);
                self.ordered((height, place), ordered_ms, &mut receipt)?
            }
        };
        let (reached, tiers) = receipt.finish(received);
        let newest = tiers.iter().max_by_key(|tier| tier.tier);
        let newest = newest.filter(|_| stage != Stage::Failed);
        Ok(TransactionStatus {
            id: (*id).into(),
            stage,
            reached,
            revertible_by: match newest {
                Some(tier) => tier.revertible_by.clone(),
                None => self.revertible_by(stage)?,
            },
            tiers,
            failure,
        })
    }

    /// What the proposer of an open height has promised of the operation.
    fn promised(&self, id: &TransactionId, receipt: &mut Receipt) {
        let tip = self.shared.chain.view().tip.height;
        let heard = &self.exchange.executor().heard;
        let Some((promise, heard_ms)) = heard.of(id, tip) else {
            return;
        };
        receipt.push(Tier::Preconfirmed, heard_ms, None, None);
        if let Some(tier) = receipt.tiers.last_mut() {
            tier.preconfirmation = Some(PreconfirmationJson::from(&promise));
        }
    }

    /// What can still happen to an operation without a tier that says it.
    fn revertible_by(&self, stage: Stage) -> Result<String, ApiError> {
        if stage != Stage::UnknownHere {
            return Ok("nothing: sign the operation again".to_owned());
        }
        let history = self.shared.store.history();
        let from = history.map_err(|error| internal(&error))?.operations_from;
        Ok(if from > Height(1) {
            format!(
                "not seen here, where operations are recorded from height {from} on: another node may have it"
            )
        } else {
            "not seen here: another node may have it".to_owned()
        })
    }

    /// A decided block; `None` if it was pruned.
    fn stored_block(&self, height: Height) -> Result<Option<StoredBlock>, ApiError> {
        let store = &self.shared.store;
        let read = || -> Result<_, StorageError> {
            match store.block(height)? {
                Some(stored) => Ok(Some(stored)),
                None if height < store.first_height()? => Ok(None),
                None => Err(store.corrupt(format!("block {height} is missing"))),
            }
        };
        read().map_err(|error| internal(&error))
    }

    fn ordered(
        &self,
        (height, place): (Height, u32),
        ordered_ms: u64,
        receipt: &mut Receipt,
    ) -> Result<Stage, ApiError> {
        let set = self.set_of(height)?;
        match self.stored_block(height)? {
            Some(stored) => {
                let evidence = Evidence::Certificate {
                    height: height.0,
                    place,
                    block: stored.certificate.block.into(),
                    certificate: certificate_json(&stored.certificate),
                };
                let signers = stored.certificate.signatures.iter();
                let signed = signers.map(|one| set.weight_of(&one.validator)).sum();
                let timestamp_ms = stored.block.header.core.timestamp_ms;
                receipt.stage(Stage::Certified, timestamp_ms, evidence);
                receipt.tier(Tier::Certified, ordered_ms, &set, Some(signed));
            }
            None => {
                let height = height.0;
                let evidence = Evidence::Record { height, place };
                receipt.stage(Stage::Certified, ordered_ms, evidence);
                receipt.tier(Tier::Certified, ordered_ms, &set, None);
            }
        }
        let Some(batch) = self.batch_of(height)? else {
            return Ok(Stage::Certified);
        };
        self.checkpointed(batch.number, receipt)?;
        let standing = match &self.settling {
            Some(settling) => settling.standing(batch.number),
            None => Ok(None),
        };
        let standing = standing.map_err(|error| internal(&error))?;
        let mut stage = Stage::Certified;
        let mut on_base_layer = |stage, tier, place: &settlement::Place| {
            let evidence = Evidence::BaseLayer {
                batch: batch.number.0,
                place: place_json(place),
            };
            let time_ms = place.time.saturating_mul(1_000);
            receipt.stage(stage, time_ms, evidence);
            receipt.tier(tier, time_ms, &set, None);
            stage
        };
        if let Some(standing) = &standing {
            stage = on_base_layer(Stage::Committed, Tier::Committed, &standing.committed);
        }
        let finalized = standing.and_then(|standing| standing.final_proof());
        if let Some(place) = &finalized {
            stage = on_base_layer(Stage::Finalized, Tier::Finalized, place);
        }
        let Some(proven) = batch.proven else {
            return Ok(stage);
        };
        let evidence = Evidence::Bundle {
            batch: batch.number.0,
            hash: proven.bundle_hash.into(),
        };
        receipt.stage(Stage::Proven, proven.time_ms, evidence);
        receipt.tier(Tier::Proven, proven.time_ms, &set, None);
        receipt.stages.sort_by_key(|reached| reached.stage);
        Ok(stage.max(Stage::Proven))
    }

    fn checkpointed(&self, number: BatchNumber, receipt: &mut Receipt) -> Result<(), ApiError> {
        let record = self.shared.store.checkpoint_record(number);
        let Some(record) = record.map_err(|error| internal(&error))? else {
            return Ok(());
        };
        let set = self.set_of(record.checkpoint.commitment.last_height)?;
        let signed = record.checkpoint.signatures.weight(&set);
        receipt.tier(Tier::BatchCertified, record.time_ms, &set, Some(signed));
        Ok(())
    }
}
