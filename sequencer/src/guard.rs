//! The signing guard: nothing that this validator's key signs leaves the node before it is on disk, and nothing is
//! signed twice in different words (`sequencing.md`, "The set").
//!
//! A *slot* is a place for one message: (height, round, kind), or (kind, number, subject) for what has no round. The
//! guard writes slot, digest, signature and, for an extension, its content to a log, syncs it, and only then returns
//! the signature. Asked for the same message again it returns what it stored and writes nothing; asked for another in
//! the same slot it refuses.
//!
//! # What is refused
//! * A second message in a slot ([`GuardError::Conflict`]). There is one extension in a round: asked again for the
//!   same block, whatever the new extension says, the stored one comes back (it has a clock inside, so a rebuilt one
//!   differs); for another block it is a conflict, which takes two polkas in one round and so a third of the weight
//!   at fault.
//! * What is not stored and lies below the floor ([`GuardError::Below`]): a height below the highest that was ever
//!   signed in, a height that [`SigningGuard::catch_up`] passed, a round [`ROUNDS_KEPT`] or more below the last one
//!   of its height, a number [`NUMBERS_KEPT`] or more below the last one of its kind, a restart below the highest height, a soft
//!   block whose number is not above the last one of its base height.
//! * Everything, after the disk failed once ([`GuardError::Poisoned`]): what was being written may be durable or not.
//!
//! The two newest heights stay stored, so that a node that crashed between signing and logging signs the same again.
//!
//! # The lock
//! A precommit of a block records the lock (height, round, block). The engine's signer interface does not say by which
//! proof of lock a later prevote for another block is allowed (Tendermint's rule L28), so the guard cannot tell an honest
//! unlock from amnesia and refuses neither: refusing would wedge an honest validator. The engine's own log
//! keeps its lock; whoever opens the guard compares [`SigningGuard::lock`] with that log, and if the log of that height
//! is gone calls `catch_up` with the height, which makes the node silent where it could have contradicted its lock.
//!
//! # After a restore
//! A guard from an older copy of the disk, or a new one, does not know what was signed since. Before it signs anything,
//! [`SigningGuard::catch_up`] must raise its floor to the highest height in which this key can have signed: one above
//! the highest height that peers have *decided*, and the highest in which they show a signature of this key that is not
//! remembered here ([`SigningGuard::knows`]). The floor is durable and never falls, so the height must be backed by a
//! certificate or by that signature: an invented one silences the validator until the chain gets there.
//!
//! # On disk
//! An append-only log of checksummed records (`log`), under an exclusive lock that a second process does not get. It is
//! rewritten whole when it has grown past a bound. A record that was cut off while it was written is dropped, since
//! its signature was never returned; any other damage is refused, never repaired.
//!
//! A signature costs one `fdatasync`, with two exceptions that keep to the rule that nothing leaves before it is durable:
//! an extension leaves inside its precommit only, so it waits in memory and is written in one record with what is signed
//! next; and [`SigningGuard::sign_together`] writes several at once.
//!
//! What this module does not do: decide what is worth signing, or protect the key from whoever reads it.

mod log;
mod request;
mod slots;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use protocol::{
    account::L1Address,
    block::BlockId,
    codec::abi_word,
    number::{Height, Round},
    preconfirmation::Preconfirmation,
    restart::Restart,
    soft::{SignedSoftVote, SoftVote},
    transaction::Domain,
    validator::{ValidatorKey, ValidatorSignature},
    vote::{Extension, ExtensionError},
};

pub use request::GuardRequest;
pub(crate) use request::{promised_place, validator_proof_digest};
pub use slots::{Lock, NUMBERS_KEPT, NumberedKind, ROUNDS_KEPT, RoundKind, Slot};

use log::Log;
use slots::{Entry, Floor, Record, Refusal, Slots};

