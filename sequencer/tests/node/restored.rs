//! A validator whose disk is put back to an older copy: its peers know better than it what it has signed.

use std::{path::Path, time::Duration};

use api::status::NodeRole;

use crate::set::{COUNT, Set};

/// Time to stop three nodes between two blocks.
const UNHURRIED: Duration = Duration::from_secs(3);
/// A vote reaches its peers long before.
const TOLD: Duration = Duration::from_millis(500);
/// The validator that is restored.
const RESTORED: u8 = 1;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The copy stands at the newest decided height, and so shows nothing of the vote in the height above it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restored_validator_is_silent_in_the_height_in_which_a_peer_has_seen_its_vote() {
    let mut set = Set::start_with(COUNT, UNHURRIED).await;
    set.wait_for_height(0, 2).await;
    let before = set.height(0).await;
    set.wait_for_height(RESTORED, before + 1).await;
    for number in [RESTORED, 2, 3] {
        set.stop_one(number).await;
    }
    let data = set.data_dir(RESTORED);
    let kept = tempfile::TempDir::new().unwrap();
    copy(&data, kept.path());
    let guard = data.join("agreement/guard");
    let length = || std::fs::metadata(&guard).unwrap().len();
    let signed_before = length();
    let open = before + 2;
    assert_eq!(set.height(0).await + 1, open, "decided meanwhile");

    // two of four: a vote in the open height, and no decision
    set.start_one(RESTORED).await;
    assert_eq!(set.role(RESTORED).await.0, NodeRole::Validator);
    for _ in 0..400 {
        if length() > signed_before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(length() > signed_before, "nothing is signed");
    tokio::time::sleep(TOLD).await;
    set.stop_one(RESTORED).await;

    std::fs::remove_dir_all(&data).unwrap();
    copy(kept.path(), &data);
    set.start_one(RESTORED).await;
    let observer = (NodeRole::Observer, Some(open));
    assert_eq!(set.role(RESTORED).await, observer);
    // what it was shown outlives the peer that showed it
    set.stop_one(RESTORED).await;
    set.start_one(RESTORED).await;
    assert_eq!(set.role(RESTORED).await, observer);

    set.start_one(2).await;
    set.start_one(3).await;
    set.wait_for_height(RESTORED, open + 2).await;
    assert_eq!(set.role(RESTORED).await, (NodeRole::Validator, None));
    for number in 0..COUNT {
        assert_eq!(set.evidence(number).len(), 0, "node {number}");
    }
    set.stop().await;
}
