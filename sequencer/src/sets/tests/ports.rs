//! Ports for nodes of tests, here and in the command line's, that must find each other again after a restart.
//!
//! Nothing holds them between the look and the use. They are below those that systems give to outgoing connections: one
//! of those could take the place of a node that has not begun yet, or is stopped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Above those of devnets.
const PORTS: std::ops::Range<u16> = 28_000..32_000;

/// Ports that nobody uses now, and that no other test of this process is given.
pub(crate) fn free_ports(count: usize) -> Vec<SocketAddr> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Test processes that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() * 61 % u32::from(span)).unwrap();
    let mut listeners = Vec::with_capacity(count);
    for _ in PORTS {
        if listeners.len() == count {
            break;
        }
        let step = GIVEN.fetch_add(1, Ordering::Relaxed) % span;
        let port = PORTS.start + (start + step) % span;
        listeners.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    assert_eq!(listeners.len(), count, "no free ports in {PORTS:?}");
    let places = listeners.iter().map(|one| one.local_addr().unwrap());
    places.collect()
}
