//! The public interface: requests in, answers out.

use std::{sync::Arc, time::Instant};

use api::{
    error::{ApiError, ErrorCode},
    ledger::{
        BatchJson, BlockJson, BundleJson, CheckpointJson, LeafJson, LeafProofJson, PAGE_LIMIT_MAX,
        Page,
    },
    operation::{
        PointJson, SignedTransactionJson, SimulatedMember, SimulationJson, SimulationMember,
        parse_group,
    },
    preconfirmation::PreconfirmationJson,
    rpc::QuorateServer,
    set::{BidsJson, InclusionJson, ValidatorsJson},
    soft::SoftChainJson,
    status::{ChainInfo, NodeStatus, Stage, Topic, TransactionStatus},
    text::{AddressText, FieldText, HashText},
};
use jsonrpsee::{
    PendingSubscriptionSink,
    core::{RpcResult, SubscriptionResult, async_trait},
};
use protocol::{
    account::L1Address,
    number::{Amount, BatchNumber, Height, LeafIndex, TokenId},
    params::GROUP_MEMBERS_MAX,
    signature::{Point, Signature},
    state::LeafView,
    transaction::{SignedTransaction, Submission, TransactionId},
};
use tokio::sync::{mpsc, oneshot};

use super::subscriptions;
use crate::{
    builder::Exchange,
    config::NodeConfig,
    mempool::{Admission, AdmissionRequest, Origin, simulate},
    promises::Promises,
    proving::RocksQueue,
    settling::Settling,
    soft::Soft,
    storage::{RebuiltRecord, StorageError},
};

/// Entries of a page if the request does not say.
const PAGE_LIMIT: u32 = 100;

/// Everything the public interface reads, and the one channel it writes.
#[derive(Clone)]
pub(crate) struct PublicApi {
    pub(super) shared: Admission,
    pub(super) queue: Arc<RocksQueue>,
    /// The way to bids, to agreement and to what was seen of it.
    pub(super) exchange: Arc<Exchange>,
    pub(super) soft: Arc<Soft>,
    /// Address of this node's key.
    pub(super) address: L1Address,
    requests: mpsc::Sender<AdmissionRequest>,
    fee_min: Amount,
    block_interval_ms: u64,
    started: Instant,
    /// What a validator promises of its next block.
    promises: Option<Promises>,
    /// Batches on the base layer, if one is followed.
    pub(super) settling: Option<Arc<Settling>>,
    /// Where the state comes from, if there is no chain above it here.
    pub(super) rebuilt: Option<RebuiltRecord>,
}

impl PublicApi {
    pub(crate) fn new(
        config: &NodeConfig,
        shared: Admission,
        (queue, exchange, soft): (Arc<RocksQueue>, Arc<Exchange>, Arc<Soft>),
        requests: mpsc::Sender<AdmissionRequest>,
    ) -> Self {
        Self {
            shared,
            queue,
            exchange,
            soft,
            address: config.validator_key.address(),
            requests,
            fee_min: config.mempool.fee_min,
            block_interval_ms: u64::try_from(config.block_interval.as_millis()).unwrap_or(0),
            started: Instant::now(),
            promises: None,
            settling: None,
            rebuilt: None,
        }
    }

    /// The same for a node that proposes blocks and makes promises about them.
    pub(crate) fn promising(self, promises: Option<Promises>) -> Self {
        Self { promises, ..self }
    }

    /// The same for a node that follows a base layer.
    pub(crate) fn settling(self, settling: Option<Arc<Settling>>) -> Self {
        Self { settling, ..self }
    }

    /// The same for a node that serves this state and orders nothing.
    pub(crate) fn reading(self, rebuilt: RebuiltRecord) -> Self {
        let rebuilt = Some(rebuilt);
        Self { rebuilt, ..self }
    }

    /// The stage after which nothing more comes here.
    pub(super) fn last_stage(&self) -> Stage {
        match self.settling {
            Some(_) => Stage::Finalized,
            None => Stage::Proven,
        }
    }

    async fn admit(&self, submission: Submission) -> Result<Vec<TransactionId>, ApiError> {
        if let Some(from) = &self.rebuilt {
            let reason = format!(
                "this node serves the state after batch {} as the base layer proved it, and orders nothing",
                from.batch
            );
            return Err(ApiError::new(ErrorCode::Unavailable, reason));
        }
        let (reply, answer) = oneshot::channel();
        let origin = Origin::Sender;
        let request = AdmissionRequest {
            submission,
            origin,
            reply,
        };
        let is_full = || {
            ApiError::new(
                ErrorCode::Unavailable,
                "too many requests wait for admission",
            )
        };
        self.requests.try_send(request).map_err(|_| is_full())?;
        let stopped = || ApiError::new(ErrorCode::Unavailable, "the node is stopping");
        let taken = answer.await.map_err(|_| stopped())??;
        Ok(taken.ids)
    }

