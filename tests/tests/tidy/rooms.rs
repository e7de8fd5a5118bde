//! The rooms of the house and the doors between them.
//!
//! `ROOMS` is the whole list of allowed dependency edges and of the outside crates that a room must
//! never name. `ARCHITECTURE.md` prints the same table and a test holds the two equal. Edges are read
//! from the `Cargo.toml` files, development and build dependencies included; what a room reaches
//! through others is read from `Cargo.lock` (`lock.rs`).
//!
//! Source: style guide, section 1 (rooms and doors) and section 8 (dependencies, lints).

use std::collections::BTreeMap;

use toml::{Table, Value};

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

/// All rooms. `settlement` arrives with its own issue; its row stands so that its door is known.
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

/// Lints that the workspace must name; CI turns every warning into an error.
const LINTS: [(&str, &[&str]); 2] = [
    (
        "rust",
        &[
            "unsafe_code",
            "missing_docs",
            "unreachable_pub",
            "unused_must_use",
        ],
    ),
    (
        "clippy",
        &[
            "undocumented_unsafe_blocks",
            "dbg_macro",
            "print_stdout",
            "print_stderr",
            "todo",
            "unimplemented",
            "disallowed_types",
            "disallowed_methods",
            "wildcard_imports",
            "large_futures",
            "allow_attributes",
        ],
    ),
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

/// Parses a manifest or fails with its name.
pub(crate) fn parse(path: &str, text: &str) -> Table {
    text.parse()
        .unwrap_or_else(|error| panic!("{path} is not TOML: {error}"))
}

/// Every dependency table of a manifest: normal, build, development, and those of each target.
fn dependencies(manifest: &Table) -> BTreeMap<String, Value> {
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let mut found = BTreeMap::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    for table in std::iter::once(manifest).chain(per_target) {
        for entries in kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()) {
            found.extend(
                entries
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
    }
    found
}

/// Whether a table says `key = true`.
fn says_true(value: Option<&Value>, key: &str) -> bool {
    value
        .and_then(|value| value.get(key))
        .and_then(Value::as_bool)
        == Some(true)
}

/// Checks the manifest of the crate in directory `name` against its row and the house rules.
pub(crate) fn manifest_keeps_to_its_room(name: &str, manifest: &Table, root: &Table) -> Findings {
    let mut findings = Findings::new();
    let Some(room) = room(name) else {
        return vec![format!(
            "crate {name}: not in the table of rooms; add its row and an ADR"
        )];
    };
    let stated = manifest
        .get("package")
        .and_then(|p| p.get("name"))
        .and_then(Value::as_str);
    if stated != Some(package(name).as_str()) {
        findings.push(format!(
            "crate {name}: its package must be called {}",
            package(name)
        ));
    }
    if !says_true(manifest.get("lints"), "workspace") {
        findings.push(format!(
            "crate {name}: add `[lints]` with `workspace = true`"
        ));
    }
    let shared = root
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    for (key, value) in dependencies(manifest) {
        if !says_true(Some(&value), "workspace") {
            findings.push(format!(
                "crate {name}: `{key}` must be `{key}.workspace = true`; versions live in the root Cargo.toml"
            ));
        }
        let renamed = |from: Option<&Value>| Some(from?.get("package")?.as_str()?.to_owned());
        let outside = renamed(Some(&value)).or_else(|| renamed(shared.and_then(|d| d.get(&key))));
        let outside = outside.unwrap_or_else(|| key.clone());
        if let Some(ours) = outside.strip_prefix("quorate-") {
            if !room.may_use.contains(&ours) {
                findings.push(format!(
                    "crate {name}: no door to {ours}; see the table of rooms"
                ));
            }
        } else if is_listed(&outside, room.never_reach) || is_listed(&outside, room.never_name) {
            findings.push(format!("crate {name}: must never name {outside}"));
        }
    }
    findings
}

/// Checks the root manifest: pinned registry versions, no patches, the lints.
pub(crate) fn root_manifest_is_sound(root: &Table) -> Findings {
    let mut findings = Findings::new();
    for section in ["patch", "replace"] {
        if root.contains_key(section) {
            findings.push(format!(
                "Cargo.toml: `[{section}]` is not allowed; use released versions"
            ));
        }
    }
    let Some(workspace) = root.get("workspace") else {
        return vec!["Cargo.toml: no [workspace]".to_owned()];
    };
    let shared = workspace.get("dependencies").and_then(Value::as_table);
    for (key, value) in shared.into_iter().flatten() {
        let version = value
            .as_str()
            .or_else(|| value.get("version").and_then(Value::as_str));
        let is_ours = value.get("path").is_some();
        if value.get("git").is_some() || !(is_ours || version.is_some_and(|v| v != "*")) {
            findings.push(format!(
                "Cargo.toml: `{key}` needs a released version, not a branch or `*`"
            ));
        }
    }
    let lints = workspace.get("lints");
    for (tool, names) in LINTS {
        let table = lints.and_then(|lints| lints.get(tool));
        for name in names {
            let level = table
                .and_then(|table| table.get(*name))
                .and_then(Value::as_str);
            if !level.is_some_and(|level| ["warn", "deny", "forbid"].contains(&level)) {
                findings.push(format!(
                    "Cargo.toml: [workspace.lints.{tool}] must name {name}"
                ));
            }
        }
    }
    findings
}

/// Directory names of the workspace's members.
pub(crate) fn members(root: &Table) -> Vec<String> {
    let members = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members"));
    let names = members.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
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
    for word in room.never_say {
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
    use super::{
        ROOMS, is_listed, manifest_keeps_to_its_room, parse, root_manifest_is_sound,
        source_keeps_to_its_room, strict_crate_denies_panics,
    };
    use crate::source::Source;

    const ROOT: &str = r#"
        [workspace.dependencies]
        protocol = { path = "protocol", package = "quorate-protocol" }
        sequencer = { path = "sequencer", package = "quorate-sequencer" }
        halo2_proofs = { package = "halo2-axiom", version = "=0.5.3" }
        hex = "0.4"
    "#;

    fn objections(name: &str, dependencies: &str) -> Vec<String> {
        let text = format!(
            "[package]\nname = \"quorate-{name}\"\n[lints]\nworkspace = true\n{dependencies}"
        );
        manifest_keeps_to_its_room(name, &parse("sample", &text), &parse("root", ROOT))
    }

    #[test]
    fn allowed_edge_passes() {
        let dependencies = "[dependencies]\nprotocol.workspace = true\nhex = { workspace = true }";
        assert_eq!(objections("verifier", dependencies), Vec::<String>::new());
    }

    #[test]
    fn edge_outside_the_table_is_found() {
        for table in [
            "dependencies",
            "dev-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            let dependencies = format!("[{table}]\nsequencer.workspace = true");
            assert_eq!(objections("prover", &dependencies).len(), 1, "{table}");
        }
        assert_eq!(
            objections("protocol", "[dependencies]\nprotocol.workspace = true").len(),
            1
        );
    }

    #[test]
    fn forbidden_outside_crate_is_found_under_any_name() {
        let dependencies = "[dependencies]\nhalo2_proofs.workspace = true";
        assert_eq!(objections("verifier", dependencies).len(), 1);
        assert_eq!(objections("circuits", dependencies).len(), 0);
        assert_eq!(
            objections("protocol", "[dependencies]\ntokio.workspace = true").len(),
            1
        );
    }

    #[test]
    fn own_version_unknown_crate_and_missing_lints_are_found() {
        assert_eq!(objections("api", "[dependencies]\nhex = \"0.4\"").len(), 1);
        assert_eq!(objections("warehouse", "").len(), 1);
        let bare = parse("sample", "[package]\nname = \"quorate-api\"");
        assert_eq!(
            manifest_keeps_to_its_room("api", &bare, &parse("root", ROOT)).len(),
            1
        );
        let misnamed = parse(
            "sample",
            "[package]\nname = \"api\"\n[lints]\nworkspace = true",
        );
        assert_eq!(
            manifest_keeps_to_its_room("api", &misnamed, &parse("root", ROOT)).len(),
            1
        );
    }

    #[test]
    fn unsound_root_is_found() {
        let all_lints = |skip: &str| {
            let mut text = String::from("[workspace]\n");
            for (tool, names) in super::LINTS {
                text.push_str(&format!("[workspace.lints.{tool}]\n"));
                for name in names.iter().filter(|name| **name != skip) {
                    text.push_str(&format!("{name} = \"warn\"\n"));
                }
            }
            text
        };
        let check = |text: String| root_manifest_is_sound(&parse("sample", &text)).len();
        assert_eq!(check(all_lints("")), 0);
        assert_eq!(check(all_lints("missing_docs")), 1);
        let with = |more: &str| format!("{}{more}", all_lints(""));
        assert_eq!(check(with("[patch.crates-io]\n")), 1);
        assert_eq!(
            check(with(
                "[workspace.dependencies]\nx = { git = \"https://x\" }\n"
            )),
            1
        );
        assert_eq!(check(with("[workspace.dependencies]\nx = \"*\"\n")), 1);
        assert_eq!(check(with("[workspace.dependencies]\nx = \"=1.2.3\"\n")), 0);
    }

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
