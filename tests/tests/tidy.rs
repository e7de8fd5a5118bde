//! Keeps the workspace honest: what the style guide marks `[tidy]`, checked over the repository.
//!
//! Each rule is a function from text to findings in a module below, with tests there on small samples
//! of good and bad input, so that every rule is seen to fail. This file only applies the rules to the
//! real files. What rustc, clippy and rustfmt check is theirs; nothing here duplicates it.
//!
//! Source: style guide; the idea is TigerBeetle's and rust-analyzer's test of the same name.

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/evidence.rs"]
mod evidence;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/lock.rs"]
mod lock;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use rust::Findings;
use source::Source;

/// Fails with every finding on its own line.
fn none(findings: &Findings) {
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// All Rust sources, split into code and comments.
fn sources() -> Vec<Source> {
    let sources: Vec<Source> = files::ending_in(".rs")
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    assert!(
        !sources.is_empty(),
        "no Rust file found below {}",
        files::root().display()
    );
    sources
}

fn table(path: &str) -> toml::Table {
    manifest::parse(path, &files::must_read(path))
}

#[test]
fn every_rust_file_keeps_the_rules() {
    let sources = sources();
    let rules = rust::RULES.iter();
    none(
        &rules
            .flat_map(|rule| sources.iter().flat_map(rule))
            .collect(),
    );
}

#[test]
fn files_are_short_and_named() {
    let sources = sources();
    let short = sources.iter().flat_map(shape::file_is_short);
    none(
        &short
            .chain(sources.iter().flat_map(shape::modules_are_named))
            .collect(),
    );
}

#[test]
fn crates_keep_to_their_rooms() {
    let root = table("Cargo.toml");
    let members = manifest::members(&root);
    assert!(!members.is_empty(), "Cargo.toml has no members");
    let mut findings = manifest::root_manifest_is_sound(&root);
    findings.extend(manifest::outside_crates_have_reasons(&root, &decisions()));
    for name in &members {
        let manifest = table(&format!("{name}/Cargo.toml"));
        findings.extend(manifest::manifest_keeps_to_its_room(name, &manifest, &root));
        findings.extend(shape::crate_is_named(&rooms::package(name)));
    }
    findings.extend(sources().iter().flat_map(rooms::source_keeps_to_its_room));
    none(&findings);
}

#[test]
fn every_manifest_belongs_to_the_workspace() {
    let members = manifest::members(&table("Cargo.toml"));
    let known = || members.iter().map(String::as_str).chain(manifest::OUTSIDE);
    let strays = files::ending_in("/Cargo.toml")
        .into_iter()
        .filter(|(path, _)| !known().any(|name| *path == format!("{name}/Cargo.toml")));
    none(
        &strays
            .map(|(path, _)| format!("{path}: not a member; it escapes every rule"))
            .collect(),
    );
}

#[test]
fn workspaces_of_their_own_keep_the_rules_on_crates() {
    let (root, deny, decisions) = (table("Cargo.toml"), table("deny.toml"), decisions());
    let mut findings = Findings::new();
    for name in manifest::OUTSIDE {
        let manifest = table(&format!("{name}/Cargo.toml"));
        let lock = table(&format!("{name}/Cargo.lock"));
        let of_this = [
            manifest::stands_outside(name, &manifest, &root),
            manifest::root_manifest_is_sound(&manifest),
            manifest::outside_crates_have_reasons(&manifest, &decisions),
            lock::sources_are_allowed(&lock, &deny),
            lock::no_banned_package(&lock, &deny),
            lock::one_halo2(&lock),
        ];
        findings.extend(
            of_this
                .concat()
                .iter()
                .map(|text| format!("{name}: {text}")),
        );
    }
    none(&findings);
}

#[test]
fn crates_that_read_strangers_bytes_deny_panics() {
    let strict = ["protocol/src/lib.rs", "verifier/src/lib.rs"];
    let libs = strict.map(|path| Source::new(path, &files::must_read(path)));
    none(
        &libs
            .iter()
            .flat_map(rooms::strict_crate_denies_panics)
            .collect(),
    );
}

#[test]
fn lock_file_holds_only_what_is_allowed() {
    let (lock, deny) = (table("Cargo.lock"), table("deny.toml"));
    let mut findings = lock::sources_are_allowed(&lock, &deny);
    findings.extend(lock::no_banned_package(&lock, &deny));
    findings.extend(lock::one_halo2(&lock));
    findings.extend(lock::rooms_reach_nothing_forbidden(&lock));
    none(&findings);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let texts = files::ending_in("").into_iter();
    none(
        &texts
            .flat_map(|(path, text)| rust::no_machine_paths(&path, &text))
            .collect(),
    );
}

#[test]
fn documents_name_only_commands_that_exist() {
    let tree = docs::help_tree(&docs::binary());
    let targets =
        |directory: &str| docs::make_targets(&files::must_read(&format!("{directory}Makefile")));
    let mut findings = Findings::new();
    let mut commands = 0;
    for (path, text) in documents() {
        for line in docs::command_lines(&path, &text, "quorate") {
            commands += 1;
            findings.extend(docs::unknown_to_binary(&tree, &line));
        }
        for line in docs::command_lines(&path, &text, "make") {
            commands += 1;
            findings.extend(docs::unknown_to_make(targets, &line));
        }
    }
    assert!(commands > 0, "README.md names no command at all");
    none(&findings);
}

#[test]
fn links_lead_somewhere() {
    let root = files::root();
    let all = files::ending_in(".md").into_iter();
    let exists = |path: &str| root.join(path).exists();
    none(
        &all.flat_map(|(path, text)| docs::dead_links(&path, &text, exists))
            .collect(),
    );
}

#[test]
fn architecture_document_is_true() {
    none(&docs::architecture_is_true(&files::must_read(
        "ARCHITECTURE.md",
    )));
}

#[test]
fn tests_that_documents_call_their_evidence_exist() {
    let sources = [".rs", ".sol"].into_iter().flat_map(files::ending_in);
    let known = sources
        .flat_map(|(_, text)| {
            evidence::functions(&text)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let unknown = |path: &&str| evidence::unknown_tests(path, &files::must_read(path), &known);
    none(&evidence::DOCUMENTS.iter().flat_map(unknown).collect());
}

/// The text of all decisions.
fn decisions() -> String {
    let all = files::ending_in(".md").into_iter();
    all.filter(|(path, _)| path.starts_with("docs/adr/"))
        .map(|(_, text)| text)
        .collect()
}

/// Documents that must be true now. Decisions and the change log tell of their own time.
fn documents() -> Vec<(String, String)> {
    let mut documents = files::ending_in(".md");
    documents.retain(|(path, _)| !path.starts_with("docs/adr/") && path != "CHANGELOG.md");
    documents
}
