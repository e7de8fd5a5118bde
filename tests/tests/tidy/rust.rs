//! Rules on the text of one Rust file. Each is a function from a file to its findings.
//!
//! What rustc and clippy already check (missing docs, wildcard imports, disallowed types) is not
//! repeated here. Source: style guide, sections 2, 5, 7 and 8.

use crate::source::Source;

/// What is wrong and what to do about it, one line each; empty when the rule holds.
pub(crate) type Findings = Vec<String>;

/// A rule on one file.
pub(crate) type Rule = fn(&Source) -> Findings;

/// Every rule of this module, for the run over the repository.
pub(crate) const RULES: [Rule; 8] = [
    lint_exceptions_have_reasons,
    no_unfinished_work,
    no_skipped_tests,
    no_glob_reexports,
    docs_say_something,
    module_opens_with_docs,
    plain_ascii,
    no_unsafe_opt_out,
];

/// `allow` gives way to `expect`, and both name a reason.
pub(crate) fn lint_exceptions_have_reasons(source: &Source) -> Findings {
    let mut findings = Findings::new();
    for (at, text) in source.attributes() {
        for lint_level in ["allow", "expect"] {
            let uses = Source::words(text, lint_level);
            let bare = uses
                .iter()
                .any(|&word| text[word + lint_level.len()..].starts_with('('));
            let reasoned = Source::words(text, "reason")
                .iter()
                .any(|&word| text[word + "reason".len()..].trim_start().starts_with('='));
            if bare && !reasoned {
                findings.push(format!(
                    "{}: `{lint_level}(..)` without a reason; write `#[expect(lint, reason = \"why\")]`",
                    source.place(at)
                ));
            }
        }
    }
    findings
}

/// No mark of unfinished work may merge; a plan for later names its issue.
pub(crate) fn no_unfinished_work(source: &Source) -> Findings {
    let mut findings = Findings::new();
    for at in Source::words(&source.comments, "FIXME") {
        findings.push(format!("{}: FIXME may not merge; fix it", source.place(at)));
    }
    for at in Source::words(&source.code, "dbg") {
        if source.code[at + 3..].starts_with('!') {
            findings.push(format!(
                "{}: `dbg!` may not merge; remove it",
                source.place(at)
            ));
        }
    }
    for at in Source::words(&source.comments, "TODO") {
        let rest = &source.comments[at + 4..];
        let issue = rest
            .strip_prefix("(#")
            .and_then(|rest| rest.split_once(')'));
        let named = issue.is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if !named {
            findings.push(format!(
                "{}: TODO without an issue; write `TODO(#7)`",
                source.place(at)
            ));
        }
    }
    findings
}

/// A test runs and states what it expects; it is neither skipped nor satisfied by any panic.
pub(crate) fn no_skipped_tests(source: &Source) -> Findings {
    let mut findings = Findings::new();
    for (at, text) in source.attributes() {
        for word in ["ignore", "should_panic"] {
            let is_meta = Source::words(text, word).iter().any(|&from| {
                let before = text[..from].trim_end();
                before.is_empty() || before.ends_with(',') || before.ends_with('(')
            });
            let is_test_meta = is_meta && (text.starts_with(word) || text.starts_with("cfg_attr"));
            if is_test_meta {
                findings.push(format!(
                    "{}: `#[{word}]`; make the test run, or assert the typed error",
                    source.place(at)
                ));
            }
        }
    }
    findings
}

/// `pub use` names what it exports.
pub(crate) fn no_glob_reexports(source: &Source) -> Findings {
    let mut findings = Findings::new();
    for at in Source::words(&source.code, "pub") {
        let mut rest = source.code[at + 3..].trim_start();
        if rest.starts_with('(') {
            rest = rest
                .split_once(')')
                .map_or("", |(_, rest)| rest)
                .trim_start();
        }
        let Some(tree) = rest.strip_prefix("use ") else {
            continue;
        };
        let tree = tree.split(';').next().unwrap_or("");
        if tree.contains('*') {
            findings.push(format!(
                "{}: glob re-export; name the items",
                source.place(at)
            ));
        }
    }
    findings
}

/// A doc comment that only silences `missing_docs` is worse than none.
pub(crate) fn docs_say_something(source: &Source) -> Findings {
    let mut findings = Findings::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in source.comments.lines().chain([""]).enumerate() {
        let line = line.trim();
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        match (doc, &mut block) {
            (Some(text), None) => block = Some((index + 1, text.trim().to_owned())),
            (Some(text), Some((_, all))) => all.push_str(text.trim()),
            (None, _) => {
                if let Some((line, all)) = block.take() {
                    let words: String = all.chars().filter(|c| c.is_alphanumeric()).collect();
                    if words.is_empty() || words.eq_ignore_ascii_case("placeholder") {
                        let place = format!("{}:{line}", source.path);
                        findings.push(format!(
                            "{place}: doc comment that says nothing; write the contract"
                        ));
                    }
                }
            }
        }
    }
    findings
}

/// Every file opens with what it is, what it keeps true and what it does not do.
pub(crate) fn module_opens_with_docs(source: &Source) -> Findings {
    let first = source
        .text
        .lines()
        .map(str::trim)
        .find(|line| !(line.is_empty() || line.starts_with("#!") || is_plain_comment(line)));
    if first.is_some_and(|line| line.starts_with("//!")) {
        return Findings::new();
    }
    vec![format!(
        "{}:1: module without `//!` docs; say what it is and what it does not do",
        source.path
    )]
}

fn is_plain_comment(line: &str) -> bool {
    line.starts_with("//") && !line.starts_with("//!") && !line.starts_with("///")
}

