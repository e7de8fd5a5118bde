//! Rules that hold the documents to the truth: commands the binary knows, targets the Makefile has,
//! links that lead somewhere, and the table of rooms as `rooms.rs` has it.
//!
//! A command counts when it stands in a fenced block or in a code span. Prose is not checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rooms::{EVERY_ROOM, ROOMS, Room};
use crate::rust::Findings;

/// What one command of the binary knows, read from its `--help`.
#[derive(Default)]
pub(crate) struct Help {
    subcommands: BTreeSet<String>,
    flags: BTreeSet<String>,
}

/// The whole tree of the binary: the words that lead to a command, and its help.
pub(crate) type HelpTree = BTreeMap<Vec<String>, Help>;

/// Commands nest no deeper than this (`quorate wallet send`).
const DEPTH_MAX: usize = 4;

/// A document may not be longer than this if it is the map of the house.
const ARCHITECTURE_LINES_MAX: usize = 200;

/// One command line found in a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    place: String,
    words: Vec<String>,
}

/// The binary of this build: beside this test's executable, or above it.
pub(crate) fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("a running test knows its executable");
    let found = here
        .ancestors()
        .skip(1)
        .map(|dir| dir.join("quorate"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no binary `quorate` above {}; build it first: make build",
            here.display()
        )
    })
}

/// Asks the binary for its help, command by command.
pub(crate) fn help_tree(binary: &Path) -> HelpTree {
    let mut tree = HelpTree::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(words) = open.pop() {
        let output = Command::new(binary)
            .args(&words)
            .arg("--help")
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary.display()));
        assert!(
            output.status.success(),
            "quorate {} --help failed: {output:?}",
            words.join(" ")
        );
        let help = parse_help(&String::from_utf8_lossy(&output.stdout));
        if words.len() < DEPTH_MAX {
            let below = help.subcommands.iter().filter(|name| *name != "help");
            open.extend(below.map(|name| [&words[..], std::slice::from_ref(name)].concat()));
        }
        tree.insert(words, help);
    }
    tree
}

/// Reads the layout of clap's help: commands under a heading, options indented by at most six.
fn parse_help(text: &str) -> Help {
    let mut help = Help::default();
    let mut in_commands = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if indent == 0 {
            in_commands = line.ends_with("ommands:") || (in_commands && line.is_empty());
            continue;
        }
        if in_commands && indent == 2 && !line.starts_with('-') {
            help.subcommands
                .extend(line.split_whitespace().next().map(str::to_owned));
        }
        if indent <= 6 && line.starts_with('-') {
            let words = line
                .split([' ', ',', '=', '['])
                .take_while(|w| w.is_empty() || w.starts_with('-'));
            help.flags
                .extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    help
}

/// The pieces of a document that are code: lines of fenced blocks and code spans, with line numbers.
fn code_pieces(text: &str) -> Vec<(usize, String)> {
    let mut pieces = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            pieces.push((index + 1, line.to_owned()));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            pieces.extend(spans.map(|span| (index + 1, span.to_owned())));
        }
    }
    pieces
}

/// Command lines that start with `program`, alone or by a path, in every code piece of a document.
pub(crate) fn command_lines(path: &str, text: &str, program: &str) -> Vec<CommandLine> {
    let mut found = Vec::new();
    for (line, piece) in code_pieces(text) {
        let piece = piece.split(" #").next().unwrap_or("").trim().to_owned();
        for command in piece.split(['|', ';', '&', '(', ')']) {
            let command = command.trim().trim_start_matches("$ ");
            let mut words = command
                .split_whitespace()
                .skip_while(|word| is_assignment(word));
            let first = words.next().unwrap_or("");
            if first == program || first.ends_with(&format!("/{program}")) {
                let words = words.map(str::to_owned).collect();
                found.push(CommandLine {
                    place: format!("{path}:{line}"),
                    words,
                });
            }
        }
    }
    found
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    })
}

