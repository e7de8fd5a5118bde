//! A validator whose clock is wrong by an hour, either way: blocks go on, and no block's time is wrong.
//!
//! The clock is shifted for one process by a few lines of C between it and the system, made by the compiler that RocksDB
//! needs anyway. (Linux's time namespaces shift only clocks that count from the machine's start.)

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use api::rpc::QuorateClient;

use crate::payer::Load;
use crate::set::Set;
use crate::{ACCOUNTS, FOUR};

/// Whose clock it is.
const WRONG: usize = 3;
/// How wrong it is.
const SKEW_S: i64 = 3_600;
/// What a test may take; far less than the skew.
const TEST_MS: u64 = 600_000;

/// Stands in for the C library's own.
const CLOCK: &str = "
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += SKEW_S;
    return result;
}
";

/// Makes a library that shifts the clock of whoever loads it.
fn wrong_clock(directory: &Path, skew_s: i64) -> PathBuf {
    let library = directory.join(format!("clock{skew_s}.so"));
    let source = directory.join("clock.c");
    std::fs::write(&source, CLOCK).expect("a file");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", &format!("-DSKEW_S={skew_s}"), "-o"])
        .args([&library, &source])
        .status()
        .expect("a C compiler");
    assert!(made.success(), "{made}");
    library
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("a small number")
}

/// What a program that loads the library takes for the time.
fn time_with(library: &Path) -> u64 {
    let date = Command::new("date")
        .arg("+%s")
        .env("LD_PRELOAD", library)
        .output()
        .expect("date");
    let text = String::from_utf8(date.stdout).expect("digits");
    1_000 * text.trim().parse::<u64>().expect("seconds")
}

/// Every block since genesis was made in this test, by its time.
async fn check_times(set: &Set, started_ms: u64) {
    for height in 1..=set.height(0).await {
        let block = set.client(0).block(Some(height)).await.expect("a block");
        let is_right = (started_ms..=now_ms()).contains(&block.timestamp_ms);
        assert!(is_right, "height {height} is of {}", block.timestamp_ms);
    }
}

/// Starts the validator with a wrong clock, and whoever else does not run.
fn start_with(set: &mut Set, library: &Path) {
    let away = time_with(library).abs_diff(now_ms());
    assert!(away > TEST_MS, "the clock is wrong by {away} ms only");
    set.preload(WRONG, library);
    set.start_all();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", set.pid(WRONG)));
    let name = library.to_str().expect("UTF-8");
    assert!(
        maps.expect("it runs").contains(name),
        "{name} is not loaded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_by_an_hour_moves_no_blocks_time_slow() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let started_ms = now_ms();
    let mut set = Set::new(FOUR, ACCOUNTS);
    start_with(&mut set, &wrong_clock(directory.path(), SKEW_S));
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    check_times(&set, started_ms).await;
    set.kill(WRONG);
    start_with(&mut set, &wrong_clock(directory.path(), -SKEW_S));
    set.advance(5).await;
    check_times(&set, started_ms).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}
