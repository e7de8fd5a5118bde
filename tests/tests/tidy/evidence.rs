//! Tests that documents name as evidence must exist: a renamed or deleted test may not stay somebody's proof.
//!
//! A name counts in the documents below when it stands in a code span and reads like a test's: four words or
//! more, joined by underscores, perhaps behind its module. Whether the test shows what the document says is for readers.

use std::collections::BTreeSet;

use crate::rust::Findings;

/// The documents.
pub(crate) const DOCUMENTS: [&str; 3] = ["docs/attacks.md", "docs/l2beat.md", "docs/soundness.md"];

/// Underscores from which on a name is taken for a test's.
const UNDERSCORES_MIN: usize = 3;

/// Names of functions in Rust and Solidity text.
pub(crate) fn functions(text: &str) -> impl Iterator<Item = &str> {
    let starts = ["fn ", "function "].into_iter().flat_map(|word| {
        text.match_indices(word)
            .map(|(at, _)| &text[at + word.len()..])
    });
    starts.filter_map(|rest| rest.split(['(', '<', ' ', '\n']).next())
}

/// Names in a document that no function has.
pub(crate) fn unknown_tests(path: &str, text: &str, known: &BTreeSet<String>) -> Findings {
    let mut findings = Findings::new();
    for (index, line) in text.lines().enumerate() {
        for span in line.split('`').skip(1).step_by(2) {
            let name = span.rsplit("::").next().unwrap_or(span);
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let is_test = is_name && name.matches('_').count() >= UNDERSCORES_MIN;
            if is_test && !known.contains(name) {
                findings.push(format!("{path}:{}: no test is called {name}", index + 1));
            }
        }
    }
    findings
}

#[test]
fn a_name_that_no_function_has_is_found() {
    let sources = "    fn what_is_here_holds() {}\n function test_H1_it_pays() external {";
    let known: BTreeSet<String> = functions(sources).map(str::to_owned).collect();
    let text = "`settled::what_is_here_holds`, `test_H1_it_pays`, `a/b_c_d_e.rs`, `short_name`";
    assert_eq!(unknown_tests("a.md", text, &known), Findings::new());
    assert_eq!(
        unknown_tests("a.md", "`what_is_gone_held`", &known).len(),
        1
    );
}
