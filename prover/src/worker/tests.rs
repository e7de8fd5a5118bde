//! The loop against a queue and a prover that misbehave on purpose.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use api::jobs::{JobId, QueueStatus};

use super::*;

/// What the queue was asked, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Leased,
    Heartbeat(String),
    Submitted(Vec<u8>),
    Failed(String),
}

/// A queue that answers from scripts; when `leases` is empty it cancels `stop`.
struct Scripted {
    leases: Mutex<VecDeque<Result<Option<Lease>, ErrorCode>>>,
    submissions: Mutex<VecDeque<Result<Submitted, ErrorCode>>>,
    heartbeat: Result<u64, ErrorCode>,
    events: Mutex<Vec<Event>>,
    stop: CancellationToken,
}

fn refusal(code: ErrorCode) -> ApiError {
    ApiError::new(code, "scripted")
}

impl Scripted {
    fn new(
        leases: impl IntoIterator<Item = Result<Option<Lease>, ErrorCode>>,
        submissions: impl IntoIterator<Item = Result<Submitted, ErrorCode>>,
    ) -> Self {
        Self {
            leases: Mutex::new(leases.into_iter().collect()),
            submissions: Mutex::new(submissions.into_iter().collect()),
            heartbeat: Ok(1_000),
            events: Mutex::new(Vec::new()),
            stop: CancellationToken::new(),
        }
    }

    fn note(&self, event: Event) {
        self.events.lock().expect("events").push(event);
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().expect("events").clone()
    }
}

impl JobQueue for Scripted {
    async fn lease(&self, _worker: &WorkerInfo) -> Result<Option<Lease>, ApiError> {
        let next = self.leases.lock().expect("leases").pop_front();
        let Some(next) = next else {
            self.stop.cancel();
            return Ok(None);
        };
        if matches!(next, Ok(Some(_))) {
            self.note(Event::Leased);
        }
        next.map_err(refusal)
    }

    async fn heartbeat(
        &self,
        _job: JobId,
        _token: u64,
        phase: &str,
        _percent: u8,
    ) -> Result<u64, ApiError> {
        self.note(Event::Heartbeat(phase.to_owned()));
        self.heartbeat.map_err(refusal)
    }

    async fn submit(&self, _: JobId, _: u64, proof: Vec<u8>) -> Result<Submitted, ApiError> {
        self.note(Event::Submitted(proof));
        let next = self.submissions.lock().expect("submissions").pop_front();
        next.unwrap_or(Ok(Submitted::Accepted)).map_err(refusal)
    }

    async fn fail(&self, _: JobId, _: u64, reason: &str) -> Result<(), ApiError> {
        self.note(Event::Failed(reason.to_owned()));
        Ok(())
    }

    async fn status(&self) -> Result<QueueStatus, ApiError> {
        Ok(QueueStatus::default())
    }
}

fn lease(witness: u8) -> Result<Option<Lease>, ErrorCode> {
    lease_of(JobKind::Chunk, witness)
}

fn lease_of(kind: JobKind, witness: u8) -> Result<Option<Lease>, ErrorCode> {
    let witness = vec![witness];
    Ok(Some(Lease {
        job: JobId::new(kind, &witness),
        token: 1,
        kind,
        batch: 1,
        index: 0,
        lease_ms: 80,
        witness,
    }))
}

/// Proves a witness by repeating it; 0 fails, 1 panics, 2 takes a while, 3 takes for ever.
struct Echo;

impl JobProver for Echo {
    fn prove(
        &self,
        _kind: JobKind,
        witness: &[u8],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError> {
        progress(Progress {
            phase: Phase::Quotient,
            percent: 40,
        });
        match witness {
            [0] => return Err(JobError::InvalidWitness("zero".to_owned())),
            [1] => panic!("scripted"),
            [2] => std::thread::sleep(Duration::from_millis(200)),
            [3] => std::thread::sleep(Duration::from_secs(5)),
            _ => {}
        }
        Ok(witness.repeat(2))
    }
}

fn config() -> WorkerConfig {
    WorkerConfig::new(WorkerInfo {
        name: "test".to_owned(),
        memory_mb: 1,
        kinds: JobKind::ALL.to_vec(),
    })
}

fn run(queue: &Scripted) -> Result<WorkerReport, WorkerError> {
    run_with(queue, Echo)
}

fn run_with(queue: &Scripted, prover: impl JobProver) -> Result<WorkerReport, WorkerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(run_worker(queue, Arc::new(prover), &config(), &queue.stop));
    runtime.shutdown_background();
    result
}

