//! A node that is killed, again and again, while a client pays: nothing it acknowledged is lost, nothing is applied
//! twice, and it serves again within seconds.
//!
//! `QUORATE_CRASH_SEED` replays a seed (the clock still has its part), `QUORATE_CRASH_KILLS` sets the number of
//! SIGKILLs; the 20 kills inside write paths come on top.

#[path = "crash/campaign.rs"]
mod campaign;
#[path = "crash/client.rs"]
mod client;
#[path = "support/node.rs"]
mod node;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::campaign::Campaign;
use crate::node::Chain;

/// Seed of `make test`.
const SEED: u64 = 20_261_122;
/// Kills of `make test`; ten times as many in soak.
const KILLS: u64 = 100;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

fn seed() -> u64 {
    setting("QUORATE_CRASH_SEED").unwrap_or(SEED)
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "the figures and the seed belong to the report"
)]
fn kills_under_load_lose_nothing_acknowledged() {
    let is_soak = std::env::var("QUORATE_SOAK").is_ok_and(|value| value == "1");
    let usual = if is_soak { 10 * KILLS } else { KILLS };
    let kills = setting("QUORATE_CRASH_KILLS").unwrap_or(usual);
    let seed = seed();
    eprintln!("QUORATE_CRASH_SEED={seed}, {kills} kills");
    let figures = Campaign::new(seed).run(kills);
    eprintln!("{figures}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a failure needs its seed")]
fn kills_while_the_database_is_made_leave_a_directory_that_starts() {
    let seed = seed();
    eprintln!("QUORATE_CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let chain = Chain::new(1, &[]);
    let (whole, start) = chain.spawn(None).serving().expect("a start");
    whole.stop();
    for case in 0..12 {
        std::fs::remove_dir_all(chain.path("data")).expect("the last database");
        // Up to three kills in the same directory: what the first left must not mislead the second.
        for _ in 0..rng.gen_range(1..=3) {
            let mut process = chain.spawn(None);
            let moment = rng.gen_range(Duration::ZERO..start);
            std::thread::sleep(moment);
            process.kill();
        }
        let node = chain.start();
        assert!(node.is_ready(), "case {case}");
        drop(node);
        // And what it made is whole.
        chain.start().stop();
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_explained() {
    let chain = Chain::new(1, &[]);
    let node = chain.start();
    let refusal = refused(&mut chain.command(), 3);
    assert!(refusal.contains("in use by another process"), "{refusal}");
    assert!(node.is_ready(), "the first node does not care");
    node.stop();

    // Nothing in the directory may be written, by a user who is not above permissions.
    let (binary, cache) = (chain.path("quorate"), chain.path("cache"));
    std::fs::copy(env!("CARGO_BIN_EXE_quorate"), &binary).expect("a copy of the binary");
    std::fs::create_dir(&cache).expect("a cache");
    for file in descriptions() {
        let name = file.file_name().expect("a file's name");
        std::fs::copy(&file, cache.join(name)).expect("a key description");
    }
    let data = chain.path("data");
    let files = std::fs::read_dir(&data).expect("the database");
    for file in files.map(|entry| entry.expect("a file").path()) {
        permit(&file, 0o444);
    }
    permit(&data, 0o555);
    permit(&chain.path(""), 0o755);
    let usual = chain.command();
    let mut command = Command::new(&binary);
    command.args(usual.get_args()).arg("--cache").arg(&cache);
    if std::fs::metadata(&binary).expect("the binary").uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    let refusal = refused(&mut command, 3);
    assert!(
        refusal.contains("cannot be read or written") && refusal.contains("ermission"),
        "{refusal}"
    );
    permit(&data, 0o755);
}

/// Standard error of a command that must end by itself with this code.
fn refused(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn permit(path: &Path, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("permissions");
}

/// The key descriptions that a start has put into the usual cache.
fn descriptions() -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(campaign::cache()).expect("the cache");
    files
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "bin"))
        .collect()
}