    fn leaf_json(&self, index: LeafIndex) -> Result<LeafJson, ApiError> {
        let pool = self.shared.pool();
        let view = self.shared.chain.view();
        let leaf = view.leaf(index).ok_or_else(|| unknown_leaf(index))?;
        Ok(LeafJson::new(
            index,
            &leaf,
            pool.next_nonce(index, leaf.nonce),
        ))
    }
}

pub(super) fn internal(error: &StorageError) -> ApiError {
    tracing::error!(%error, "request failed");
    ApiError::new(ErrorCode::Internal, "the node's database could not be read")
}

fn unknown_leaf(index: LeafIndex) -> ApiError {
    ApiError::new(
        ErrorCode::UnknownLeaf,
        format!("leaf {index} does not exist"),
    )
}

fn page_limit(limit: Option<u32>) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(PAGE_LIMIT);
    if (1..=PAGE_LIMIT_MAX).contains(&limit) {
        Ok(usize::try_from(limit).unwrap_or(1))
    } else {
        Err(ApiError::new(
            ErrorCode::InvalidPage,
            format!("limit {limit}"),
        ))
    }
}

/// A cursor is two numbers with a dot between them.
fn parse_cursor<A: std::str::FromStr, B: std::str::FromStr>(
    cursor: Option<&str>,
) -> Result<Option<(A, B)>, ApiError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let parsed = cursor
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let shown: String = cursor.chars().take(40).collect();
    let reason = format!("{shown:?} is no cursor of this method");
    parsed
        .map(Some)
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidPage, reason))
}

#[async_trait]
impl QuorateServer for PublicApi {
    async fn send_transaction(&self, transaction: SignedTransactionJson) -> RpcResult<HashText> {
        let signed = transaction.parse(self.shared.chain.constants.chain_id)?;
        let ids = self.admit(Submission::Single(signed)).await?;
        let id = ids
            .first()
            .ok_or_else(|| ApiError::new(ErrorCode::Internal, "no id"))?;
        Ok((*id).into())
    }

    async fn send_atomic_group(
        &self,
        transactions: Vec<SignedTransactionJson>,
    ) -> RpcResult<Vec<HashText>> {
        let group = parse_group(&transactions, self.shared.chain.constants.chain_id)?;
        let ids = self.admit(group).await?;
        Ok(ids.into_iter().map(HashText::from).collect())
    }

    async fn simulate(&self, transactions: Vec<SimulationMember>) -> RpcResult<SimulationJson> {
        let submission = simulated_submission(&transactions)?;
        let chain = &self.shared.chain;
        let view = chain.view();
        let outcome = simulate(&chain.constants, &view, &submission);
        let messages = submission.messages(&chain.constants.domain);
        let mut members = Vec::new();
        for (place, (member, message)) in submission.members().iter().zip(messages).enumerate() {
            let effects = outcome.executed.get(place);
            let new_leaf = effects
                .and_then(|effects| {
                    effects
                        .accesses
                        .iter()
                        .find(|a| a.before.is_none() && a.after.is_some())
                })
                .map(|access| access.index.0);
            members.push(SimulatedMember {
                message: FieldText::from(message),
                fee: member.transaction.fee.into(),
                burned: effects
                    .map_or(Amount::ZERO, |effects| effects.burned)
                    .into(),
                new_leaf,
                error: match effects {
                    Some(_) => None,
                    None => outcome.error.clone().map(Into::into),
                },
            });
            if effects.is_none() {
                break;
            }
        }
        Ok(SimulationJson {
            height: view.tip.height.0 + 1,
            is_valid: outcome.error.is_none(),
            members,
        })
    }

    async fn transaction_status(&self, id: HashText) -> RpcResult<TransactionStatus> {
        Ok(self.status_of(&id.parse_id()?)?)
    }

    async fn preconfirm(&self, id: HashText) -> RpcResult<PreconfirmationJson> {
        let id = id.parse_id()?;
        let Some(promises) = self.promises.clone() else {
            let reason = "this node follows and proposes no blocks: ask a validator's";
            return Err(ApiError::new(ErrorCode::NotPreconfirmed, reason).into());
        };
        let signed = tokio::task::spawn_blocking(move || promises.preconfirm(id))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        Ok(PreconfirmationJson::from(&signed))
    }

    async fn leaf(&self, index: u32) -> RpcResult<LeafProofJson> {
        let index = LeafIndex(index);
        let (leaf, siblings, height, root) = {
            let at = self.shared.chain.state();
            let leaf = at.state.leaf(index).ok_or_else(|| unknown_leaf(index))?;
            (leaf, at.state.siblings(index), at.height, at.state.root())
        };
        let pending_nonce = self.shared.pool().next_nonce(index, leaf.nonce);
        Ok(LeafProofJson {
            leaf: LeafJson::new(index, &leaf, pending_nonce),
            height: height.0,
            root: root.into(),
            siblings: siblings
                .iter()
                .map(|level| level.map(FieldText::from))
                .collect(),
        })
    }