#[test]
fn jobs_are_proven_in_turn_and_handed_in() {
    let queue = Scripted::new([lease(8), Ok(None), lease(9)], []);
    let report = run(&queue).expect("report");
    assert_eq!(
        report,
        WorkerReport {
            accepted: 2,
            duplicate: 0,
            kept: 0,
            failed: 0
        }
    );
    let submitted = [vec![8, 8], vec![9, 9]].map(Event::Submitted);
    let events: Vec<Event> = queue
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Submitted(_)))
        .collect();
    assert_eq!(events, submitted);
}

#[test]
fn long_proofs_report_their_phase() {
    let queue = Scripted::new([lease(2)], []);
    run(&queue).expect("report");
    let beats = queue
        .events()
        .into_iter()
        .filter(|event| *event == Event::Heartbeat("quotient".to_owned()))
        .count();
    assert!(
        (2..=12).contains(&beats),
        "{beats} heartbeats in 200 ms at one each 20 ms"
    );
}

#[test]
fn lost_lease_ends_heartbeats_but_not_the_proof() {
    let mut queue = Scripted::new([lease(2)], [Ok(Submitted::Duplicate)]);
    queue.heartbeat = Err(ErrorCode::LeaseLost);
    let report = run(&queue).expect("report");
    assert_eq!(
        report,
        WorkerReport {
            accepted: 0,
            duplicate: 1,
            kept: 0,
            failed: 0
        }
    );
    let beats = queue
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Heartbeat(_)))
        .count();
    assert_eq!(beats, 1);
}

#[test]
fn failed_and_panicked_jobs_go_back_with_a_reason_and_the_worker_gives_up_in_the_end() {
    let queue = Scripted::new([lease(0), lease(1), lease(0), lease(8)], []);
    let error = run(&queue).expect_err("three failures in a row");
    assert!(
        matches!(error, WorkerError::Failing { failed: 3, .. }),
        "{error}"
    );
    let reasons = queue
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Failed(_)))
        .count();
    assert_eq!(reasons, 3);
    let queue = Scripted::new([lease(0), lease(8), lease(0), lease(0), lease(9)], []);
    let report = run(&queue).expect("never three in a row");
    assert_eq!(
        report,
        WorkerReport {
            accepted: 2,
            duplicate: 0,
            kept: 0,
            failed: 3
        }
    );
}

#[test]
fn refused_proofs_end_the_worker() {
    let rejected = || Ok(Submitted::Rejected);
    let queue = Scripted::new((8..16).map(lease), [rejected(), rejected(), rejected()]);
    assert_eq!(run(&queue), Err(WorkerError::Rejected { refused: 3 }));
    let queue = Scripted::new([Err(ErrorCode::InvalidWorker)], []);
    assert!(matches!(run(&queue), Err(WorkerError::InvalidWorker(_))));
}

#[test]
fn a_proof_that_a_server_keeps_is_handed_in_once() {
    let queue = Scripted::new([lease(8), lease(9)], [Ok(Submitted::Kept)]);
    let report = run(&queue).expect("report");
    assert_eq!((report.kept, report.accepted, report.failed), (1, 1, 0));
    let submitted = queue.events().into_iter();
    let submitted = submitted.filter(|event| matches!(event, Event::Submitted(_)));
    assert_eq!(submitted.count(), 2);
}

#[test]
fn unreachable_queue_is_asked_again_and_the_proof_survives_it() {
    let leases = [Err(ErrorCode::Unavailable), lease(8)];
    let queue = Scripted::new(
        leases,
        [Err(ErrorCode::Unavailable), Ok(Submitted::Accepted)],
    );
    assert_eq!(run(&queue).expect("report").accepted, 1);
    let submitted = Event::Submitted(vec![8, 8]);
    assert_eq!(
        queue
            .events()
            .iter()
            .filter(|event| **event == submitted)
            .count(),
        2
    );
}

