//! The way from proofs to the final proof: which jobs there are when, and which results count.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::jobs::{
    ACCUMULATOR_LIMBS, AggregationWitness, JobId, JobKind, JobQueue, Lease, StatedProof, Submitted,
    WorkerInfo,
};
use protocol::{
    Fr, account::L1Address, codec::field_to_be_bytes, number::BatchNumber,
    public_inputs::PublicInputs,
};
use tempfile::TempDir;

use super::WINDOW;
use crate::{
    JobsConfig, MempoolConfig,
    events::Event,
    fixture::{CHUNK, HashVerifier, REWARDED, Rig, aggregated, genesis, proof_for, sign, transfer},
    sets::GenesisSet,
};

const FIRST: BatchNumber = BatchNumber(1);

fn open(dir: &Arc<TempDir>, is_aggregating: bool) -> Rig {
    let jobs = JobsConfig {
        lease: Duration::from_secs(60),
        ..JobsConfig::default()
    };
    let configs = (MempoolConfig::default(), jobs);
    let verifier = HashVerifier { is_aggregating };
    let rig = Rig::open_proving(
        &genesis(),
        Arc::new(GenesisSet),
        Arc::clone(dir),
        configs,
        verifier,
    );
    rig.unwrap()
}

fn new_dir() -> Arc<TempDir> {
    Arc::new(TempDir::new().unwrap())
}

/// Seals batch 1 with as many chunks.
fn seal(rig: &mut Rig, chunks: usize) {
    let operations = u64::try_from(2 * CHUNK.pairs * (chunks - 1) + 2).unwrap();
    for nonce in 0..operations {
        rig.send_one(sign(transfer(1, 2, nonce, 1, 0))).unwrap();
        if nonce % 100 == 99 {
            rig.block();
        }
    }
    rig.block();
    rig.block_after(20_000);
    rig.block(); // a block's time is that of its parent's certificate
    rig.batcher();
    let record = rig.shared().store.batch(FIRST).unwrap().unwrap();
    assert_eq!(record.jobs.len(), chunks + 1);
}

async fn lease_of(rig: &Rig, kinds: &[JobKind]) -> Option<Lease> {
    let worker = WorkerInfo {
        name: "one".into(),
        memory_mb: 16_384,
        kinds: kinds.to_vec(),
    };
    rig.queue.lease(&worker).await.unwrap()
}

async fn lease(rig: &Rig) -> Lease {
    let lease = lease_of(rig, &JobKind::ALL).await;
    lease.expect("a job is waiting")
}

async fn submit(rig: &Rig, lease: &Lease, result: Vec<u8>) -> Submitted {
    let submitted = rig.queue.submit(lease.job, lease.token, result).await;
    submitted.unwrap()
}

/// Does every job of these kinds that there is, until there is none; what was done, in order.
async fn work(rig: &Rig, kinds: &[JobKind]) -> Vec<Lease> {
    let mut done = Vec::new();
    while let Some(lease) = lease_of(rig, kinds).await {
        let result = submit(rig, &lease, proof_for(&lease)).await;
        assert_eq!(result, Submitted::Accepted, "{:?}", lease.kind);
        done.push(lease);
    }
    done
}

fn witness(lease: &Lease) -> AggregationWitness {
    AggregationWitness::decode(lease.kind, &lease.witness).unwrap()
}

