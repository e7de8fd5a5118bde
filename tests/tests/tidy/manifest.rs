//! Rules on the `Cargo.toml` files: edges between our crates, versions, lints, reasons.
//!
//! Normal, build and development dependencies count alike, those of single targets included.
//!
//! Source: style guide, section 1 (rooms and doors) and section 8 (dependencies, lints).

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::rooms::{is_listed, package, room};
use crate::rust::Findings;

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

/// Workspaces of their own below this one. Their crates are built by nobody but them; the rules on outside crates,
/// pins and locked packages hold for them too.
pub(crate) const OUTSIDE: [&str; 1] = ["benches/peers"];

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

/// A workspace of its own is left out of the root's, and pins what both have alike.
pub(crate) fn stands_outside(name: &str, manifest: &Table, root: &Table) -> Findings {
    let mut findings = Findings::new();
    let workspace = |table: &Table, key: &str| table.get("workspace")?.get(key).cloned();
    let excluded = workspace(root, "exclude");
    let excluded = excluded.as_ref().and_then(Value::as_array);
    if !excluded.is_some_and(|paths| paths.iter().any(|path| path.as_str() == Some(name))) {
        findings.push(format!("Cargo.toml: [workspace] must exclude {name}"));
    }
    let pins = |table: &Table| -> BTreeMap<String, String> {
        let shared = workspace(table, "dependencies");
        let shared = shared.as_ref().and_then(Value::as_table);
        let entries = shared.into_iter().flatten();
        entries
            .filter_map(|(key, value)| {
                let version = value.as_str().or_else(|| value.get("version")?.as_str());
                Some((key.clone(), version?.to_owned()))
            })
            .collect()
    };
    let root = pins(root);
    for (key, version) in pins(manifest) {
        if let Some(other) = root.get(&key).filter(|other| **other != version) {
            findings.push(format!(
                "Cargo.toml: `{key}` is {version} here and {other} in the root; pin one version"
            ));
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

/// Every outside crate stands, as a code span, in a decision that says why it is here.
pub(crate) fn outside_crates_have_reasons(root: &Table, decisions: &str) -> Findings {
    let shared = root
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    let entries = shared.and_then(Value::as_table).into_iter().flatten();
    entries
        .filter(|(_, value)| value.get("path").is_none())
        .filter(|(name, _)| !decisions.contains(&format!("`{name}`")))
        .map(|(name, _)| {
            format!(
                "Cargo.toml: `{name}` is in no decision; say in docs/adr why, and who maintains it"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        manifest_keeps_to_its_room, outside_crates_have_reasons, parse, root_manifest_is_sound,
        stands_outside,
    };

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
    fn workspace_that_does_not_stand_outside_is_found() {
        let check = |excluded: &str, version: &str| {
            let root = format!("[workspace]\nexclude = [{excluded}]\n{}", &ROOT[1..]);
            let own = format!("[workspace.dependencies]\nhex = \"{version}\"\nnew = \"1\"");
            stands_outside("a/b", &parse("sample", &own), &parse("root", &root)).len()
        };
        assert_eq!(check("\"a/b\"", "0.4"), 0);
        assert_eq!(check("\"a\"", "0.4"), 1);
        assert_eq!(check("\"a/b\"", "0.5"), 1);
    }

    #[test]
    fn unexplained_crate_is_found() {
        let text = "[workspace.dependencies]\nours = { path = \"ours\" }\nhex = \"0.4\"";
        let check =
            |decisions: &str| outside_crates_have_reasons(&parse("root", text), decisions).len();
        assert_eq!(check("| `hex` | data |"), 0);
        assert_eq!(check("hex and `hexagon`"), 1);
    }
}
