//! What operators do when a chain must go on and nobody has its history, or when a batch was proven that it never certified
//! (`sequencing.md`, "Recovery"; `docs/restart.md` is for them).
//!
//! Each validator rebuilds the end of the last batch from genesis and the words that batches published (their bundles have
//! them, and the base layer), signs a
//! [`Restart`] through its guard, and makes a new database from the certificate. Invariants: a key that has signed a
//! restart never signs at or below its last height again; a database is made only from a certificate of the chain's set
//! and exactly the state it names, and never in the place of another. What this module does not do: decide where to
//! restart, or verify the proofs of batches (the caller does, before it believes their words).

use std::path::Path;

use protocol::{
    block::BlockId,
    certificate::CertificateError,
    genesis::Genesis,
    number::{BatchNumber, Height},
    rebuild::{RebuildError, apply_words},
    restart::{BatchEnd, Restart, RestartCertificate, RestartError, SignedRestart},
    state::State,
    validator::ValidatorKey,
    words::Words,
};
use settlement::rebuild::RebuiltChain;

use crate::{
    failpoint,
    guard::{GuardError, SigningGuard},
    node::agreement_dir,
    storage::{StorageError, Store},
};

/// Why a restart is not signed, or no database is made of it.
#[derive(Debug, thiserror::Error)]
pub enum RestartRefusal {
    /// The set did not sign it.
    #[error("the restart certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    /// It does not go on from this state.
    #[error(transparent)]
    Restart(#[from] RestartError),
    /// A batch is missing, or given out of order.
    #[error("batch {expected} must come next, not batch {found}: give the bundles from 1 in order")]
    Order {
        /// Number of the next batch.
        expected: BatchNumber,
        /// Number of the batch given.
        found: BatchNumber,
    },
    /// The words of a batch do not apply.
    #[error("the words of batch {batch} do not apply: {reason}")]
    Words {
        /// The batch.
        batch: BatchNumber,
        /// The rule they break.
        reason: RebuildError,
    },
    /// The key is no validator's.
    #[error("{0} is not in the validator set: its signature would not count")]
    Stranger(String),
    /// This key has signed something that a restart here would contradict, or its record cannot be used.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The database cannot be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The directory cannot be made.
    #[error("the directory of the guard cannot be made: {0}; check space and permissions")]
    Directory(std::io::Error),
}

/// The end of a batch, rebuilt from genesis and words.
#[derive(Clone, Debug)]
pub struct RestartPoint {
    batch: BatchNumber,
    state: State,
    published_height: Height,
    inbox_count: u64,
}

impl RestartPoint {
    /// Before the first batch.
    #[must_use]
    pub fn genesis(genesis: &Genesis) -> Self {
        let tip = genesis.tip();
        Self {
            batch: BatchNumber(0),
            state: genesis.state(),
            published_height: tip.height,
            inbox_count: tip.inbox_count,
        }
    }

    /// After one more batch.
    ///
    /// # Errors
    /// [`RestartRefusal::Order`] or [`RestartRefusal::Words`].
    pub fn after(self, batch: BatchNumber, words: &Words) -> Result<Self, RestartRefusal> {
        let expected = BatchNumber(self.batch.0.saturating_add(1));
        if batch != expected {
            let found = batch;
            return Err(RestartRefusal::Order { expected, found });
        }
        let before = (self.state, self.published_height, self.inbox_count);
        let (state, published_height, inbox_count) =
            apply_words(before, words).map_err(|reason| RestartRefusal::Words { batch, reason })?;
        Ok(Self {
            batch,
            state,
            published_height,
            inbox_count,
        })
    }

    /// The batch.
    #[must_use]
    pub fn batch(&self) -> BatchNumber {
        self.batch
    }

    /// What a restart names of it.
    #[must_use]
    pub fn end(&self) -> BatchEnd<'_> {
        BatchEnd {
            batch: self.batch,
            state: &self.state,
            published_height: self.published_height,
            inbox_count: self.inbox_count,
        }
    }
}

impl From<RebuiltChain> for RestartPoint {
    /// The end of the last batch that was rebuilt from the base layer.
    fn from(chain: RebuiltChain) -> Self {
        Self {
            batch: BatchNumber(chain.batches),
            state: chain.state,
            published_height: chain.height,
            inbox_count: chain.inbox_count,
        }
    }
}

/// Signs a restart from `point` through the guard of a data directory, which no node may be running on. From then on the
/// key signs nothing at or below `last_height`.
///
/// # Errors
/// [`RestartRefusal`]; nothing has been signed.
pub fn sign_restart(
    data_dir: &Path,
    (genesis, key): (&Genesis, ValidatorKey),
    point: &RestartPoint,
    (last_height, last_block): (Height, BlockId),
) -> Result<SignedRestart, RestartRefusal> {
    let validator = key.address();
    if genesis.validators.weight_of(&validator) == 0 {
        return Err(RestartRefusal::Stranger(validator.to_string()));
    }
    let end = point.end();
    let restart = Restart::new(&end, last_height, last_block);
    restart.check(&end)?;
    let dir = agreement_dir(data_dir);
    std::fs::create_dir_all(&dir).map_err(RestartRefusal::Directory)?;
    let guard = SigningGuard::open(&dir.join("guard"), key, genesis.domain())?;
    let signature = guard.sign_restart(&restart)?;
    Ok(SignedRestart {
        restart,
        validator,
        signature,
    })
}

/// Makes the database from which a node goes on.
///
/// # Errors
/// [`RestartRefusal`]; no database has been made.
pub fn make_restarted(
    data_dir: &Path,
    genesis: &Genesis,
    point: &RestartPoint,
    certificate: &RestartCertificate,
) -> Result<(), RestartRefusal> {
    certificate.verify(&genesis.domain(), &genesis.validators)?;
    let end = point.end();
    certificate.restart.check(&end)?;
    failpoint::arm(genesis.is_development());
    Store::make_restarted(data_dir, genesis, &end, certificate)?;
    Ok(())
}

#[cfg(test)]
mod tests;