/// Why the guard does not open or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The disk failed. After this every request is refused until the node restarts.
    #[error("signing guard {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has this guard open.
    #[error("signing guard {path} is in use: another node runs on this data directory")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is not what this guard wrote, and not merely cut off in its last record.
    #[error(
        "signing guard {path} is damaged at byte {offset}: {reason}; keep the file, and sign only with a new guard \
         that has caught up with every height this key can have signed in"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first bad record starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file belongs to another key or another chain.
    #[error("signing guard {path} is for another {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Key or chain.
        what: &'static str,
    },
    /// Something else was signed in this slot.
    #[error("something else was signed in {slot:?} already")]
    Conflict {
        /// The slot.
        slot: Slot,
    },
    /// The slot is below what the guard remembers.
    #[error("{slot:?} is not stored and lies below what may be signed: {floor}")]
    Below {
        /// The slot.
        slot: Slot,
        /// The least height, round or number that is left.
        floor: u64,
    },
    /// An extension that nobody would accept.
    #[error("malformed extension: {0}")]
    Extension(#[from] ExtensionError),
    /// The disk failed before.
    #[error("the signing guard refuses everything since its disk failed; restart the node")]
    Poisoned,
}

#[derive(Debug)]
struct Inner {
    slots: Slots,
    log: Log,
    /// An extension that is in `slots` and not on disk: it has not left the node.
    waiting: Option<(Slot, Entry)>,
    is_poisoned: bool,
}

impl Inner {
    /// Makes a record durable.
    fn write(&mut self, record: &Record) -> Result<(), GuardError> {
        self.is_poisoned = true;
        self.log.append(record)?;
        self.is_poisoned = false;
        Ok(())
    }

    /// Rewrites a log that has grown.
    fn trim(&mut self) -> Result<(), GuardError> {
        if self.log.is_overgrown() {
            self.is_poisoned = true;
            self.log.replace(self.slots.records())?;
            self.is_poisoned = false;
        }
        Ok(())
    }

    /// Makes entries durable, and what waits with them; then true.
    fn store(&mut self, entries: Vec<(Slot, Entry)>) -> Result<(), GuardError> {
        let waiting = self.waiting.take();
        let mut written: Vec<_> = waiting.into_iter().chain(entries.clone()).collect();
        let record = match (written.pop(), written.is_empty()) {
            (None, _) => return Ok(()),
            (Some((slot, entry)), true) => Record::Signed(slot, entry),
            (Some(last), false) => {
                written.push(last);
                Record::Together(written)
            }
        };
        self.write(&record)?;
        for (slot, entry) in entries {
            self.slots.apply(Record::Signed(slot, entry));
        }
        self.trim()
    }

    /// Raises the floor, durably.
    fn store_floor(&mut self, floor: Floor) -> Result<(), GuardError> {
        self.store(Vec::new())?;
        let record = Record::Floor(floor);
        self.write(&record)?;
        self.slots.apply(record);
        self.trim()
    }

    fn find(&self, slot: Slot) -> Result<Option<&Entry>, GuardError> {
        self.slots
            .find(&slot)
            .map_err(|Refusal { floor }| GuardError::Below { slot, floor })
    }
}

/// The key of a validator, and the record of everything it signed.
#[derive(Debug)]
pub struct SigningGuard {
    key: ValidatorKey,
    domain: Domain,
    inner: Mutex<Inner>,
}

impl SigningGuard {
    /// Opens the guard of this key and chain, or makes it. The directory must exist.
    ///
    /// # Errors
    /// [`GuardError::InUse`], [`GuardError::Foreign`], [`GuardError::Damaged`], [`GuardError::Io`].
    pub fn open(path: &Path, key: ValidatorKey, domain: Domain) -> Result<Self, GuardError> {
        let slots = Slots::new(key.address(), domain);
        let (log, slots) = Log::open(path, slots)?;
        let inner = Inner {
            slots,
            log,
            waiting: None,
            is_poisoned: false,
        };
        Ok(Self {
            key,
            domain,
            inner: Mutex::new(inner),
        })
    }

