//! Everything the program says: data on stdout, errors and progress on stderr.
//!
//! A closed pipe is not an error: whoever closed it has seen enough.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::CliError;

/// How a run speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// JSON if `json`, else text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether data is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: `value` as one line of JSON, or what `text` makes of it.
    pub(crate) fn data<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        let mut line = if self.json {
            serde_json::to_string(value).expect("our own data has string keys and no cycles")
        } else {
            text(value)
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        write(&mut std::io::stdout(), line.as_bytes());
    }

    /// Prints text that is data in either form: a completion script, a man page.
    pub(crate) fn raw(self, bytes: &[u8]) {
        write(&mut std::io::stdout(), bytes);
    }

    /// A remark for people, on stderr; nothing with `--json`.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            write(&mut std::io::stderr(), format!("{text}\n").as_bytes());
        }
    }

    /// Prints an error on stderr: what, why, and what to do.
    pub(crate) fn error(self, error: &CliError) {
        let text = if self.json {
            let value = serde_json::json!({
                "error": {
                    "exit_code": error.exit.code(),
                    "what": error.what,
                    "why": error.why,
                    "todo": error.todo,
                }
            });
            format!("{value}\n")
        } else {
            let CliError {
                what, why, todo, ..
            } = error;
            format!("error: {what}\n  why: {why}\n  do:  {todo}\n")
        };
        write(&mut std::io::stderr(), text.as_bytes());
    }

    /// A progress bar of `length` steps on stderr; invisible with `--json` or without a terminal.
    pub(crate) fn progress(self, length: u64, what: &str) -> ProgressBar {
        let visible = !self.json && std::io::stderr().is_terminal();
        let target = if visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style =
            ProgressStyle::with_template("{msg:24} [{bar:32}] {pos}/{len} {elapsed} eta {eta}")
                .expect("the template is fixed")
                .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        bar.set_message(what.to_owned());
        bar
    }
}

fn write(stream: &mut impl Write, bytes: &[u8]) {
    // Nobody is left to tell if this fails.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// Two columns: names padded to the longest, values as they are.
pub(crate) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("  {name:width$}  {value}\n"))
        .collect()
}

/// A table with a header row.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}
