//! Logs on stderr, and the end of a process that panicked.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::{CliError, Exit};

/// Environment variable that overrides the level, in `tracing`'s filter syntax.
pub(crate) const FILTER_VARIABLE: &str = "QUORATE_LOG";

/// Levels that are about this program: the engine and the network library tell each vote and each connection at `info`.
const OWN_LEVELS: [&str; 2] = ["warn", "info"];
/// What those two say at such a level.
const LIBRARIES: &str = "arc_malachitebft=error,libp2p=error";

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`, `trace`, or a filter of `tracing`).
///
/// # Errors
/// `Usage` for a filter that is none.
pub(crate) fn start(level: &str, json: bool) -> Result<(), CliError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| level.to_owned());
    let filter = match OWN_LEVELS.contains(&filter.as_str()) {
        true => format!("{filter},{LIBRARIES}"),
        false => filter,
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        let what = format!("{filter:?} is not a log filter");
        CliError::new(
            Exit::Usage,
            what,
            error,
            "use error, warn, info, debug or trace",
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process is only possible in tests and keeps the first.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    Ok(())
}

/// Makes every panic end the process: a node that lost a thread must not go on (all state survives a kill).
///
/// The release profile unwinds, because tests share it (docs/adr/0002); so the hook aborts instead.
pub(crate) fn abort_on_panic() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "a thread panicked; the process ends here");
        earlier(panic);
        std::process::abort();
    }));
}