    fn inner(&self) -> Result<MutexGuard<'_, Inner>, GuardError> {
        let inner = self.inner.lock().map_err(|_| GuardError::Poisoned)?;
        if inner.is_poisoned {
            return Err(GuardError::Poisoned);
        }
        Ok(inner)
    }

    /// Address of the key.
    #[must_use]
    pub fn address(&self) -> L1Address {
        self.key.address()
    }

    /// Signs, or returns what was signed before for the same request.
    ///
    /// # Errors
    /// [`GuardError::Conflict`], [`GuardError::Below`], [`GuardError::Io`], [`GuardError::Poisoned`].
    pub fn sign(&self, request: &GuardRequest) -> Result<ValidatorSignature, GuardError> {
        let [signature] = self.sign_together([*request])?;
        Ok(signature)
    }

    /// Signs all of these, or none: those that are new cost one `fdatasync` together.
    ///
    /// # Errors
    /// As [`SigningGuard::sign`].
    pub fn sign_together<const N: usize>(
        &self,
        requests: [GuardRequest; N],
    ) -> Result<[ValidatorSignature; N], GuardError> {
        let mut inner = self.inner()?;
        let mut fresh: Vec<(Slot, Entry)> = Vec::with_capacity(N);
        let mut answer = |request: GuardRequest| -> Result<ValidatorSignature, GuardError> {
            let (slot, digest) = (request.slot(), request.digest(&self.domain));
            let new = fresh.iter().find(|(other, _)| *other == slot);
            let stored = new.map(|(_, entry)| entry);
            if let Some(stored) =
                stored.map_or_else(|| inner.find(slot), |entry| Ok(Some(entry)))?
            {
                return if stored.digest == digest {
                    Ok(stored.signature)
                } else {
                    Err(GuardError::Conflict { slot })
                };
            }
            let signature = self.key.sign(&digest);
            let entry = Entry {
                digest,
                signature,
                block: request.block(),
                extension: None,
            };
            fresh.push((slot, entry));
            Ok(signature)
        };
        let mut signatures = Vec::with_capacity(N);
        for request in requests {
            signatures.push(answer(request)?);
        }
        inner.store(fresh)?;
        Ok(std::array::from_fn(|place| signatures[place]))
    }

    /// Signs where the chain restarts, once for a last height. First, so that what is signed stays true, it gives up every
    /// height up to that one: nothing new is signed there any more, whatever becomes of the restart.
    ///
    /// # Errors
    /// As [`SigningGuard::sign`]; [`GuardError::Below`] if this key has signed above the last height.
    pub fn sign_restart(&self, restart: &Restart) -> Result<ValidatorSignature, GuardError> {
        self.catch_up(restart.last_height)?;
        self.sign(&GuardRequest::Numbered {
            kind: NumberedKind::Restart,
            number: restart.last_height.0,
            subject: [0; 32],
            digest: restart.digest(&self.domain),
        })
    }

    /// Signs a promise, once for its place and once for its operation.
    ///
    /// # Errors
    /// As [`SigningGuard::sign`]. What was refused for its operation has used up its place all the same.
    pub fn sign_promise(
        &self,
        promise: &Preconfirmation,
    ) -> Result<ValidatorSignature, GuardError> {
        self.sign(&promised_place(promise, &self.domain))?;
        self.sign(&GuardRequest::Numbered {
            kind: NumberedKind::PromisedOperation,
            number: promise.height.0,
            subject: promise.transaction.0,
            digest: promise.digest(&self.domain),
        })
    }

    /// Signs a soft block, once for its number above a base height, and none with a lower number after it.
    ///
    /// # Errors
    /// As [`SigningGuard::sign`].
    pub fn sign_soft(&self, vote: &SoftVote) -> Result<SignedSoftVote, GuardError> {
        let signature = self.sign(&GuardRequest::Numbered {
            kind: NumberedKind::Soft,
            number: vote.base_height.0,
            subject: abi_word(u128::from(vote.number)),
            digest: vote.digest(&self.domain),
        })?;
        Ok(SignedSoftVote {
            vote: *vote,
            validator: self.key.address(),
            signature,
        })
    }

    /// Highest number of a soft block that was signed above a base height; 0 if none was.
    ///
    /// # Errors
    /// [`GuardError::Poisoned`].
    pub fn last_soft(&self, base_height: Height) -> Result<u64, GuardError> {
        Ok(self.inner()?.slots.last_soft(base_height))
    }

    /// Signs an extension, or returns the one that was signed before for this height, round and block. It becomes durable
    /// with the precommit that carries it, the only message it leaves in: until then a crash forgets it.
    ///
    /// # Errors
    /// As [`SigningGuard::sign`], and [`GuardError::Extension`].
    pub fn sign_extension(
        &self,
        height: Height,
        round: Round,
        block: BlockId,
        extension: Extension,
    ) -> Result<(Extension, ValidatorSignature), GuardError> {
        extension.check()?;
        let slot = Slot::Round {
            height,
            round,
            kind: RoundKind::Extension,
        };
        let mut inner = self.inner()?;
        if let Some(stored) = inner.find(slot)? {
            return match &stored.extension {
                Some(extension) if stored.block == Some(block) => {
                    Ok((extension.clone(), stored.signature))
                }
                _ => Err(GuardError::Conflict { slot }),
            };
        }
        let digest = extension.digest(&self.domain, height, round, block);
        let signature = self.key.sign(&digest);
        let entry = Entry {
            digest,
            signature,
            block: Some(block),
            extension: Some(extension.clone()),
        };
        inner.store(Vec::new())?; // what waits was for another round
        inner.slots.apply(Record::Signed(slot, entry.clone()));
        inner.waiting = Some((slot, entry));
        Ok((extension, signature))
    }

    /// Signs that this key speaks from the peer of this id. Not guarded: two such proofs contradict nothing.
    #[must_use]
    pub fn sign_validator_proof(&self, peer_id: &[u8]) -> ValidatorSignature {
        let digest = validator_proof_digest(&self.domain, peer_id);
        self.key.sign(&digest)
    }

    /// The last block that was precommitted, and where.
    ///
    /// # Errors
    /// [`GuardError::Poisoned`].
    pub fn lock(&self) -> Result<Option<Lock>, GuardError> {
        Ok(self.inner()?.slots.floor().lock)
    }

    /// The highest height in which anything was signed; 0 if nothing was.
    ///
    /// # Errors
    /// [`GuardError::Poisoned`].
    pub fn highest_signed(&self) -> Result<Height, GuardError> {
        Ok(self.inner()?.slots.floor().signed)
    }

    /// Whether signing this is nothing new: it is stored, or nothing can be signed in its place any more.
    ///
    /// # Errors
    /// [`GuardError::Poisoned`].
    pub fn knows(&self, request: &GuardRequest) -> Result<bool, GuardError> {
        let stored = self.inner()?.slots.find(&request.slot()).map(|entry| {
            let digest = request.digest(&self.domain);
            entry.is_some_and(|entry| entry.digest == digest)
        });
        Ok(stored.unwrap_or(true))
    }

    /// The highest height that [`SigningGuard::catch_up`] has passed: nothing new is signed up to it.
    ///
    /// # Errors
    /// [`GuardError::Poisoned`].
    pub fn passed(&self) -> Result<Height, GuardError> {
        Ok(self.inner()?.slots.floor().passed)
    }

    /// From now on nothing at or below `height` is signed that is not stored. Durable; never lowers the floor.
    ///
    /// # Errors
    /// [`GuardError::Io`], [`GuardError::Poisoned`].
    pub fn catch_up(&self, height: Height) -> Result<(), GuardError> {
        let mut inner = self.inner()?;
        let floor = inner.slots.floor();
        if floor.passed >= height {
            return Ok(());
        }
        let floor = Floor {
            passed: height,
            ..floor
        };
        inner.store_floor(floor)
    }
}