/// Code is plain ASCII: no look-alike letters, no invisible direction marks.
pub(crate) fn plain_ascii(source: &Source) -> Findings {
    let foreign = source.text.char_indices().filter(|(_, c)| !c.is_ascii());
    foreign
        .take(3)
        .map(|(at, c)| {
            let place = source.place(at);
            let escape = c.escape_unicode();
            format!("{place}: {escape} in code; write it in ASCII or as an escape")
        })
        .collect()
}

/// The workspace forbids `unsafe`; a file that names the lint is trying to get around it.
pub(crate) fn no_unsafe_opt_out(source: &Source) -> Findings {
    let uses = Source::words(&source.code, "unsafe");
    uses.into_iter()
        .map(|at| {
            format!(
                "{}: `unsafe` is forbidden in this workspace",
                source.place(at)
            )
        })
        .collect()
}

/// Paths of one machine, in any text file.
pub(crate) fn no_machine_paths(path: &str, text: &str) -> Findings {
    // Spelled in two halves, so that this file does not find itself.
    let homes = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
    ];
    let mut findings = Findings::new();
    for (index, line) in text.lines().enumerate() {
        for home in homes {
            let starts = |at: usize| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_ascii_alphanumeric() || "._-~}".contains(c))
            };
            if line.match_indices(home).any(|(at, _)| starts(at)) {
                let place = format!("{path}:{}", index + 1);
                findings.push(format!(
                    "{place}: `{home}` is a path of one machine; use a relative one"
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{RULES, Rule, no_machine_paths};
    use crate::source::Source;

    /// Lines at which any rule objects to `text`.
    fn objections(text: &str) -> usize {
        let source = Source::new("sample.rs", text);
        RULES.iter().map(|rule| rule(&source).len()).sum()
    }

    fn check(rule: Rule, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(
                rule(&Source::new("sample.rs", text)),
                Vec::<String>::new(),
                "good: {text}"
            );
        }
        for text in bad {
            assert_eq!(
                rule(&Source::new("sample.rs", text)).len(),
                1,
                "bad: {text}"
            );
        }
    }

    #[test]
    fn clean_file_has_no_findings() {
        let text = "//! A module.\n\nuse std::fmt;\n\n/// A thing.\npub struct Thing;\n";
        assert_eq!(objections(text), 0);
    }

    #[test]
    fn lint_exception_without_reason_is_found() {
        check(
            super::lint_exceptions_have_reasons,
            &[
                "#[expect(dead_code, reason = \"kept\")]",
                "// #[allow(x)]",
                "x.expect(\"why\");",
            ],
            &[
                "#[allow(dead_code)]",
                "#![expect(a)]",
                "#[cfg_attr(test, allow(clippy::panic))]",
            ],
        );
    }

    #[test]
    fn unfinished_work_is_found() {
        check(
            super::no_unfinished_work,
            &[
                "// TODO(#12): later",
                "let s = \"TODO dbg!(x)\";",
                "fn dbg() {}",
                "// TODOS",
            ],
            &[
                "// FIXME: later",
                "dbg!(x);",
                "// TODO: later",
                "/// TODO(me): x",
                "// TODO(#x)",
            ],
        );
    }

    #[test]
    fn skipped_test_is_found() {
        check(
            super::no_skipped_tests,
            &[
                "#[test]",
                "#[cfg(feature = \"ignore\")]",
                "#[serde(skip)]",
                "fn ignore() {}",
            ],
            &[
                "#[ignore]",
                "#[ignore = \"slow\"]",
                "#[should_panic(expected = \"x\")]",
                "#[cfg_attr(x, ignore)]",
            ],
        );
    }

    #[test]
    fn glob_reexport_is_found() {
        check(
            super::no_glob_reexports,
            &[
                "pub use a::{b, c};",
                "use super::*;",
                "pub fn f() { a * b; }",
                "// pub use a::*;",
            ],
            &[
                "pub use a::*;",
                "pub(crate) use a::{\n    b,\n    c::*,\n};",
            ],
        );
    }

    #[test]
    fn empty_doc_is_found() {
        check(
            super::docs_say_something,
            &["/// A.\n///\n/// B.\nfn f() {}", "// ..\n", "//! Real.\n"],
            &[
                "/// ..\nfn f() {}",
                "//!\n",
                "//! Placeholder.\n",
                "    ///\n    x: u8,",
            ],
        );
    }

    #[test]
    fn module_without_docs_is_found() {
        check(
            super::module_opens_with_docs,
            &[
                "//! Docs.\n",
                "#![no_std]\n\n//! Docs.\n",
                "// Note.\n//! Docs.\n",
            ],
            &["use std::fmt;\n", "", "/// Not a module doc.\nfn f() {}\n"],
        );
    }

    #[test]
    fn foreign_letters_and_unsafe_are_found() {
        check(
            super::plain_ascii,
            &["let a = '\\u{e9}';"],
            &["let a = \"\u{e9}\";", "// \u{2014}"],
        );
        check(
            super::no_unsafe_opt_out,
            &["// unsafe", "unsafe_code"],
            &["unsafe { f() }"],
        );
    }

    #[test]
    fn path_of_one_machine_is_found() {
        for bad in [
            concat!("cd /ro", "ot/x"),
            concat!("\"/ho", "me/me/x\""),
            concat!("/wo", "rk/y"),
        ] {
            assert_eq!(no_machine_paths("a.md", bad).len(), 1, "{bad}");
        }
        for good in [
            "cd $HOME/x",
            concat!("docs/wo", "rk/x"),
            concat!("~/wo", "rk/x"),
            "/tmp/x",
        ] {
            assert_eq!(no_machine_paths("a.md", good).len(), 0, "{good}");
        }
    }
}
