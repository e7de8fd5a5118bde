//! The protocols on each connection and the limits of the transport under them.
//!
//! TCP, Noise, Yamux; the mesh, requests, pings, and the gate before all of them. Streams, windows, handshakes and
//! connections are bounded here; what peers say is bounded in the driver.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};

use super::codec::FrameCodec;
use super::gate::Gate;
use super::scoring::{Mesh, build_mesh};
use super::{GossipError, GossipLimits};

/// Name of the request protocol; its version is in Hello too, where a mismatch can be logged.
const REQUEST_PROTOCOL: StreamProtocol = StreamProtocol::new("/quorate/request/1");

/// From asking to the last byte of the answer: the longest at 3.4 Mbit/s.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// Requests on one connection at once, both ways together. At 16 KiB each way in, little; answers come only to
/// requests of ours, which are counted.
const REQUEST_STREAMS_MAX: usize = 32;

/// Streams of one connection agreeing on a protocol at once.
const NEGOTIATING_MAX: usize = 32;

/// Streams of one connection. With the fixed window of 256 KiB per stream that this limit selects (the growing one
/// has a cap of 1 GiB), and all others refused at once, unread bytes stay below 16 MiB per connection.
const STREAMS_MAX: usize = 128;

/// Handshakes in progress, inbound and outbound.
const PENDING_INBOUND_MAX: u32 = 64;
const PENDING_OUTBOUND_MAX: u32 = 32;

/// Two peers that dial each other at once have two connections; a third is of no use.
const CONNECTIONS_PER_PEER_MAX: u32 = 2;

/// A handshake that takes longer is given up.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// Connections are closed by the driver, not for being idle; a day is "never" without overflow.
const IDLE_TIME: Duration = Duration::from_secs(86_400);

/// Everything that runs on a connection. The gate is asked first.
#[derive(NetworkBehaviour)]
pub(crate) struct Protocols {
    pub(crate) gate: Gate,
    limits: connection_limits::Behaviour,
    pub(crate) mesh: Mesh,
    pub(crate) requests: request_response::Behaviour<FrameCodec>,
    ping: ping::Behaviour,
}

/// Builds the swarm; it does not listen yet.
pub(crate) fn build_swarm(
    identity: Keypair,
    chain: &[u8; 32],
    connections_max: usize,
    limits: &GossipLimits,
) -> Result<Swarm<Protocols>, GossipError> {
    let setting = |what: String| GossipError::InternalSetting { what };
    let mesh =
        build_mesh(chain, limits.per_address_max, limits.exempt_loopback).map_err(setting)?;
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INBOUND_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUTBOUND_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    let requests = request_response::Config::default()
        .with_request_timeout(REQUEST_TIME_MAX)
        .with_max_concurrent_streams(REQUEST_STREAMS_MAX);
    let protocols = Protocols {
        gate: Gate::new(
            connections_max,
            limits.per_address_max,
            limits.exempt_loopback,
        ),
        limits: connection_limits::Behaviour::new(connections),
        mesh,
        requests: request_response::Behaviour::new(
            [(REQUEST_PROTOCOL, ProtocolSupport::Full)],
            requests,
        ),
        ping: ping::Behaviour::default(),
    };
    let multiplexing = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config
    };
    let swarm = SwarmBuilder::with_existing_identity(identity)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            multiplexing,
        )
        .map_err(|error| setting(error.to_string()))?
        .with_behaviour(|_| protocols)
        .map_err(|error| setting(error.to_string()))?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE_TIME)
                .with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
        })
        .with_connection_timeout(HANDSHAKE_TIME_MAX)
        .build();
    Ok(swarm)
}
