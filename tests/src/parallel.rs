//! A campaign on every core, without a thread pool.
//!
//! rayon is not used here on purpose: halo2 waits in its pool, and a waiting thread of a pool takes
//! up the next case in the middle of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Failures that are told; the rest is counted.
const FAILURES_TOLD_MAX: usize = 20;

/// Runs `check` on every case.
///
/// # Panics
/// With the first failures, if there are any.
pub fn check_all<T: Sync>(cases: &[T], check: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = check(case) {
                        failures.lock().expect("nobody panics here").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics here");
    let told = &failures[..failures.len().min(FAILURES_TOLD_MAX)];
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        told.join("\n")
    );
}
