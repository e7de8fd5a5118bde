//! `quorate completions` and `quorate man`: made from the command tree, so they cannot be out of date.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use serde::Serialize;

use crate::app;
use crate::exit::{CliError, Exit, Outcome};
use crate::output::Output;

/// Arguments of `quorate completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to print the script for
    shell: Shell,
}

/// Arguments of `quorate man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory for the pages, one per command; it is made if absent
    directory: PathBuf,
}

/// Prints a completion script.
///
/// # Errors
/// None today.
pub(crate) fn completions(args: &CompletionsArgs, output: Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut app::command(), "quorate", &mut script);
    output.raw(&script);
    Ok(Exit::Success)
}

#[derive(Serialize)]
struct Written {
    pages: Vec<PathBuf>,
}

/// Writes the man pages of the whole tree.
///
/// # Errors
/// `Unavailable` if a page cannot be written.
pub(crate) fn man(args: &ManArgs, output: Output) -> Outcome {
    let unwritable = |error: std::io::Error| CliError::unwritable(&args.directory, error);
    fs::create_dir_all(&args.directory).map_err(unwritable)?;
    clap_mangen::generate_to(app::command(), &args.directory).map_err(unwritable)?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(&args.directory).map_err(unwritable)? {
        pages.push(entry.map_err(unwritable)?.path());
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "1"));
    pages.sort();
    output.data(&Written { pages }, |written| {
        written
            .pages
            .iter()
            .map(|page| format!("{}\n", page.display()))
            .collect()
    });
    Ok(Exit::Success)
}
