//! The mesh's settings and how it scores peers.
//!
//! A peer's score is what it delivered first, minus what it sent that was rejected, minus crowding on one address,
//! minus breaches of the mesh protocol, minus the faults the driver counts (announcements without a message,
//! broken frames). Below [`GRAYLIST`] nothing from it is read any more, and the driver bans it.
//!
//! Chosen on purpose:
//! - Messages are anonymous (`ValidationMode::Anonymous`): no author, sequence number or author's signature, and a
//!   message with any of them is invalid. The transport authenticates the neighbour, the content is judged by its
//!   own signatures, and an author's name would tell where an operation entered and make equal bytes differ.
//! - `allow_self_origin`: with anonymous messages the check it turns off would punish a neighbour for handing back
//!   bytes that both published. They are duplicates and cost nobody anything.
//! - No flood publishing: an operation enters the mesh once, not once per neighbour.
//! - No quota of deliveries (P3) on any topic. Research proposed one for bids; but having no builder online is a
//!   legal state, and a quota would then punish every honest neighbour for its silence.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::gossipsub::{
    self, Behaviour, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode,
    WhitelistSubscriptionFilter,
};
use protocol::hash::keccak256;

use super::topic::{INLINE_BYTES_MAX, Topic};

/// The mesh of this network: only its own topics, only so many of them.
pub(crate) type Mesh = Behaviour<
    gossipsub::IdentityTransform,
    MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>,
>;

/// Score below which a peer is not told of messages.
pub(crate) const GOSSIP: f64 = -40.0;
/// Score below which nothing is published to a peer.
pub(crate) const PUBLISH: f64 = -80.0;
/// Score below which a peer is not heard, and banned.
pub(crate) const GRAYLIST: f64 = -160.0;

/// Room in a mesh message for the frame's tag, the topic's name and the encoding.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// Longest control or message frame of the mesh: 1,000 ids of 32 bytes in one IHAVE, with room.
const RPC_BYTES_MAX: usize = 64 << 10;

/// Ids in one IHAVE: must fit [`RPC_BYTES_MAX`].
const IHAVE_COUNT_MAX: usize = 1_000;

/// Messages waiting for one slow neighbour; at 4 KiB each, 8 MiB.
const NEIGHBOUR_QUEUE_COUNT_MAX: usize = 2_048;

/// Heartbeats a message may wait for its verdict and still be forwarded.
const HISTORY_HEARTBEATS: usize = 10;

/// How long an id is known: twice as long as a message is likely to travel.
const DUPLICATE_TIME: Duration = Duration::from_secs(120);

/// How long a neighbour's bad record outlives its connection. Short, because each new identity could leave one;
/// whoever fell below [`GRAYLIST`] is in the gate's bounded list of bans.
const RETAIN_SCORE: Duration = Duration::from_secs(120);

/// How long one rejected message is held against its sender.
const INVALID_DECAY: Duration = Duration::from_secs(3_600);

/// Identity of a mesh message: its topic and all its bytes.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let topic = message.topic.as_str().as_bytes();
    let mut input = Vec::with_capacity(topic.len() + 1 + message.data.len());
    input.extend_from_slice(topic);
    input.push(0);
    input.extend_from_slice(&message.data);
    MessageId::new(&keccak256(&input))
}

/// Builds the mesh and joins every topic of the chain.
///
/// # Errors
/// What the library says about a setting; none is possible with the constants above.
pub(crate) fn build_mesh(
    chain: &[u8; 32],
    per_address_max: usize,
    exempt_loopback: bool,
) -> Result<Mesh, String> {
    let topics: Vec<IdentTopic> = Topic::ALL
        .iter()
        .map(|topic| IdentTopic::new(topic.full_name(chain)))
        .collect();
    let mut config = ConfigBuilder::default();
    config
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .allow_self_origin(true)
        .flood_publish(false)
        .max_transmit_size(RPC_BYTES_MAX)
        .max_ihave_length(IHAVE_COUNT_MAX)
        .max_messages_per_rpc(Some(64))
        .connection_handler_queue_len(NEIGHBOUR_QUEUE_COUNT_MAX)
        .history_length(HISTORY_HEARTBEATS)
        .heartbeat_initial_delay(Duration::from_millis(500))
        .heartbeat_interval(Duration::from_secs(1))
        .duplicate_cache_time(DUPLICATE_TIME)
        .idontwant_message_size_threshold(512)
        .idontwant_on_publish(true);
    for topic in &topics {
        let limit = INLINE_BYTES_MAX + MESSAGE_OVERHEAD_BYTES;
        config.set_topic_max_transmit_size(topic.hash(), limit);
    }
    let config = config.build().map_err(|error| error.to_string())?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.iter().map(IdentTopic::hash).collect()),
        max_subscribed_topics: Topic::ALL.len(),
        max_subscriptions_per_request: 2 * Topic::ALL.len(),
    };
    let authenticity = MessageAuthenticity::Anonymous;
    let mut mesh = Mesh::new_with_subscription_filter(authenticity, config, filter)?;
    mesh.with_peer_score(
        score_params(&topics, per_address_max, exempt_loopback),
        PeerScoreThresholds {
            gossip_threshold: GOSSIP,
            publish_threshold: PUBLISH,
            graylist_threshold: GRAYLIST,
            accept_px_threshold: 0.0,
            opportunistic_graft_threshold: 1.0,
        },
    )?;
    for topic in &topics {
        mesh.subscribe(topic).map_err(|error| error.to_string())?;
    }
    Ok(mesh)
}

fn score_params(
    topics: &[IdentTopic],
    per_address_max: usize,
    exempt_loopback: bool,
) -> PeerScoreParams {
    let topic_params = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 50.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // Of the square of their count: one costs the mesh, two cost the connection.
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(INVALID_DECAY),
        ..TopicScoreParams::default()
    };
    let threshold = u32::try_from(per_address_max).unwrap_or(u32::MAX).max(1);
    let mut params = PeerScoreParams {
        topics: topics
            .iter()
            .map(|topic| (topic.hash(), topic_params.clone()))
            .collect(),
        // Good deliveries must not pay for two rejected messages.
        topic_score_cap: 100.0,
        // The driver gives its faults as a score already weighted.
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: -10.0,
        ip_colocation_factor_threshold: f64::from(threshold),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.9,
        retain_score: RETAIN_SCORE,
        ..PeerScoreParams::default()
    };
    if exempt_loopback {
        params.ip_colocation_factor_whitelist.extend([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_accepted_and_every_topic_is_joined() {
        let mesh = build_mesh(&[1; 32], 8, true).expect("settings");
        assert_eq!(mesh.topics().count(), Topic::ALL.len());
    }

    #[test]
    fn two_rejected_messages_outweigh_the_best_record() {
        let best = 100.0;
        let rejected_twice = -100.0 * 2.0_f64.powi(2);
        assert!(best + rejected_twice < GRAYLIST);
        let rejected_once = -100.0_f64;
        assert!(rejected_once > GRAYLIST, "one mistake is forgiven");
    }
}
