//! A token bucket: how much of something a peer may have now.
//!
//! It never holds more than its burst, and time passed as an argument never runs it backwards.

use std::time::{Duration, Instant};

/// Tokens that come back at a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    burst: u64,
    per_second: u64,
    /// May be negative after [`Bucket::charge`].
    tokens: i128,
    filled: Instant,
}

const NANOS: i128 = 1_000_000_000;

impl Bucket {
    pub(crate) fn new(per_second: u64, burst: u64, now: Instant) -> Self {
        Self {
            burst,
            per_second,
            tokens: i128::from(burst) * NANOS,
            filled: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = now.max(self.filled);
        // Nanotokens: an hour at 2^64 per second stays far below i128. Longer pauses fill it anyway.
        let nanos = passed.min(Duration::from_secs(3_600)).as_nanos();
        let gained = i128::try_from(nanos)
            .unwrap_or(i128::MAX)
            .saturating_mul(i128::from(self.per_second));
        self.tokens = self
            .tokens
            .saturating_add(gained)
            .min(i128::from(self.burst) * NANOS);
    }

    /// Takes `count` tokens if all are there.
    pub(crate) fn take(&mut self, count: u64, now: Instant) -> bool {
        self.fill(now);
        let enough = self.tokens >= i128::from(count) * NANOS;
        if enough {
            self.tokens -= i128::from(count) * NANOS;
        }
        enough
    }

    /// Takes `count` tokens, into debt if need be: the price of something known only afterwards.
    pub(crate) fn charge(&mut self, count: u64, now: Instant) {
        self.fill(now);
        self.tokens = self.tokens.saturating_sub(i128::from(count) * NANOS);
    }

    /// Whether nothing has been taken lately.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= i128::from(self.burst) * NANOS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
        assert!((0..3).all(|_| bucket.take(1, start)));
        assert!(!bucket.take(1, start));
        assert!(bucket.take(1, start + Duration::from_millis(100)));
        assert!(!bucket.take(1, start + Duration::from_millis(199)));
        let late = start + Duration::from_secs(100);
        assert!(bucket.is_full(late));
        assert!(bucket.take(3, late) && !bucket.take(1, late));
    }

    #[test]
    fn debt_is_paid_before_the_next_token() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 10, start);
        bucket.charge(20, start);
        assert!(!bucket.take(1, start + Duration::from_secs(1)));
        assert!(bucket.take(1, start + Duration::from_millis(1_100)));
    }
}