/// The first thing in a command line that the binary does not know.
pub(crate) fn unknown_to_binary(tree: &HelpTree, line: &CommandLine) -> Findings {
    let mut command: Vec<String> = Vec::new();
    for word in &line.words {
        let Some(help) = tree.get(&command) else {
            return vec![format!(
                "{}: the binary has no `{}`",
                line.place,
                command.join(" ")
            )];
        };
        let called = ["quorate".to_owned()]
            .iter()
            .chain(&command)
            .cloned()
            .collect::<Vec<_>>()
            .join(" ");
        if word == "--" {
            break;
        } else if word.starts_with('-') {
            let flag = word.split('=').next().unwrap_or(word);
            if !help.flags.contains(flag) {
                return vec![format!("{}: `{called}` has no flag `{flag}`", line.place)];
            }
        } else if help.subcommands.contains(word) {
            command.push(word.clone());
        } else if !help.subcommands.is_empty() {
            return vec![format!(
                "{}: `{called}` has no subcommand `{word}`",
                line.place
            )];
        }
    }
    Findings::new()
}

/// Targets of the Makefile: words before a colon at the start of a line.
pub(crate) fn make_targets(makefile: &str) -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    for line in makefile.lines() {
        if line.starts_with(['\t', '#', '.', ' ']) {
            continue;
        }
        let (names, rest) = line.split_once(':').unwrap_or_default();
        if !rest.starts_with('=') && !names.contains('=') {
            targets.extend(names.split_whitespace().map(str::to_owned));
        }
    }
    targets
}

/// `make` is called only with targets that exist, of the Makefile in the directory that `-C` names.
/// `targets` reads them by directory, which is empty or ends in `/`.
pub(crate) fn unknown_to_make(
    targets: impl Fn(&str) -> BTreeSet<String>,
    line: &CommandLine,
) -> Findings {
    let mut words = line.words.iter();
    let (mut directory, mut wanted) = (String::new(), Vec::new());
    while let Some(word) = words.next() {
        if word == "-C" {
            directory = words
                .next()
                .map_or(String::new(), |word| format!("{word}/"));
        } else if !word.contains('=') && !word.starts_with('-') {
            wanted.push(word);
        }
    }
    let targets = targets(&directory);
    let unknown = wanted.into_iter().filter(|word| !targets.contains(*word));
    unknown
        .map(|word| format!("{}: {directory}Makefile has no target `{word}`", line.place))
        .collect()
}

/// Relative links lead to files that exist. `path` is the document, `exists` asks for a path from the root.
pub(crate) fn dead_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Findings {
    let mut findings = Findings::new();
    for (index, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ', '#']).next().unwrap_or("");
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let mut parts: Vec<&str> = path.split('/').collect();
            parts.pop();
            for part in target
                .split('/')
                .filter(|part| !part.is_empty() && *part != ".")
            {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            if !exists(&parts.join("/")) {
                findings.push(format!("{path}:{}: dead link to {target}", index + 1));
            }
        }
    }
    findings
}

/// `ARCHITECTURE.md` is short and its table of rooms is the one the other rules enforce.
pub(crate) fn architecture_is_true(text: &str) -> Findings {
    let mut findings = Findings::new();
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(format!(
            "ARCHITECTURE.md: {lines} lines, at most {ARCHITECTURE_LINES_MAX}"
        ));
    }
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, may_use, never] = cells[..] else {
            continue;
        };
        let name = name.trim_matches('`');
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            findings.push(format!("ARCHITECTURE.md: no room is called {name}"));
            continue;
        };
        seen.insert(name);
        let columns = [
            ("may use", may_use, doors(room)),
            ("must never name", never, never_named(room)),
        ];
        for (column, cell, wanted) in columns {
            if names_in(cell) != wanted {
                let wanted: Vec<String> = wanted.iter().map(|word| format!("`{word}`")).collect();
                let wanted = wanted.join(" ");
                findings.push(format!(
                    "ARCHITECTURE.md: {name}, {column}: should be {wanted}"
                ));
            }
        }
    }
    for room in ROOMS.iter().filter(|room| !seen.contains(room.name)) {
        findings.push(format!(
            "ARCHITECTURE.md: the table of rooms lacks {}",
            room.name
        ));
    }
    findings
}

/// What the table says under "may use": the doors, or `everything`.
fn doors(room: &Room) -> BTreeSet<String> {
    if room.may_use == EVERY_ROOM {
        return BTreeSet::from(["everything".to_owned()]);
    }
    room.may_use.iter().map(|name| (*name).to_owned()).collect()
}

/// What the table says under "must never name".
fn never_named(room: &Room) -> BTreeSet<String> {
    let all = [room.never_reach, room.never_name, room.never_say].concat();
    all.into_iter().map(str::to_owned).collect()
}

