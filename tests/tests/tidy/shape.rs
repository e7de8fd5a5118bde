//! Rules on the shape of the repository: how long a file may be and what it may be called.
//!
//! Source: style guide, section 2 (files, modules) and section 1 (names of crates).

use crate::rust::Findings;
use crate::source::Source;

/// A file may have this many lines outside its inline test modules; question it at 600.
const FILE_LINES_MAX: usize = 800;

/// An inline test module may have this many lines; a longer one moves to `<module>/tests.rs`.
const TEST_MODULE_LINES_MAX: usize = 300;

/// Names that say nothing: a module is named after the noun it is about.
const VAGUE_NAMES: [&str; 7] = [
    "utils", "util", "helpers", "helper", "common", "misc", "types",
];

/// Endings of crate names that mark a drawer instead of a room.
const VAGUE_CRATE_ENDINGS: [&str; 4] = ["-types", "-config", "-utils", "-common"];

/// Length limits. Files that hold only tests have no limit but taste.
pub(crate) fn file_is_short(source: &Source) -> Findings {
    let mut findings = Findings::new();
    let mut lines = source.text.lines().count();
    for (from, to) in source.test_modules() {
        let len = source.line_at(to) - source.line_at(from) + 1;
        lines -= len;
        if len > TEST_MODULE_LINES_MAX {
            findings.push(format!(
                "{}: test module of {len} lines, at most {TEST_MODULE_LINES_MAX}; move it to a file `tests.rs`",
                source.place(from)
            ));
        }
    }
    if lines > FILE_LINES_MAX && !is_test_file(&source.path) {
        let path = &source.path;
        findings.push(format!(
            "{path}: {lines} lines without tests, at most {FILE_LINES_MAX}; split it by noun"
        ));
    }
    findings
}

/// Whether a path holds tests only: `<crate>/tests/..` or a file `tests.rs` below its module.
pub(crate) fn is_test_file(path: &str) -> bool {
    let components: Vec<&str> = path.split('/').collect();
    components
        .iter()
        .skip(1)
        .any(|part| *part == "tests" || *part == "tests.rs")
}

/// No `mod.rs`, no vague module or directory, inline ones included.
pub(crate) fn modules_are_named(source: &Source) -> Findings {
    let mut findings = Findings::new();
    let path = &source.path;
    for part in path.split('/') {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if VAGUE_NAMES.contains(&stem) {
            findings.push(format!(
                "{path}: nothing may be called `{stem}`; name the noun it is about"
            ));
        }
    }
    if path.ends_with("/mod.rs") {
        findings.push(format!(
            "{path}: use `foo.rs` beside `foo/` instead of `foo/mod.rs`"
        ));
    }
    for (name, at, _) in source.inline_modules() {
        if VAGUE_NAMES.contains(&name.as_str()) {
            findings.push(format!(
                "{}: no module may be called `{name}`",
                source.place(at)
            ));
        }
    }
    findings
}

/// A crate is a room with a purpose, so its name is not a suffix.
pub(crate) fn crate_is_named(package: &str) -> Findings {
    let ending = VAGUE_CRATE_ENDINGS
        .iter()
        .find(|ending| package.ends_with(*ending));
    ending
        .map(|ending| format!("crate {package}: no crate ends in `{ending}`"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{crate_is_named, file_is_short, is_test_file, modules_are_named};
    use crate::source::Source;

    fn lines(count: usize) -> String {
        "fn f() {}\n".repeat(count)
    }

    #[test]
    fn long_file_is_found() {
        assert_eq!(
            file_is_short(&Source::new("a/src/b.rs", &lines(800))).len(),
            0
        );
        assert_eq!(
            file_is_short(&Source::new("a/src/b.rs", &lines(801))).len(),
            1
        );
        assert_eq!(
            file_is_short(&Source::new("tests/src/b.rs", &lines(801))).len(),
            1
        );
        assert_eq!(
            file_is_short(&Source::new("a/tests/b.rs", &lines(801))).len(),
            0
        );
    }

    #[test]
    fn tests_inside_a_file_count_apart() {
        let with_tests = |code: usize, tests: usize| {
            let text = format!(
                "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
                lines(code),
                lines(tests)
            );
            file_is_short(&Source::new("a/src/b.rs", &text)).len()
        };
        assert_eq!(with_tests(790, 298), 0);
        assert_eq!(with_tests(790, 299), 1);
        assert_eq!(with_tests(801, 400), 2);
    }

    #[test]
    fn vague_name_is_found() {
        let findings = |path: &str, text: &str| modules_are_named(&Source::new(path, text)).len();
        assert_eq!(findings("a/src/utils.rs", ""), 1);
        assert_eq!(findings("a/src/common/b.rs", ""), 1);
        assert_eq!(findings("a/src/b/mod.rs", ""), 1);
        assert_eq!(findings("a/src/b.rs", "mod types {}"), 1);
        assert_eq!(
            findings("a/src/typesetting.rs", "mod b; // mod types {}"),
            0
        );
        assert_eq!(crate_is_named("quorate-types").len(), 1);
        assert_eq!(crate_is_named("quorate-tests").len(), 0);
    }

    #[test]
    fn test_files_are_told_from_the_tests_package() {
        assert!(is_test_file("tests/tests/a.rs") && is_test_file("a/src/b/tests.rs"));
        assert!(!is_test_file("tests/src/lib.rs") && !is_test_file("a/src/contests.rs"));
    }
}