#[test]
fn stopping_worker_gives_its_lease_back_at_once() {
    let queue = Scripted::new([lease(3)], []);
    let stop = queue.stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        stop.cancel();
    });
    let from = std::time::Instant::now();
    run(&queue).expect("report");
    assert!(
        from.elapsed() < Duration::from_secs(3),
        "it must not wait for the proof"
    );
    assert!(
        queue
            .events()
            .contains(&Event::Failed("the worker is stopping".to_owned()))
    );
}

/// Provers whose aggregation takes a while to load, fails as often as it is told, and counts.
fn provers(failures: u32, loads: &Arc<AtomicU32>) -> Provers<Echo, Echo> {
    let loads = Arc::clone(loads);
    let load = move || {
        std::thread::sleep(Duration::from_millis(200));
        match loads.fetch_add(1, Ordering::Relaxed) {
            before if before < failures => Err(JobError::Internal("no keys".to_owned())),
            _ => Ok(Echo),
        }
    };
    Provers::new(Some(Echo), Box::new(load))
}

#[test]
fn keys_of_aggregation_are_loaded_once_at_the_first_job_that_needs_them() {
    let loads = Arc::new(AtomicU32::new(0));
    let prover = provers(0, &loads);
    let phases = Mutex::new(Vec::new());
    let sink = |now: Progress| phases.lock().expect("phases").push(now.phase);
    for (kind, expected) in [
        (JobKind::Chunk, 0),
        (JobKind::Data, 0),
        (JobKind::Join, 1),
        (JobKind::Close, 1),
        (JobKind::Finish, 1),
    ] {
        assert_eq!(prover.prove(kind, &[8], &sink), Ok(vec![8, 8]));
        assert_eq!(loads.load(Ordering::Relaxed), expected, "{kind:?}");
    }
    let phases = phases.into_inner().expect("phases");
    let keys = phases.iter().position(|phase| *phase == Phase::Keys);
    assert_eq!(keys, Some(2), "said before the load: {phases:?}");
}

#[test]
fn a_lease_lives_while_keys_are_loaded() {
    let loads = Arc::new(AtomicU32::new(0));
    let queue = Scripted::new(
        [lease_of(JobKind::Join, 8), lease_of(JobKind::Finish, 9)],
        [],
    );
    let report = run_with(&queue, provers(0, &loads)).expect("report");
    assert_eq!(report.accepted, 2);
    let beats = queue.events().into_iter();
    let beats = beats.filter(|event| *event == Event::Heartbeat("keys".to_owned()));
    let beats = beats.count();
    assert!((2..=12).contains(&beats), "{beats} heartbeats in 200 ms");
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[test]
fn a_job_whose_keys_do_not_load_goes_back_and_the_next_one_tries_again() {
    let loads = Arc::new(AtomicU32::new(0));
    let jobs = [JobKind::Close, JobKind::Chunk, JobKind::Close].map(|kind| lease_of(kind, 8));
    let queue = Scripted::new(jobs, []);
    let report = run_with(&queue, provers(1, &loads)).expect("report");
    assert_eq!((report.failed, report.accepted), (1, 2));
    let reason = "the prover failed: no keys".to_owned();
    assert!(queue.events().contains(&Event::Failed(reason)));
    assert_eq!(loads.load(Ordering::Relaxed), 2);
}

#[test]
fn a_worker_without_keys_of_chunks_proves_none() {
    let prover: Provers<Echo, Echo> = Provers::new(None, Box::new(|| Ok(Echo)));
    let refused = prover.prove(JobKind::Chunk, &[8], &|_| {});
    assert!(matches!(refused, Err(JobError::Internal(_))), "{refused:?}");
    let proven = prover.prove(JobKind::Join, &[8], &|_| {});
    assert_eq!(proven, Ok(vec![8, 8]));
}