/// Level of each join and whether it has two halves, in order.
fn joins(done: &[Lease]) -> Vec<(u8, bool)> {
    let joins = done.iter().filter(|lease| lease.kind == JobKind::Join);
    joins
        .map(|lease| match witness(lease) {
            AggregationWitness::Join { level, right, .. } => (level, right.is_some()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn inputs(rig: &Rig, rewarded: L1Address) -> PublicInputs {
    let record = rig.shared().store.batch(FIRST).unwrap().unwrap();
    let ends = (&record.start, &record.end);
    let domain = genesis().domain();
    PublicInputs::new(domain, FIRST, ends, &record.words, rewarded)
}

#[tokio::test]
async fn batches_of_one_two_three_and_five_chunks_are_joined_level_by_level() {
    let (two, one) = (true, false);
    let trees = [
        (1, vec![]),
        (2, vec![(1, two)]),
        (3, vec![(1, two), (1, one), (2, two)]),
        (
            5,
            vec![(1, two), (1, two), (1, one), (2, two), (2, one), (3, two)],
        ),
    ];
    for (chunks, above) in trees {
        let expected = [vec![(0, one); chunks], above].concat();
        let mut rig = open(&new_dir(), true);
        let mut events = rig.shared().events.listen();
        seal(&mut rig, chunks);
        let done = work(&rig, &JobKind::ALL).await;
        assert_eq!(joins(&done), expected, "{chunks} chunks");
        let kinds: Vec<JobKind> = done.iter().map(|lease| lease.kind).collect();
        assert!(kinds.is_sorted(), "{kinds:?}");
        assert_eq!(kinds[kinds.len() - 2..], [JobKind::Close, JobKind::Finish]);
        let indices = done.iter().filter(|lease| lease.kind == JobKind::Join);
        let indices: Vec<u32> = indices.map(|lease| lease.index).collect();
        assert!(
            indices
                .iter()
                .copied()
                .eq(0..u32::try_from(expected.len()).unwrap())
        );
        let AggregationWitness::Close { level, .. } = witness(&done[kinds.len() - 2]) else {
            panic!("no close");
        };
        assert_eq!(level, expected.last().unwrap().0, "the root's level");

        let store = &rig.shared().store;
        let record = store.final_proof(FIRST).unwrap().expect("a final proof");
        assert_eq!(record.inputs, inputs(&rig, REWARDED));
        assert_eq!(rig.queue.final_up_to(), 1);
        let last = done.last().unwrap();
        let stated = aggregated(&witness(last), REWARDED);
        assert_eq!(record.stated(), Some(stated.clone()));
        let limbs = stated.instance[..ACCUMULATOR_LIMBS].iter();
        let words: Vec<u8> = limbs.flat_map(field_to_be_bytes).collect();
        assert_eq!(record.contract_bytes, [words, stated.proof].concat());
        // what led there is forgotten, and the jobs are remembered
        for lease in &done {
            assert_eq!(store.proof(&lease.job.0).unwrap(), None);
            assert_eq!(store.witness(&lease.job.0).unwrap(), None);
            let job = store.job(&lease.job.0).unwrap().expect("a record");
            assert!(job.proven_ms.is_some());
        }
        let heard = std::iter::from_fn(|| events.try_recv().ok());
        let finals = heard.filter(|event| matches!(event, Event::FinalProof { .. }));
        assert_eq!(finals.count(), 1);
    }
}

#[tokio::test]
async fn a_join_is_a_job_when_both_of_its_halves_are_there() {
    let mut rig = open(&new_dir(), true);
    seal(&mut rig, 2);
    work(&rig, &[JobKind::Chunk, JobKind::Data]).await;
    let (first, second) = (lease(&rig).await, lease(&rig).await);
    assert_eq!((first.index, second.index), (0, 1));
    assert!(lease_of(&rig, &JobKind::ALL).await.is_none());
    submit(&rig, &second, proof_for(&second)).await;
    assert!(lease_of(&rig, &JobKind::ALL).await.is_none());
    submit(&rig, &first, proof_for(&first)).await;
    let above = lease(&rig).await;
    assert_eq!((above.kind, above.index), (JobKind::Join, 2));
    let AggregationWitness::Join { left, right, .. } = witness(&above) else {
        panic!("no join");
    };
    assert_eq!(left.encode(), proof_for(&first));
    assert_eq!(right.unwrap().encode(), proof_for(&second));
}

#[tokio::test]
async fn after_a_restart_at_any_job_the_rest_of_the_tree_is_made() {
    let dir = new_dir();
    let mut rig = open(&dir, true);
    seal(&mut rig, 3);
    let mut seen = BTreeSet::new();
    for step in 0.. {
        drop(rig);
        rig = open(&dir, true);
        drop(rig.batcher());
        let Some(lease) = lease_of(&rig, &JobKind::ALL).await else {
            assert_eq!(step, 4 + 6 + 2, "chunks and data, joins, close and finish");
            break;
        };
        assert!(seen.insert(lease.job.0), "each job is done once");
        // a lease that was lost with the process, then the one that counts
        drop(rig);
        rig = open(&dir, true);
        let again = lease_of(&rig, &[lease.kind]).await.expect("the job again");
        assert_eq!(again.job, lease.job);
        let late = submit(&rig, &lease, proof_for(&lease)).await;
        assert_eq!(late, Submitted::Accepted);
    }
    assert_eq!(rig.queue.final_up_to(), 1);
    assert_eq!(rig.queue.status().await.unwrap().done, 12);
}

#[tokio::test]
async fn what_was_proven_without_aggregation_is_aggregated_when_it_is_switched_on() {
    let dir = new_dir();
    let mut rig = open(&dir, false);
    seal(&mut rig, 2);
    let done = work(&rig, &JobKind::ALL).await;
    assert_eq!(done.len(), 3, "chunks and data alone");
    assert_eq!(rig.queue.proven_up_to(), 1);
    drop(rig);
    let rig = open(&dir, true);
    let join = lease(&rig).await;
    assert_eq!((join.kind, join.batch), (JobKind::Join, 1));
    drop(rig);
    let rig = open(&dir, false);
    assert!(lease_of(&rig, &JobKind::ALL).await.is_none());
    assert_eq!(
        rig.queue.counts(),
        (0, 0),
        "nobody could judge such results"
    );
    drop(rig);
    let rig = open(&dir, true);
    let rest: Vec<_> = work(&rig, &JobKind::ALL).await;
    assert_eq!(rest[0].job, join.job);
    assert_eq!(rig.queue.final_up_to(), 1);
}

/// The same proof with an instance changed, and valid under it.
fn restated(honest: &[u8], change: impl FnOnce(&mut Vec<Fr>)) -> Vec<u8> {
    let mut stated = StatedProof::decode(honest).unwrap();
    change(&mut stated.instance);
    let numbers = stated.instance.iter();
    let numbers: Vec<[u8; 32]> = numbers.map(protocol::codec::field_to_le_bytes).collect();
    stated.proof = protocol::hash::keccak256(&numbers.concat()).to_vec();
    stated.encode()
}

#[tokio::test]
async fn results_that_state_something_else_or_nothing_are_refused_and_valid_ones_count_once() {
    let mut rig = open(&new_dir(), true);
    seal(&mut rig, 2);
    work(&rig, &[JobKind::Chunk, JobKind::Data]).await;
    while let Some(lease) = lease_of(&rig, &JobKind::ALL).await {
        let honest = proof_for(&lease);
        let statement = StatedProof::decode(&honest).unwrap().statement().len();
        let mut wrong: Vec<(String, Vec<u8>)> = vec![
            ("nothing".into(), Vec::new()),
            ("noise".into(), vec![0xff; 600]),
            ("a byte more".into(), [&honest[..], &[0]].concat()),
            (
                "a number less".into(),
                restated(&honest, |all| {
                    all.truncate(statement + ACCUMULATOR_LIMBS - 1)
                }),
            ),
            (
                "no limbs".into(),
                restated(&honest, |all| drop(all.drain(..12))),
            ),
        ];
        if lease.kind != JobKind::Finish {
            let more = restated(&honest, |all| all.push(Fr::from(1_u64)));
            wrong.push(("a number more".into(), more));
        }
        // who is rewarded is the maker's to say
        let known = statement - usize::from(lease.kind == JobKind::Finish);
        for place in 0..known {
            let other = restated(&honest, |all| {
                all[ACCUMULATOR_LIMBS + place] += Fr::from(1_u64);
            });
            wrong.push((format!("number {place}"), other));
        }
        if lease.kind == JobKind::Finish {
            let beyond = restated(&honest, |all| {
                let last = all.last_mut().unwrap();
                *last = L1Address([0xff; 20]).to_field() + Fr::from(1_u64);
            });
            wrong.push(("no address".into(), beyond));
        }
        for (name, result) in wrong {
            // under no token: nobody is suspended
            let submitted = rig.queue.submit(lease.job, 0, result).await;
            assert_eq!(
                submitted,
                Ok(Submitted::Rejected),
                "{:?}: {name}",
                lease.kind
            );
        }
        let accepted = restated(&honest, |all| all[3] += Fr::from(5_u64));
        let result = submit(&rig, &lease, accepted.clone()).await;
        assert_eq!(
            result,
            Submitted::Accepted,
            "another accumulator is the verifier's to judge"
        );
        assert_eq!(submit(&rig, &lease, accepted).await, Submitted::Duplicate);
        assert_eq!(submit(&rig, &lease, vec![1]).await, Submitted::Duplicate);
    }
    assert_eq!(rig.queue.final_up_to(), 1);
}

#[tokio::test]
async fn the_node_and_the_worker_give_a_job_the_same_name() {
    let mut rig = open(&new_dir(), true);
    seal(&mut rig, 3);
    for lease in work(&rig, &JobKind::ALL).await {
        assert_eq!(JobId::new(lease.kind, &lease.witness), lease.job);
    }
}

#[tokio::test]
async fn a_peers_final_proof_ends_the_work_on_its_batch_and_a_false_one_nothing() {
    let mut theirs = open(&new_dir(), true);
    seal(&mut theirs, 2);
    work(&theirs, &JobKind::ALL).await;
    let stored = theirs.shared().store.final_proof(FIRST).unwrap();
    let honest = stored.unwrap().stated().unwrap().encode();

    let dir = new_dir();
    let mut rig = open(&dir, true);
    assert!(
        rig.queue.take_final(FIRST, &honest).await.is_err(),
        "no batch yet"
    );
    rig.catch_up(&theirs);
    rig.batcher();
    work(&rig, &[JobKind::Chunk, JobKind::Data]).await;
    assert_eq!(
        rig.queue.without_final_before(u64::MAX, 4).unwrap(),
        [FIRST]
    );
    let held = lease(&rig).await;
    submit(&rig, &held, proof_for(&held)).await;
    let held = lease(&rig).await;
    let other = restated(&honest, |all| all[ACCUMULATOR_LIMBS + 2] += Fr::from(1_u64));
    for wrong in [&other[..], &honest[1..], &[]] {
        assert!(rig.queue.take_final(FIRST, wrong).await.is_err());
    }
    assert!(
        lease_of(&rig, &JobKind::ALL).await.is_none(),
        "one join is held"
    );
    assert_eq!(rig.queue.take_final(FIRST, &honest).await, Ok(true));
    assert_eq!(rig.queue.take_final(FIRST, &honest).await, Ok(false));
    assert_eq!(rig.queue.final_up_to(), 1);
    assert_eq!(rig.queue.counts(), (0, 0));
    let lost = rig
        .queue
        .submit(held.job, held.token, proof_for(&held))
        .await;
    assert!(lost.is_err(), "a job that nobody needs any more");
    let store = &rig.shared().store;
    let jobs = store.jobs_of_batch(FIRST).unwrap();
    assert_eq!(jobs.len(), 3 + 1, "those that were done");
    assert!(jobs.iter().all(|(_, job)| job.proven_ms.is_some()));
    drop(rig);
    let rig = open(&dir, true);
    assert!(lease_of(&rig, &JobKind::ALL).await.is_none());
    assert!(
        rig.queue
            .without_final_before(u64::MAX, 4)
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_oldest_batch_comes_first_and_workers_of_other_kinds_do_not_wait_for_it() {
    let mut rig = open(&new_dir(), true);
    rig.send_one(sign(transfer(1, 2, 0, 1, 0))).unwrap();
    rig.block();
    rig.seal(1);
    work(&rig, &[JobKind::Chunk, JobKind::Data]).await;
    rig.seal(2);
    let status = rig.queue.status().await.unwrap();
    assert_eq!(
        status.queued,
        1 + 2,
        "a join, and a chunk and data behind it"
    );
    let oldest = lease(&rig).await;
    assert_eq!((oldest.batch, oldest.kind), (1, JobKind::Join));
    // whoever takes chunks only is not held up by aggregation, nor the other way round
    let newer = lease_of(&rig, &[JobKind::Chunk]).await.unwrap();
    assert_eq!((newer.batch, newer.kind), (2, JobKind::Chunk));
    submit(&rig, &newer, proof_for(&newer)).await;
    submit(&rig, &oldest, proof_for(&oldest)).await;
    let next = lease(&rig).await;
    assert_eq!((next.batch, next.kind), (1, JobKind::Close));
    submit(&rig, &next, proof_for(&next)).await;
    let rest = work(&rig, &JobKind::ALL).await;
    let rest: Vec<_> = rest.iter().map(|lease| (lease.batch, lease.kind)).collect();
    let expected = [
        (1, JobKind::Finish),
        (2, JobKind::Data),
        (2, JobKind::Join),
        (2, JobKind::Close),
        (2, JobKind::Finish),
    ];
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn only_so_many_batches_are_aggregated_at_a_time() {
    let mut rig = open(&new_dir(), true);
    rig.send_one(sign(transfer(1, 2, 0, 1, 0))).unwrap();
    rig.block();
    for nonce in 1..=WINDOW + 2 {
        rig.seal(nonce);
        work(&rig, &[JobKind::Chunk, JobKind::Data]).await;
    }
    assert_eq!(rig.queue.proven_up_to(), WINDOW + 2);
    assert_eq!(rig.queue.counts(), (WINDOW, 0));
    for _ in 0..3 {
        let lease = lease(&rig).await;
        assert_eq!(lease.batch, 1);
        submit(&rig, &lease, proof_for(&lease)).await;
    }
    assert_eq!(
        rig.queue.counts(),
        (WINDOW, 0),
        "one is done, one has come into reach"
    );
    let kinds = [JobKind::Join, JobKind::Close, JobKind::Finish];
    work(&rig, &kinds).await;
    assert_eq!(rig.queue.final_up_to(), WINDOW + 2);
}
