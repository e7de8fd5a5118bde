//! The rooms of the house and the doors between them.
//!
//! `ROOMS` is the whole list of allowed dependency edges and of the outside crates that a room must
//! never name. `ARCHITECTURE.md` prints the same table and a test holds the two equal. This module has the
//! table and the rules on sources that follow from it; edges between crates are `manifest.rs`, what a
//! room reaches through others is `lock.rs`.
//!
//! Source: style guide, section 1 (rooms and doors).

use crate::rust::Findings;
use crate::source::Source;

/// One crate of the workspace and what it may know.
pub(crate) struct Room {
    /// Name of its directory and of its library; its package is `quorate-<name>`.
    pub(crate) name: &'static str,
    /// Our crates it may depend on.
    pub(crate) may_use: &'static [&'static str],
    /// Outside packages that may not be in its closure; `x*` stands for all that begin with `x`.
    pub(crate) never_reach: &'static [&'static str],
    /// Outside packages it may not depend on itself, though a dependency may.
    pub(crate) never_name: &'static [&'static str],
    /// Words its sources (tests aside) may not contain.
    pub(crate) never_say: &'static [&'static str],
}

/// The doors of the crates that start or test the others.
pub(crate) const EVERY_ROOM: &[&str] = &[
    "protocol",
    "circuits",
    "verifier",
    "prover",
    "settlement",
    "api",
    "sequencer",
    "cli",
];

/// Sockets, files and runtimes, for rooms that compute and nothing else.
const NO_WORLD: &[&str] = &["std::fs", "std::net", "std::process", "std::env"];

/// The naive chunk circuit is what tests and benches compare with: no room that proves or starts provers says its name.
const ORACLE: &[&str] = &["ChunkShape", "ChunkCircuit"];
const NO_ORACLE: &[&str] = &["prover", "cli"];

/// All rooms.
pub(crate) const ROOMS: [Room; 10] = [
    Room {
        name: "protocol",
        may_use: &[],
        never_reach: &["tokio", "rocksdb", "libp2p*", "halo2*", "snark-verifier*"],
        never_name: &["getrandom", "jsonrpsee", "hyper"],
        never_say: &[
            "std::time",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "SystemTime",
            "Instant",
            "OsRng",
            "thread_rng",
            "from_entropy",
        ],
    },
    Room {
        name: "circuits",
        may_use: &["protocol"],
        never_reach: &[
            "tokio",
            "rocksdb",
            "libp2p*",
            "jsonrpsee*",
            "hyper",
            "reqwest",
        ],
        never_name: &[],
        never_say: NO_WORLD,
    },
    Room {
        name: "verifier",
        may_use: &["protocol"],
        never_reach: &[
            "halo2*",
            "snark-verifier*",
            "tokio",
            "jsonrpsee*",
            "hyper",
            "rocksdb",
        ],
        never_name: &["rayon"],
        never_say: &[
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
        ],
    },
    Room {
        name: "prover",
        may_use: &["circuits", "verifier", "api", "protocol"],
        never_reach: &["rocksdb"],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "settlement",
        may_use: &["verifier", "protocol"],
        never_reach: &["halo2*", "rocksdb"],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "api",
        may_use: &["protocol"],
        never_reach: &["rocksdb", "libp2p*", "halo2*"],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "sequencer",
        may_use: &["settlement", "verifier", "api", "protocol"],
        never_reach: &["halo2*", "snark-verifier*"],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "cli",
        may_use: EVERY_ROOM,
        never_reach: &[],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "tests",
        may_use: EVERY_ROOM,
        never_reach: &[],
        never_name: &[],
        never_say: &[],
    },
    Room {
        name: "benches",
        may_use: EVERY_ROOM,
        never_reach: &[],
        never_name: &[],
        never_say: &[],
    },
];

/// Lints that the two crates that read bytes of strangers deny at the top of their `lib.rs`.
const STRICT_LINTS: [&str; 4] = ["unwrap_used", "indexing_slicing", "panic", "as_conversions"];

/// The package of a room.
pub(crate) fn package(room: &str) -> String {
    format!("quorate-{room}")
}

