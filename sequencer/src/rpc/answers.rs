//! Answers: what is stored, in the interface's form.

use std::time::Duration;

use api::{
    error::{ApiError, ErrorCode},
    ledger::{
        BatchJob, BatchJson, BatchOnBaseLayer, BatchStage, BidJson, BlockJson, BundleJson,
        CertificateJson, CheckpointJson, EntryJson, OrderedOperation, SignatureJson,
    },
    set::SetWeights,
    status::{BaseLayerStatus, ChainInfo, FeeLeafInfo, NodeStatus, PlaceJson, RebuiltJson},
    text::{BytesText, HashText},
};
use protocol::{
    block::{Entry, Tip},
    certificate::ExtendedCertificate,
    codec::to_bytes,
    number::{Amount, BatchNumber, Epoch, Height},
    state::LeafView,
    transaction::SignedBid,
    validator::ValidatorSet,
};

use verifier::checkpoint::CheckpointFile;

use super::public::{PublicApi, internal};
use crate::{
    base_layer::BaseStanding,
    chain::now_ms,
    evidence::lineage,
    storage::{BatchRecord, JobRecord},
};

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl PublicApi {
    /// The set that certifies a height.
    pub(super) fn set_of(&self, height: Height) -> Result<ValidatorSet, ApiError> {
        let set = self.shared.store.office(Epoch::of(height));
        set.map_err(|error| internal(&error))
    }

    pub(super) fn batch_of(&self, height: Height) -> Result<Option<BatchRecord>, ApiError> {
        let store = &self.shared.store;
        let number = store
            .batch_of_block(height)
            .map_err(|error| internal(&error))?;
        number
            .map_or(Ok(None), |number| store.batch(number))
            .map_err(|error| internal(&error))
    }

    pub(super) fn block_json(&self, height: Option<Height>) -> Result<BlockJson, ApiError> {
        let height = height.unwrap_or_else(|| self.shared.chain.view().tip.height);
        let stored = self
            .shared
            .store
            .block(height)
            .map_err(|error| internal(&error))?;
        let Some(stored) = stored else {
            return Err(self.no_block(height));
        };
        let (header, payload) = (&stored.block.header, &stored.block.payload);
        let core = &header.core;
        let domain = &self.shared.chain.constants.domain;
        let inbox = payload.inbox.iter().map(|item| {
            let bytes: Vec<u8> = item.0.iter().flat_map(|word| word.0).collect();
            BytesText::from(bytes.as_slice())
        });
        Ok(BlockJson {
            height: core.height.0,
            id: header.id().into(),
            parent: core.parent.into(),
            timestamp_ms: core.timestamp_ms,
            author: core.author.into(),
            fee_leaves: core.fee_leaves.iter().map(|leaf| leaf.0).collect(),
            payload_root: core.payload_root.into(),
            state_root_before: core.state_root_before.into(),
            header: BytesText::from(to_bytes(header).as_slice()),
            bid: header.bid.as_ref().map(bid_json),
            certificate: certificate_json(&stored.certificate),
            inbox: inbox.collect(),
            entries: payload
                .entries
                .iter()
                .map(|entry| entry_json(entry, domain))
                .collect(),
            batch: self.batch_of(height)?.map(|batch| batch.number.0),
        })
    }

    /// Why there is no block of a height.
    fn no_block(&self, height: Height) -> ApiError {
        let history = match self.shared.store.history() {
            Ok(history) => history,
            Err(error) => return internal(&error),
        };
        if height.0 > 0 && height < history.blocks_from {
            let reason = format!(
                "block {height} lies before height {}, the first that this node has",
                history.blocks_from
            );
            return ApiError::new(ErrorCode::Pruned, reason);
        }
        ApiError::new(ErrorCode::UnknownBlock, format!("height {height}"))
    }

    pub(super) fn batch_json(&self, number: Option<BatchNumber>) -> Result<BatchJson, ApiError> {
        let store = &self.shared.store;
        let open = store.open_batch().map_err(|error| internal(&error))?;
        let number = number.unwrap_or(open.number);
        let unknown = || ApiError::new(ErrorCode::UnknownBatch, format!("batch {number}"));
        if number > open.number {
            return Err(unknown());
        }
        let history = store.history().map_err(|error| internal(&error))?;
        if number < history.batches_from && number.0 > 0 {
            let reason = format!(
                "batch {number} lies before batch {}, the first that this node has",
                history.batches_from
            );
            return Err(ApiError::new(ErrorCode::Pruned, reason));
        }
        // first, so that no job is told that the final proof has ended
        let last = store
            .final_proof(number)
            .map_err(|error| internal(&error))?;
        let jobs = store
            .jobs_of_batch(number)
            .map_err(|error| internal(&error))?;
        let jobs = jobs
            .iter()
            .map(|(id, job)| self.job_json(id, job))
            .collect();
        if number == open.number {
            let progress = self.shared.chain.open_progress();
            return Ok(BatchJson {
                number: number.0,
                stage: BatchStage::Open,
                first_height: open.first_height.0,
                last_height: None,
                root_before: open.root.into(),
                root_after: None,
                signed_operations: progress.signed_operations,
                published_bytes: progress.published_bytes,
                jobs,
                opened_ms: progress.opened_ms,
                sealed_ms: None,
                proven_ms: None,
                bundle_bytes: None,
                bundle_hash: None,
                base_layer: None,
                final_proof_ms: None,
            });
        }
        let batch = store
            .batch(number)
            .map_err(|error| internal(&error))?
            .ok_or_else(unknown)?;
        let stage = if batch.proven.is_some() {
            BatchStage::Proven
        } else {
            BatchStage::Sealed
        };
        Ok(BatchJson {
            number: number.0,
            stage,
            first_height: batch.first_height.0,
            last_height: Some(batch.last_height.0),
            root_before: batch.start.root.into(),
            root_after: Some(batch.end.root.into()),
            signed_operations: batch.end.counts.signed_operations,
            published_bytes: count(batch.words.len_bytes()),
            jobs,
            opened_ms: Some(batch.opened_ms),
            sealed_ms: Some(batch.sealed_ms),
            proven_ms: batch.proven.map(|proven| proven.time_ms),
            bundle_bytes: batch.proven.map(|proven| proven.bundle_bytes),
            bundle_hash: batch.proven.map(|proven| proven.bundle_hash.into()),
            base_layer: self.on_base_layer(number)?,
            final_proof_ms: last.map(|last| last.time_ms),
        })
    }

    /// Where a batch stands on the base layer.
    fn on_base_layer(&self, number: BatchNumber) -> Result<Option<BatchOnBaseLayer>, ApiError> {
        let Some(settling) = &self.settling else {
            return Ok(None);
        };
        let standing = settling.standing(number);
        let standing = standing.map_err(|error| internal(&error))?;
        Ok(standing.map(|standing| BatchOnBaseLayer {
            committed: place_json(&standing.committed),
            proven: standing.proven.as_ref().map(place_json),
            is_final: standing.final_proof().is_some(),
        }))
    }

    fn job_json(&self, id: &[u8; 32], job: &JobRecord) -> BatchJob {
        let progress = self.queue.progress(id);
        let (phase, percent) = match &progress {
            Some((_, phase, percent)) => (Some(phase.clone()), Some(*percent)),
            None => (None, None),
        };
        BatchJob {
            id: HashText::from(*id),
            kind: job.circuit.kind(),
            index: job.index,
            created_ms: job.created_ms,
            leased_ms: job.leased_ms,
            proven_ms: job.proven_ms,
            attempts: job.attempts,
            worker: job.worker.clone(),
            phase,
            percent,
        }
    }

    pub(super) fn bundle_json(&self, number: BatchNumber) -> Result<BundleJson, ApiError> {
        let store = &self.shared.store;
        if let Some(bytes) = store.bundle(number).map_err(|error| internal(&error))? {
            return Ok(BundleJson {
                number: number.0,
                bytes: BytesText::from(bytes.as_slice()),
            });
        }
        let stage = self.batch_json(Some(number))?.stage; // or UnknownBatch
        let reason = format!("batch {number} is {stage:?}").to_lowercase();
        Err(ApiError::new(ErrorCode::BundleNotReady, reason))
    }

    pub(super) fn checkpoint_json(&self, number: BatchNumber) -> Result<CheckpointJson, ApiError> {
        let store = &self.shared.store;
        let constants = &self.shared.chain.constants;
        let read = |error| internal(&error);
        let Some(checkpoint) = store.checkpoint(number).map_err(read)? else {
            let stage = self.batch_json(Some(number))?.stage; // or UnknownBatch
            let reason = format!("batch {number} is {stage:?}").to_lowercase();
            return Err(ApiError::new(ErrorCode::CheckpointNotReady, reason));
        };
        let epoch = checkpoint.commitment.epoch;
        let missing = || internal(&store.corrupt("a block at the end of an epoch is missing"));
        let lineage = lineage(store, constants, epoch).map_err(read)?;
        let file = CheckpointFile {
            lineage: lineage.ok_or_else(missing)?,
            checkpoint,
        };
        Ok(CheckpointJson {
            number: number.0,
            bytes: BytesText::from(file.encode().as_slice()),
        })
    }

    pub(super) fn chain_info(&self, fee_min: Amount, block_interval_ms: u64) -> ChainInfo {
        let chain = &self.shared.chain;
        let constants = &chain.constants;
        let view = chain.view();
        let fee_leaves = constants.fee_leaves.iter().filter_map(|index| {
            let token = view.leaf(index)?.token.0;
            Some(FeeLeafInfo {
                index: index.0,
                token,
            })
        });
        ChainInfo {
            chain_id: constants.chain_id,
            rollup: constants.rollup.into(),
            domain: constants.domain.0.into(),
            genesis_hash: constants.genesis_hash.into(),
            params_hash: constants.params_hash.into(),
            circuit_version: protocol::params::CIRCUIT_VERSION,
            reference_string: constants.reference_string.clone(),
            validators: constants
                .validators
                .validators()
                .iter()
                .map(Into::into)
                .collect(),
            fee_leaves: fee_leaves.collect(),
            fee_min: fee_min.into(),
            block_interval_ms,
            is_development: constants.is_development,
        }
    }

    pub(super) fn node_status(&self, uptime: Duration) -> Result<NodeStatus, ApiError> {
        let store = &self.shared.store;
        let open = store.open_batch().map_err(|error| internal(&error))?;
        let history = store.history().map_err(|error| internal(&error))?;
        let batch_proven = match self.queue.proven_up_to() {
            number if number >= history.batches_from.0 => number,
            // none that is here: what the database began with counts if it was proven
            _ => store.proven_up_to().map_err(|error| internal(&error))?,
        };
        let (jobs_queued, jobs_leased) = self.queue.counts();
        let (mempool_operations, mempool_bytes) = {
            let pool = self.shared.pool();
            (count(pool.len()), count(pool.bytes()))
        };
        let batch_certified = store
            .newest_checkpoint()
            .map_err(|error| internal(&error))?;
        let executor = self.exchange.executor();
        let standing = executor.observed.standing.get();
        let set = self.set_of(Height(executor.tip().height.0.saturating_add(1)))?;
        let weights = SetWeights::new(&set);
        let root = self.shared.chain.state().state.root();
        let view = self.shared.chain.view();
        Ok(NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            height: view.tip.height.0,
            block: view.tip.id.into(),
            timestamp_ms: view.tip.timestamp_ms,
            root: root.into(),
            leaf_count: count(view.leaves.len()),
            inbox_count: view.tip.inbox_count,
            base_layer: executor
                .base_layer
                .as_ref()
                .map(|part| base_layer_json(part.standing(), &view.tip)),
            mempool_operations,
            mempool_bytes,
            validators: u32::try_from(set.validators().len()).unwrap_or(u32::MAX),
            weight_total: weights.total,
            weight_faulty_max: weights.faulty_max,
            weight_quorum: weights.quorum,
            finality: self.soft.mode().into(),
            since_block_ms: now_ms().saturating_sub(view.tip.timestamp_ms),
            role: standing.role,
            observes_until: standing.observes_until.map(|height| height.0),
            round: standing
                .started
                .filter(|(height, _)| height.0 > view.tip.height.0)
                .map(|(_, round)| round.0),
            peers: count(self.exchange.peer_count()),
            batch_certified,
            blocks_from: history.blocks_from.0,
            rebuilt: self.rebuilt.map(|from| RebuiltJson {
                batch: from.batch.0,
                base_layer_block: from.base_layer_block,
            }),
            peers_keep_from: standing.peers_keep_from.map(|height| height.0),
            batch_open: open.number.0,
            batch_sealed: open.number.0.saturating_sub(1),
            batch_proven,
            jobs_queued,
            jobs_leased,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn base_layer_json(standing: BaseStanding, tip: &Tip) -> BaseLayerStatus {
    let BaseStanding {
        latest,
        safe,
        finalized,
        items,
        alarm,
        trouble,
    } = standing;
    BaseLayerStatus {
        latest,
        safe,
        finalized,
        origin: tip.l1_origin.number,
        inbox_items: items,
        alarm,
        trouble,
    }
}

fn entry_json(entry: &Entry, domain: &protocol::transaction::Domain) -> EntryJson {
    match entry {
        Entry::Submission {
            submission,
            fee_leaves,
        } => EntryJson::Submission {
            is_group: submission.is_group(),
            operations: submission
                .members()
                .iter()
                .zip(submission.ids(domain))
                .zip(fee_leaves)
                .map(|((member, id), fee_leaf)| OrderedOperation {
                    id: id.into(),
                    transaction: (&member.transaction).into(),
                    fee_leaf: *fee_leaf,
                })
                .collect(),
        },
        Entry::BidBurn(signed) => EntryJson::BidBurn {
            bid: bid_json(signed),
        },
    }
}

fn bid_json(signed: &SignedBid) -> BidJson {
    BidJson {
        leaf: signed.bid.leaf.0,
        height: signed.bid.height.0,
        value: signed.bid.value.into(),
        builder: signed.builder.into(),
    }
}

/// A place on the base layer.
pub(super) fn place_json(place: &settlement::Place) -> PlaceJson {
    PlaceJson {
        number: place.number,
        block: place.block.0.into(),
        transaction: place.transaction.0.into(),
    }
}

pub(super) fn certificate_json(certificate: &ExtendedCertificate) -> CertificateJson {
    let signatures = certificate.signatures.iter();
    CertificateJson {
        round: certificate.round.0,
        signatures: signatures
            .map(|one| SignatureJson {
                validator: one.validator.into(),
                signature: BytesText::from(&one.signature.0[..]),
            })
            .collect(),
    }
}