    async fn resolve_leaf(
        &self,
        key: PointJson,
        l1_owner: AddressText,
        token: u32,
    ) -> RpcResult<LeafJson> {
        let (key, owner) = (key.parse_leaf_key()?, l1_owner.parse()?);
        let after = token
            .checked_sub(1)
            .map(|below| (TokenId(below), LeafIndex(u32::MAX)));
        let found = self
            .shared
            .store
            .leaves_of_owner(&key, &owner, after, 1)
            .map_err(|error| internal(&error))?;
        match found.first() {
            Some((found, index)) if *found == TokenId(token) => Ok(self.leaf_json(*index)?),
            _ => {
                let reason = format!("this owner has no leaf of token {token}");
                Err(ApiError::new(ErrorCode::UnknownLeaf, reason).into())
            }
        }
    }

    async fn leaves_of_owner(
        &self,
        key: PointJson,
        l1_owner: AddressText,
        cursor: Option<String>,
        limit: Option<u32>,
    ) -> RpcResult<Page<LeafJson>> {
        let (key, owner) = (key.parse_leaf_key()?, l1_owner.parse()?);
        let limit = page_limit(limit)?;
        let after = parse_cursor(cursor.as_deref())?
            .map(|(token, index)| (TokenId(token), LeafIndex(index)));
        let found = self
            .shared
            .store
            .leaves_of_owner(&key, &owner, after, limit)
            .map_err(|error| internal(&error))?;
        let next = found.last().filter(|_| found.len() == limit);
        let next = next.map(|(token, index)| format!("{token}.{index}"));
        let entries = found
            .iter()
            .map(|(_, index)| self.leaf_json(*index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page { entries, next })
    }

    async fn transactions_of_leaf(
        &self,
        index: u32,
        cursor: Option<String>,
        limit: Option<u32>,
    ) -> RpcResult<Page<TransactionStatus>> {
        let limit = page_limit(limit)?;
        let below = parse_cursor(cursor.as_deref())?.map(|(height, place)| (Height(height), place));
        let found = self
            .shared
            .store
            .transactions_of_leaf(LeafIndex(index), below, limit)
            .map_err(|error| internal(&error))?;
        let next = found.last().filter(|_| found.len() == limit);
        let next = next.map(|(height, place, _)| format!("{height}.{place}"));
        let entries = found
            .iter()
            .map(|(_, _, id)| self.status_of(id))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page { entries, next })
    }

    async fn block(&self, height: Option<u64>) -> RpcResult<BlockJson> {
        Ok(self.block_json(height.map(Height))?)
    }

    async fn batch(&self, number: Option<u64>) -> RpcResult<BatchJson> {
        Ok(self.batch_json(number.map(BatchNumber))?)
    }

    async fn bundle(&self, number: u64) -> RpcResult<BundleJson> {
        Ok(self.bundle_json(BatchNumber(number))?)
    }

    async fn checkpoint(&self, number: u64) -> RpcResult<CheckpointJson> {
        Ok(self.checkpoint_json(BatchNumber(number))?)
    }

    async fn chain(&self) -> RpcResult<ChainInfo> {
        Ok(self.chain_info(self.fee_min, self.block_interval_ms))
    }

    async fn status(&self) -> RpcResult<NodeStatus> {
        Ok(self.node_status(self.started.elapsed())?)
    }

    async fn validators(&self) -> RpcResult<ValidatorsJson> {
        Ok(self.validators_json()?)
    }

    async fn inclusion(&self) -> RpcResult<InclusionJson> {
        Ok(self.inclusion_json())
    }

    async fn soft_chain(&self) -> RpcResult<SoftChainJson> {
        Ok(self.soft.shown())
    }

    async fn bids(&self) -> RpcResult<BidsJson> {
        Ok(self.bids_json()?)
    }

    async fn follow(&self, pending: PendingSubscriptionSink, topic: Topic) -> SubscriptionResult {
        subscriptions::follow(self.clone(), pending, topic).await
    }
}

/// The submission to simulate. Execution does not look at signatures; any well-formed one will do.
fn simulated_submission(members: &[SimulationMember]) -> Result<Submission, ApiError> {
    let max = usize::try_from(GROUP_MEMBERS_MAX).unwrap_or(0);
    if members.is_empty() || members.len() > max {
        return Err(ApiError::new(
            ErrorCode::GroupSize,
            format!("{} were sent", members.len()),
        ));
    }
    let neutral =
        Point::new(0_u64.into(), 1_u64.into()).expect("the neutral element is on the curve");
    let signature = Signature::new(neutral, &[0; 32]).expect("0 is below the subgroup order");
    let mut signed = members
        .iter()
        .map(|member| {
            Ok(SignedTransaction {
                transaction: member.transaction.parse()?,
                key: member.key.parse_public_key()?,
                signature,
            })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    Ok(match signed.len() {
        1 => Submission::Single(signed.remove(0)),
        _ => Submission::Group(signed),
    })
}
