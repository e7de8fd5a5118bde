//! Subscriptions: one task each, fed by the node's events. Who falls too far behind gets a notice and is dropped.

use std::time::Duration;

use api::{
    ledger::BatchStage,
    status::{Notice, Topic, TransactionStatus},
};
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionResult, to_json_raw_value},
};
use protocol::transaction::TransactionId;
use tokio::sync::broadcast::error::RecvError;

use super::public::PublicApi;
use crate::events::Event;

/// A client whose socket takes nothing for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts the subscription and feeds it until either side ends it.
pub(super) async fn follow(
    api: PublicApi,
    pending: PendingSubscriptionSink,
    topic: Topic,
) -> SubscriptionResult {
    let id = match &topic {
        Topic::Transaction { id } => match id.parse_id() {
            Ok(id) => Some(id),
            Err(error) => {
                let object: jsonrpsee::types::ErrorObjectOwned = error.into();
                pending.reject(object).await;
                return Ok(());
            }
        },
        Topic::Blocks | Topic::Batches => None,
    };
    // Listening starts before the first status is read: nothing in between is lost.
    let mut events = api.shared.events.listen();
    let sink = pending.accept().await?;
    let mut last: Option<TransactionStatus> = None;
    if let Some(id) = &id
        && !send_status(&api, &sink, id, &mut last).await
    {
        return Ok(());
    }
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = events.recv() => event,
        };
        let goes_on = match (event, &topic, &id) {
            (Err(RecvError::Closed), _, _) => false,
            (Err(RecvError::Lagged(missed)), _, _) => {
                send(&sink, &Notice::Lagged { missed }).await;
                false
            }
            (
                Ok(Event::Block {
                    height,
                    id,
                    timestamp_ms,
                    operations,
                }),
                Topic::Blocks,
                _,
            ) => {
                let (height, id) = (height.0, id.into());
                send(
                    &sink,
                    &Notice::Block {
                        height,
                        id,
                        timestamp_ms,
                        operations,
                    },
                )
                .await
            }
            (
                Ok(Event::Batch {
                    number,
                    stage,
                    time_ms,
                }),
                Topic::Batches,
                _,
            ) => {
                send(
                    &sink,
                    &Notice::Batch {
                        number: number.0,
                        stage,
                        time_ms,
                    },
                )
                .await
            }
            (Ok(Event::FinalProof { number, time_ms }), Topic::Batches, _) => {
                let number = number.0;
                send(&sink, &Notice::FinalProof { number, time_ms }).await
            }
            (Ok(Event::Transactions(ids)), Topic::Transaction { .. }, Some(id)) => {
                !ids.contains(id) || send_status(&api, &sink, id, &mut last).await
            }
            (
                Ok(Event::Batch {
                    stage: BatchStage::Proven,
                    ..
                }),
                Topic::Transaction { .. },
                Some(id),
            ) => send_status(&api, &sink, id, &mut last).await,
            (Ok(Event::Settled), Topic::Transaction { .. }, Some(id)) => {
                send_status(&api, &sink, id, &mut last).await
            }
            (Ok(_), _, _) => true,
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// Sends the status if it has changed; false ends the subscription: nothing more can come, or nobody listens.
async fn send_status(
    api: &PublicApi,
    sink: &SubscriptionSink,
    id: &TransactionId,
    last: &mut Option<TransactionStatus>,
) -> bool {
    let Ok(status) = api.status_of(id) else {
        return false;
    };
    if last.as_ref() == Some(&status) {
        return true;
    }
    *last = Some(status.clone());
    let is_over = status.stage == api.last_stage();
    send(sink, &Notice::Transaction { status }).await && !is_over
}

async fn send(sink: &SubscriptionSink, notice: &Notice) -> bool {
    let Ok(message) = to_json_raw_value(notice) else {
        return false;
    };
    sink.send_timeout(message, SEND_TIMEOUT).await.is_ok()
}
