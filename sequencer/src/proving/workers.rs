//! What the node remembers about workers: strikes, suspensions, and whose token is whose. In memory only: a restart
//! forgives.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use api::{
    error::{ApiError, ErrorCode},
    jobs::WorkerStatus,
};

use crate::config::JobsConfig;

/// Workers remembered; the one that was idle longest is forgotten first.
const WORKERS_MAX: usize = 1_024;
/// Lease tokens remembered.
const TOKENS_MAX: usize = 8_192;

struct Worker {
    strikes: u32,
    accepted: u64,
    suspended_until: Option<Instant>,
    seen: Instant,
}

#[derive(Default)]
pub(super) struct Workers {
    workers: BTreeMap<String, Worker>,
    tokens: BTreeMap<u64, String>,
    token_order: VecDeque<u64>,
}

fn left(until: Option<Instant>, now: Instant) -> Duration {
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
}

impl Workers {
    pub(super) fn check_not_suspended(&self, name: &str, now: Instant) -> Result<(), ApiError> {
        let left = self
            .workers
            .get(name)
            .map_or(Duration::ZERO, |worker| left(worker.suspended_until, now));
        if left.is_zero() {
            return Ok(());
        }
        let reason = format!("worker {name} may lease again in {} s", left.as_secs() + 1);
        Err(ApiError::new(ErrorCode::WorkerSuspended, reason))
    }

    /// Notes who got a token.
    pub(super) fn remember(&mut self, token: u64, name: String) {
        self.worker(&name);
        self.tokens.insert(token, name);
        self.token_order.push_back(token);
        if self.token_order.len() > TOKENS_MAX
            && let Some(oldest) = self.token_order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    pub(super) fn of_token(&self, token: u64) -> Option<String> {
        self.tokens.get(&token).cloned()
    }

    pub(super) fn strike(&mut self, name: &str, config: &JobsConfig, now: Instant) {
        let worker = self.worker(name);
        worker.strikes += 1;
        if worker.strikes.is_multiple_of(config.strikes_max.max(1)) {
            worker.suspended_until = Some(now + config.suspension);
            tracing::warn!(worker = name, strikes = worker.strikes, "worker suspended");
        }
    }

    pub(super) fn accepted(&mut self, name: &str) {
        self.worker(name).accepted += 1;
    }

    fn worker(&mut self, name: &str) -> &mut Worker {
        let now = Instant::now();
        if !self.workers.contains_key(name) && self.workers.len() >= WORKERS_MAX {
            let idle = self
                .workers
                .iter()
                .filter(|(_, worker)| left(worker.suspended_until, now).is_zero())
                .min_by_key(|(_, worker)| worker.seen)
                .map(|(name, _)| name.clone());
            if let Some(idle) = idle {
                self.workers.remove(&idle);
            }
        }
        let worker = self.workers.entry(name.to_owned()).or_insert(Worker {
            strikes: 0,
            accepted: 0,
            suspended_until: None,
            seen: now,
        });
        worker.seen = now;
        worker
    }

    pub(super) fn overview(&self, now: Instant) -> Vec<WorkerStatus> {
        self.workers
            .iter()
            .map(|(name, worker)| WorkerStatus {
                name: name.clone(),
                strikes: worker.strikes,
                accepted: worker.accepted,
                suspended_ms: u64::try_from(left(worker.suspended_until, now).as_millis())
                    .unwrap_or(u64::MAX),
            })
            .collect()
    }
}
