//! Ports for the validators of one machine, chosen before any of them starts: each must be told the others'.
//!
//! A port that is free now may be taken before the node binds it; whoever starts the nodes tries again with other
//! ports then. What this module does not do: choose ports of the RPC and the proof queue, which nobody must know before.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::Rng;

use crate::exit::{CliError, Exit};

/// Where a search begins. Below the range that Linux takes the ports of outgoing connections from (32768 and up), so
/// that a connection does not take a port between our look and the node's start.
const FIRST_PORTS: std::ops::Range<u16> = 12_000..28_000;
/// Ports looked at before the machine is taken for full.
const LOOKS_MAX: usize = 2_000;

/// Where one validator is reached by the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Its consensus engine.
    pub(super) engine: SocketAddr,
    /// Its gossip.
    pub(super) gossip: SocketAddr,
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Pairs of ports from `base` on: the engine of validator i on base + 2i, its gossip on the next.
///
/// # Errors
/// `Usage` if they do not end below 65536.
pub(super) fn from_base(base: u16, count: u32) -> Result<Vec<Reach>, CliError> {
    let port = |offset: u32| u16::try_from(u32::from(base) + offset).ok();
    (0..count)
        .map(|index| {
            Some(Reach {
                engine: local(port(2 * index)?),
                gossip: local(port(2 * index + 1)?),
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            let what = format!("--base-port {base} is too high");
            let why = format!("{count} validators need {} ports from it on", 2 * count);
            CliError::new(Exit::Usage, what, why, "give a lower one, like 26600")
        })
}

/// Pairs of ports that were free a moment ago, all of them at once.
///
/// # Errors
/// `Unavailable` if there are not enough.
pub(super) fn free(count: u32, rng: &mut impl Rng) -> Result<Vec<Reach>, CliError> {
    let first = rng.gen_range(FIRST_PORTS);
    // Held until all are found, so that none is found twice.
    let listeners: Vec<TcpListener> = (first..)
        .take(LOOKS_MAX)
        .filter_map(|port| TcpListener::bind(local(port)).ok())
        .take(usize::try_from(2 * count).unwrap_or(usize::MAX))
        .collect();
    let found: Vec<SocketAddr> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();
    let reaches: Vec<Reach> = found
        .chunks_exact(2)
        .map(|pair| Reach {
            engine: pair[0],
            gossip: pair[1],
        })
        .collect();
    if u32::try_from(reaches.len()) == Ok(count) {
        return Ok(reaches);
    }
    let what = format!("{count} validators do not find {} free ports", 2 * count);
    let why = format!("{} of {LOOKS_MAX} from {first} on are free", found.len());
    let todo = "stop what holds them, or name others with --base-port";
    Err(CliError::new(Exit::Unavailable, what, why, todo))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::mock::StepRng;

    use super::*;

    #[test]
    fn ports_from_a_base_follow_each_other_and_end_below_65536() {
        let reaches = from_base(26_600, 3).expect("room");
        let ports: Vec<u16> = reaches
            .iter()
            .flat_map(|reach| [reach.engine.port(), reach.gossip.port()])
            .collect();
        assert_eq!(ports, [26_600, 26_601, 26_602, 26_603, 26_604, 26_605]);
        assert!(from_base(65_530, 3).is_ok());
        let error = from_base(65_531, 3).expect_err("no room");
        assert_eq!(error.exit, Exit::Usage);
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        // The same number twice: the search begins at the same port.
        let mut rng = StepRng::new(1 << 40, 0);
        let taken = free(1, &mut rng).expect("ports")[0];
        let _holder = TcpListener::bind(taken.gossip).expect("it is free");
        let reaches = free(4, &mut rng).expect("ports");
        let ports: BTreeSet<u16> = reaches
            .iter()
            .flat_map(|reach| [reach.engine.port(), reach.gossip.port()])
            .collect();
        assert_eq!(ports.len(), 8, "none twice");
        assert!(!ports.contains(&taken.gossip.port()));
    }
}
