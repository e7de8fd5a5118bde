//! Ports for processes that must find each other again after a restart.
//!
//! Nothing holds them between the look and the use: another process that takes one makes a test fail, loudly.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports of test sets: above those of devnets, below those of outgoing connections.
const PORTS: std::ops::Range<u16> = 28_000..32_000;

/// Ports that nobody holds, and that no other test of this process is given.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Test processes that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() * 61 % u32::from(span)).expect("below the span");
    let mut listeners = Vec::with_capacity(count);
    for _ in PORTS {
        if listeners.len() == count {
            break;
        }
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + start.wrapping_add(step) % span;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            listeners.push((port, listener));
        }
    }
    assert_eq!(listeners.len(), count, "no free ports in {PORTS:?}");
    listeners.iter().map(|(port, _)| *port).collect()
}
