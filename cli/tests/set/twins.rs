//! One key on two processes: an operator's mistake that the guards of the two cannot see, and everybody else can.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::node::quorate;
use crate::payer::Load;
use crate::set::{PATIENCE, Set};
use crate::{ACCOUNTS, FOUR};

/// Whose key it is.
const TWIN: usize = 3;
/// An orderly end takes less.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Whom a file convicts, in the judgement of `quorate verify evidence`, which needs no node.
fn offenders(genesis: &Path, file: &Path) -> Vec<String> {
    let judged = quorate()
        .args(["verify", "evidence", "--json", "--genesis"])
        .args([genesis, file])
        .output()
        .expect("the binary runs");
    assert!(judged.status.success(), "{}: {judged:?}", file.display());
    let verdict: Value = serde_json::from_slice(&judged.stdout).expect("one JSON object");
    let offenders = verdict["offenders"].as_array().expect("a list");
    let address = |offender: &Value| offender["address"].as_str().expect("text").to_owned();
    offenders.iter().map(address).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_on_two_processes_convicts_itself_and_nobody_else_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(3).await;
    let mut twin = set.start_twin(TWIN);
    let until = Instant::now() + PATIENCE;
    while set.evidence().is_empty() {
        assert!(Instant::now() < until, "nobody has seen a contradiction");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let target = set.highest().await + 5;
    set.reach_on(&[0, 1, 2], target).await;
    twin.process.signal(Signal::SIGTERM);
    assert!(twin.process.wait(STOP_MAX).is_some(), "the twin goes on");
    set.advance(3).await;
    load.settle(&mut set).await;
    let guilty = set.validator(TWIN).to_string();
    set.stop_all();
    let files = set.evidence();
    for file in &files {
        let offenders = offenders(&set.genesis(), file);
        assert_eq!(
            offenders,
            std::slice::from_ref(&guilty),
            "{}",
            file.display()
        );
    }
    let shown = |number: usize| files.iter().any(|file| file.starts_with(set.data(number)));
    for number in 0..TWIN {
        assert!(shown(number), "node {number} holds no evidence");
    }
}
