//! The section `[network]`: where the other validators are, and how long a node waits for them.
//!
//! Here are its texts and their meaning; the defaults are the node's own ([`NetworkConfig`]). Names of hosts are not
//! resolved: a name that changes its address would silently cut a validator off.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::validator::VALIDATORS_MAX;
use sequencer::{NetworkConfig, RoundTimeouts};
use serde::{Deserialize, Serialize};

use crate::exit::{CliError, Exit};

/// Peers of one protocol: every other validator of the largest set.
const PEERS_MAX: usize = VALIDATORS_MAX - 1;
/// Longest wait: a set that needs more than ten minutes for a step is not configured but broken.
const WAIT_MS_MAX: u64 = 600_000;

/// The other validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSettings {
    /// Address of this node's consensus engine.
    pub(crate) engine_listen: String,
    /// Addresses of the other validators' engines.
    pub(crate) engine_peers: Vec<String>,
    /// Address of this node's gossip.
    pub(crate) gossip_listen: String,
    /// Addresses of the other nodes' gossip.
    pub(crate) gossip_peers: Vec<String>,
    /// Wait for a proposal in round 0.
    pub(crate) propose_ms: u64,
    /// More of it in each later round.
    pub(crate) propose_delta_ms: u64,
    /// Wait for the rest of the prevotes in round 0.
    pub(crate) prevote_ms: u64,
    /// More of it in each later round.
    pub(crate) prevote_delta_ms: u64,
    /// Wait for the rest of the precommits in round 0.
    pub(crate) precommit_ms: u64,
    /// More of it in each later round.
    pub(crate) precommit_delta_ms: u64,
    /// Time between two repetitions of the own votes.
    pub(crate) rebroadcast_ms: u64,
    /// Assumed longest delay of a message between two honest nodes.
    pub(crate) delay_bound_ms: u64,
    /// Honest nodes are assumed to start a round within so long of each other.
    pub(crate) skew_bound_ms: u64,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        let NetworkConfig {
            engine_listen,
            engine_peers,
            gossip_listen,
            gossip_peers,
            timeouts,
            delay_bound,
            skew_bound,
        } = NetworkConfig::default();
        let texts = |peers: Vec<SocketAddr>| peers.iter().map(ToString::to_string).collect();
        let milliseconds =
            |wait: Duration| u64::try_from(wait.as_millis()).expect("defaults are short");
        Self {
            engine_listen: engine_listen.to_string(),
            engine_peers: texts(engine_peers),
            gossip_listen: gossip_listen.to_string(),
            gossip_peers: texts(gossip_peers),
            propose_ms: milliseconds(timeouts.propose),
            propose_delta_ms: milliseconds(timeouts.propose_delta),
            prevote_ms: milliseconds(timeouts.prevote),
            prevote_delta_ms: milliseconds(timeouts.prevote_delta),
            precommit_ms: milliseconds(timeouts.precommit),
            precommit_delta_ms: milliseconds(timeouts.precommit_delta),
            rebroadcast_ms: milliseconds(timeouts.rebroadcast),
            delay_bound_ms: milliseconds(delay_bound),
            skew_bound_ms: milliseconds(skew_bound),
        }
    }
}

impl NetworkSettings {
    /// What the node is started with.
    ///
    /// # Errors
    /// `Usage`, naming the key, its value and what is wanted.
    pub(crate) fn parse(&self) -> Result<NetworkConfig, CliError> {
        let engine_listen = address("engine_listen", &self.engine_listen)?;
        let gossip_listen = address("gossip_listen", &self.gossip_listen)?;
        if engine_listen == gossip_listen && engine_listen.port() != 0 {
            let what = format!("network.gossip_listen = \"{gossip_listen}\" is not usable");
            let why = "network.engine_listen is the same address";
            return Err(usage(what, why, "give each a port of its own"));
        }
        let timeouts = RoundTimeouts {
            propose: wait("propose_ms", self.propose_ms)?,
            propose_delta: growth("propose_delta_ms", self.propose_delta_ms)?,
            prevote: wait("prevote_ms", self.prevote_ms)?,
            prevote_delta: growth("prevote_delta_ms", self.prevote_delta_ms)?,
            precommit: wait("precommit_ms", self.precommit_ms)?,
            precommit_delta: growth("precommit_delta_ms", self.precommit_delta_ms)?,
            rebroadcast: wait("rebroadcast_ms", self.rebroadcast_ms)?,
        };
        Ok(NetworkConfig {
            engine_listen,
            engine_peers: peers("engine_peers", &self.engine_peers, engine_listen)?,
            gossip_listen,
            gossip_peers: peers("gossip_peers", &self.gossip_peers, gossip_listen)?,
            timeouts,
            delay_bound: wait("delay_bound_ms", self.delay_bound_ms)?,
            skew_bound: wait("skew_bound_ms", self.skew_bound_ms)?,
        })
    }
}

fn usage(what: String, why: impl ToString, todo: &str) -> CliError {
    CliError::new(Exit::Usage, what, why, todo)
}

fn address(key: &str, text: &str) -> Result<SocketAddr, CliError> {
    text.parse().map_err(|error| {
        let what = format!("network.{key} = {text:?} is not an address");
        let todo = "use a form like 192.0.2.7:26656; names of hosts are not resolved";
        usage(what, error, todo)
    })
}