/// The row of a crate, by directory name.
pub(crate) fn room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// Whether `name` falls under one of `patterns`.
pub(crate) fn is_listed(name: &str, patterns: &[&str]) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *pattern,
        })
}

/// Words that a room's own sources may not contain: a clock in `protocol`, a socket in `verifier`.
pub(crate) fn source_keeps_to_its_room(source: &Source) -> Findings {
    let Some((name, below)) = source.path.split_once('/') else {
        return Findings::new();
    };
    let Some(room) = room(name).filter(|_| below.starts_with("src/")) else {
        return Findings::new();
    };
    if crate::shape::is_test_file(&source.path) {
        return Findings::new();
    }
    let code = source.code_without_tests();
    let mut findings = Findings::new();
    let oracle: &[&str] = if NO_ORACLE.contains(&name) {
        ORACLE
    } else {
        &[]
    };
    for word in room.never_say.iter().chain(oracle) {
        for at in Source::words(&code, word) {
            findings.push(format!(
                "{}: `{word}` has no place in {name}",
                source.place(at)
            ));
        }
    }
    findings
}

/// `protocol` and `verifier` deny what could panic on the bytes of a stranger.
pub(crate) fn strict_crate_denies_panics(lib: &Source) -> Findings {
    let denied: String = lib
        .attributes()
        .into_iter()
        .map(|(_, text)| text)
        .filter(|text| text.contains("deny") || text.contains("forbid"))
        .collect();
    let missing = STRICT_LINTS
        .iter()
        .filter(|lint| Source::words(&denied, lint).is_empty());
    missing
        .map(|lint| format!("{}: must deny clippy::{lint} outside tests", lib.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ROOMS, is_listed, source_keeps_to_its_room, strict_crate_denies_panics};
    use crate::source::Source;

    #[test]
    fn clock_in_protocol_is_found_outside_its_tests() {
        let check =
            |path: &str, text: &str| source_keeps_to_its_room(&Source::new(path, text)).len();
        let clock = "fn f() { let now = Instant::now(); }";
        assert_eq!(check("protocol/src/block.rs", clock), 1);
        assert_eq!(check("sequencer/src/node.rs", clock), 0);
        assert_eq!(check("protocol/tests/block.rs", clock), 0);
        assert_eq!(
            check(
                "protocol/src/block.rs",
                &format!("#[cfg(test)]\nmod tests {{ {clock} }}")
            ),
            0
        );
        assert_eq!(check("verifier/src/key.rs", "use std::net::TcpStream;"), 1);
    }

    #[test]
    fn the_naive_circuit_in_the_prover_is_found() {
        let oracle = "fn f() { let shape = ChunkShape::FULLEST; }";
        let objections = |path: &str| source_keeps_to_its_room(&Source::new(path, oracle));
        assert_eq!(objections("prover/src/prover.rs").len(), 1);
        assert!(objections("benches/src/proving.rs").is_empty());
    }

    #[test]
    fn strict_crate_without_its_lints_is_found() {
        let whole = "#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]\n\
                     #![cfg_attr(not(test), deny(clippy::as_conversions))]";
        assert_eq!(
            strict_crate_denies_panics(&Source::new("lib.rs", whole)).len(),
            0
        );
        let part = "#![deny(clippy::unwrap_used)]\n#![warn(clippy::panic)]";
        assert_eq!(
            strict_crate_denies_panics(&Source::new("lib.rs", part)).len(),
            3
        );
    }

    #[test]
    fn pattern_with_star_lists_all_that_begin_so() {
        assert!(is_listed("halo2-axiom", &["halo2*"]) && is_listed("tokio", &["tokio"]));
        assert!(!is_listed("tokio-util", &["tokio"]) && !is_listed("halo", &["halo2*"]));
    }

    #[test]
    fn nothing_may_use_the_proving_ground() {
        let mut rooms = ROOMS.iter();
        assert!(
            rooms
                .all(|room| !room.may_use.contains(&"tests") && !room.may_use.contains(&"benches"))
        );
    }
}