/// The code spans of a cell.
fn names_in(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        HelpTree, architecture_is_true, command_lines, dead_links, make_targets, parse_help,
        unknown_to_binary, unknown_to_make,
    };

    const TOP: &str = "Runs a node.\n\nUsage: quorate [OPTIONS] <COMMAND>\n\nCommands:\n  \
        wallet   Keys and payments\n  verify   Checks a file,\n           devnet is not one\n  help     Print\n\n\
        Options:\n  -q, --quiet\n          Say less\n      --json=<X>  Print JSON, not --text\n";

    fn tree() -> HelpTree {
        let wallet = "Usage\n\nCommands:\n  send  Pays\n\nOptions:\n      --dir <DIR>  [env: X]\n";
        let leaf = "Usage\n\nOptions:\n      --dev  Accepts an INSECURE string\n  -h, --help\n";
        let path = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        HelpTree::from([
            (path(&[]), parse_help(TOP)),
            (path(&["wallet"]), parse_help(wallet)),
            (path(&["wallet", "send"]), parse_help(leaf)),
            (path(&["verify"]), parse_help(leaf)),
        ])
    }

    fn objections(document: &str) -> usize {
        let lines = command_lines("README.md", document, "quorate");
        assert!(!lines.is_empty(), "no command in {document:?}");
        lines
            .iter()
            .map(|line| unknown_to_binary(&tree(), line).len())
            .sum()
    }

    #[test]
    fn help_is_read() {
        let help = parse_help(TOP);
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        assert_eq!(names(&help.subcommands), ["help", "verify", "wallet"]);
        assert_eq!(names(&help.flags), ["--json", "--quiet", "-q"]);
    }

    #[test]
    fn known_commands_pass() {
        assert_eq!(objections("Run `quorate verify FILE --dev`."), 0);
        assert_eq!(
            objections("```sh\n$ A=1 target/release/quorate wallet send 5 --dev # --no\n```"),
            0
        );
        assert_eq!(
            objections("`quorate --json=x wallet --dir d send`"),
            1,
            "a value is not skipped"
        );
    }

    #[test]
    fn unknown_command_or_flag_is_found() {
        assert_eq!(objections("`quorate devnet`"), 1);
        assert_eq!(
            objections("```sh\nmake x && quorate verify --fast FILE\n```"),
            1
        );
        assert_eq!(objections("`quorate wallet steal`"), 1);
    }

    #[test]
    fn unknown_make_target_is_found() {
        let targets = make_targets("X := 1\n.PHONY: a\na b: c\n\tcmd: x\nd: A = 1\n");
        assert_eq!(targets.iter().collect::<Vec<_>>(), ["a", "b", "d"]);
        let below = make_targets("z: x\n");
        let of = |directory: &str| match directory {
            "below/" => below.clone(),
            _ => targets.clone(),
        };
        let check = |text: &str| {
            let lines = command_lines("README.md", text, "make");
            lines
                .iter()
                .map(|line| unknown_to_make(of, line).len())
                .sum::<usize>()
        };
        assert_eq!(check("`make a X=1` and `make b`"), 0);
        assert_eq!(check("`make a`, `make z`"), 1);
        assert_eq!(check("`make -C below`, `make -C below z`"), 0);
        assert_eq!(check("`make -C below a`"), 1);
    }

    #[test]
    fn dead_link_is_found() {
        let check = |text: &str| {
            dead_links("docs/a.md", text, |path| {
                path == "docs/b.md" || path == "c.md"
            })
            .len()
        };
        assert_eq!(
            check("[b](b.md#x) [c](../c.md) [w](https://x.y/z) [here](#part)"),
            0
        );
        assert_eq!(check("[b](../b.md)"), 1);
    }

    #[test]
    fn false_table_is_found() {
        let empty = architecture_is_true("");
        assert_eq!(empty.len(), super::ROOMS.len());
        let row = "| `prover` | proves | `api` `circuits` `protocol` `sequencer` | `rocksdb` |\n";
        let findings = architecture_is_true(row);
        assert!(
            findings
                .iter()
                .any(|finding| finding.contains("prover, may use")),
            "{findings:?}"
        );
        assert!(
            !findings
                .iter()
                .any(|finding| finding.contains("prover, must")),
            "{findings:?}"
        );
        assert!(architecture_is_true(&"\n".repeat(201)).len() == empty.len() + 1);
    }
}
