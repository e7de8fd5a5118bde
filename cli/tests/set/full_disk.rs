//! A node whose disk is full says so and ends; what it could not write, it did not sign.
//!
//! The disk is a file system in memory. Where it cannot be mounted (that takes root), the files of the node may not grow
//! instead, which the system refuses in other words; then its log is cut off as well, and only its exit code speaks.

use std::process::Command;

use serde_json::Value;

use crate::payer::Load;
use crate::set::Set;
use crate::set::disk::SmallDisk;
use crate::{ACCOUNTS, FOUR};

/// Whose disk it is.
const POOR: usize = 3;
/// A database with its log fits, and some hundred blocks.
const DISK_BYTES: u64 = 256 << 20;
/// Exit code for a failed disk, network or process.
const UNAVAILABLE: i32 = 3;

/// Takes the room away, in the way that this machine permits.
enum Room {
    Disk(SmallDisk),
    Limit,
}

impl Room {
    #[expect(clippy::print_stderr, reason = "another way than usual says so")]
    fn new(set: &mut Set) -> Self {
        match SmallDisk::mount(set.data(POOR), DISK_BYTES) {
            Ok(disk) => Self::Disk(disk),
            Err(why) => {
                eprintln!("NO SMALL DISK ({why}): files that may not grow stand in for it");
                set.survive_file_limits(POOR);
                Self::Limit
            }
        }
    }

    fn take(&self, set: &Set) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Limit => limit_files(set),
        }
    }

    /// A node started anew has no limit.
    fn give_back(&self) {
        if let Self::Disk(disk) = self {
            disk.clear();
        }
    }

    /// The node's last words are one JSON object, and its log says that the disk is the matter: which part of the node
    /// meets it first is chance.
    fn check_last_words(&self, log: &str) {
        if matches!(self, Self::Limit) {
            return;
        }
        let last = log.lines().last().expect("a log");
        let error: Value =
            serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {log}"));
        assert!(error["error"]["why"].is_string(), "{error}");
        assert!(log.contains("No space left on device"), "{log}");
    }
}

/// From now on the record of what the node signed does not grow, nor does any file beyond its length.
fn limit_files(set: &Set) {
    let guard = std::fs::metadata(set.data(POOR).join("agreement/guard")).expect("a guard");
    let limited = Command::new("prlimit")
        .arg(format!("--fsize={}", guard.len()))
        .args(["--pid", &set.pid(POOR).to_string()])
        .status()
        .expect("prlimit of util-linux");
    assert!(limited.success(), "{limited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_a_full_disk_ends_and_comes_back_when_there_is_room_slow() {
    let mut set = Set::new(FOUR, ACCOUNTS);
    let room = Room::new(&mut set);
    set.start_all();
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    room.take(&set);
    let (code, log) = set.ended(POOR);
    assert_eq!(code, Some(UNAVAILABLE), "{log}");
    room.check_last_words(&log);
    set.advance(5).await;
    room.give_back();
    set.start_one(POOR);
    set.advance(5).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}
