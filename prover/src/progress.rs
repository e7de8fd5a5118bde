//! How far a proof is, as truthfully as halo2 lets us see it.
//!
//! halo2 reports nothing, but two things can be observed from outside: when the circuit's
//! `synthesize` returns, and each commitment and evaluation that enters the transcript. Both happen
//! in a fixed order, so the phase is exact. The percentage is the share of time that the phases
//! before it took in a measured run (`prover/BENCHMARKS.md`; a twentieth is kept for the witness,
//! which took nothing there); inside a phase it does not move.

/// What the prover is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Reading or making keys; for proofs of proofs, laying out the circuit beside it.
    Keys,
    /// Filling the advice columns.
    Witness,
    /// Committing to the advice columns.
    Commit,
    /// Lookup and permutation arguments.
    Arguments,
    /// Computing and committing to the quotient polynomial.
    Quotient,
    /// Evaluating and opening all polynomials.
    Opening,
    /// Checking the finished proof.
    Verifying,
}

impl Phase {
    /// Share of the whole that is done when the phase begins, in percent.
    pub fn percent_at_start(self) -> u8 {
        match self {
            Self::Keys | Self::Witness => 0,
            Self::Commit => 5,
            Self::Arguments => 35,
            Self::Quotient => 40,
            Self::Opening => 95,
            Self::Verifying => 99,
        }
    }
}

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What has just begun, or has just ended with `percent` 100.
    pub phase: Phase,
    /// 0 to 100, never falling during one proof.
    pub percent: u8,
}

/// Receives reports; called from the proving thread, so it must return quickly.
pub type ProgressSink<'a> = &'a (dyn Fn(Progress) + Sync);

/// A sink for those who do not ask.
pub fn ignore_progress(_: Progress) {}
