//! The one binary, `quorate`: devnet, node, prover worker, offline verifier, wallet and doctor.
//!
//! One subcommand per file in `commands/`. Data goes to stdout, logs and errors to stderr; `--json` makes both
//! machine-readable. Exit codes are `exit::Exit`. Secrets never stand in arguments: they come by prompt, from a
//! file or from a named environment variable.
//!
//! What it does not do: it decides nothing. Rules are `protocol`'s, belief is `verifier`'s, ordering is
//! `sequencer`'s; here they are started, connected and shown.

mod app;
mod base_layer;
mod commands;
mod config;
mod demo;
mod development;
mod exit;
mod files;
mod genesis_file;
mod keys;
mod logs;
mod node;
mod output;
mod process;
mod secret;
mod service;
mod wallet;

pub use app::{command, run};