/// Addresses that can be dialled, each once, none of them this node's own.
fn peers(key: &str, texts: &[String], own: SocketAddr) -> Result<Vec<SocketAddr>, CliError> {
    if texts.len() > PEERS_MAX {
        let what = format!("network.{key} names {} peers", texts.len());
        let why = format!("a set has at most {VALIDATORS_MAX} validators");
        return Err(usage(
            what,
            why,
            "name the other validators of the set only",
        ));
    }
    let mut peers: Vec<SocketAddr> = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        let key = format!("{key}[{place}]");
        let peer = address(&key, text)?;
        let refused = |why: &str, todo: &str| {
            let what = format!("network.{key} = {text:?} is not a peer");
            Err(usage(what, why, todo))
        };
        if peer.port() == 0 || peer.ip().is_unspecified() {
            return refused(
                "it cannot be dialled",
                "give the peer's own address and the port that it listens on",
            );
        }
        if peer == own {
            return refused("this node itself listens there", "leave it out");
        }
        if peers.contains(&peer) {
            return refused("it is named twice", "name each peer once");
        }
        peers.push(peer);
    }
    Ok(peers)
}

/// A wait of some length.
fn wait(key: &str, milliseconds: u64) -> Result<Duration, CliError> {
    if milliseconds == 0 {
        let why = "without any wait no message arrives in time";
        let todo = "leave it out for the default, or give 1 or more";
        return Err(usage(format!("network.{key} = 0 is not usable"), why, todo));
    }
    growth(key, milliseconds)
}

/// A wait that may be nothing.
fn growth(key: &str, milliseconds: u64) -> Result<Duration, CliError> {
    if milliseconds > WAIT_MS_MAX {
        let what = format!("network.{key} = {milliseconds} is not usable");
        let why = format!("it is longer than {WAIT_MS_MAX} ms");
        return Err(usage(what, why, "leave it out for the default"));
    }
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_nodes_own() {
        let parsed = NetworkSettings::default().parse();
        assert_eq!(parsed, Ok(NetworkConfig::default()));
    }

    #[test]
    fn every_key_reaches_the_node() {
        let settings: NetworkSettings = toml::from_str(
            "engine_listen = '0.0.0.0:1'\nengine_peers = ['192.0.2.1:1', '192.0.2.2:1']\n\
             gossip_listen = '0.0.0.0:2'\ngossip_peers = ['[2001:db8::1]:2']\n\
             propose_ms = 3\npropose_delta_ms = 4\nprevote_ms = 5\nprevote_delta_ms = 6\n\
             precommit_ms = 7\nprecommit_delta_ms = 8\nrebroadcast_ms = 9\ndelay_bound_ms = 10\nskew_bound_ms = 11",
        )
        .expect("a section");
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let timeouts = RoundTimeouts {
            propose: Duration::from_millis(3),
            propose_delta: Duration::from_millis(4),
            prevote: Duration::from_millis(5),
            prevote_delta: Duration::from_millis(6),
            precommit: Duration::from_millis(7),
            precommit_delta: Duration::from_millis(8),
            rebroadcast: Duration::from_millis(9),
        };
        let expected = NetworkConfig {
            engine_listen: at("0.0.0.0:1"),
            engine_peers: vec![at("192.0.2.1:1"), at("192.0.2.2:1")],
            gossip_listen: at("0.0.0.0:2"),
            gossip_peers: vec![at("[2001:db8::1]:2")],
            timeouts,
            delay_bound: Duration::from_millis(10),
            skew_bound: Duration::from_millis(11),
        };
        assert_eq!(settings.parse(), Ok(expected));
    }

    #[test]
    fn values_that_cannot_work_are_named_with_their_key() {
        let many: Vec<String> = (1..=100).map(|port| format!("192.0.2.1:{port}")).collect();
        let many = format!("engine_peers = {many:?}");
        for (text, key) in [
            ("engine_listen = 'localhost:1'", "engine_listen"),
            (
                "engine_listen = '127.0.0.1:7'\ngossip_listen = '127.0.0.1:7'",
                "gossip_listen",
            ),
            ("engine_peers = ['192.0.2.1']", "engine_peers[0]"),
            ("engine_peers = ['192.0.2.1:0']", "engine_peers[0]"),
            ("gossip_peers = ['0.0.0.0:5']", "gossip_peers[0]"),
            (
                "gossip_peers = ['192.0.2.1:5', '192.0.2.1:5']",
                "gossip_peers[1]",
            ),
            (
                "gossip_listen = '192.0.2.1:5'\ngossip_peers = ['192.0.2.1:5']",
                "gossip_peers[0]",
            ),
            ("propose_ms = 0", "propose_ms"),
            ("prevote_delta_ms = 600001", "prevote_delta_ms"),
            ("delay_bound_ms = 0", "delay_bound_ms"),
            (many.as_str(), "engine_peers"),
        ] {
            let settings: NetworkSettings = toml::from_str(text).expect("a section");
            let error = settings.parse().expect_err(text);
            assert_eq!(error.exit, Exit::Usage);
            assert!(
                error.what.contains(&format!("network.{key}")),
                "{text}: {error}"
            );
            assert!(!error.todo.is_empty());
        }
        let still: NetworkSettings = toml::from_str("propose_delta_ms = 0").expect("a section");
        assert!(still.parse().is_ok(), "a round may be as long as the last");
    }
}
