//! A database that begins at a restart: the state after a batch, no blocks, and the certificate that the next block embeds.
//!
//! Written whole, where no database is; nothing is ever turned back. What this module does not do: judge the certificate
//! ([`crate::restart`] does).

use std::path::Path;

use protocol::{
    block::Tip,
    genesis::Genesis,
    number::{BatchNumber, Height},
    restart::{BatchEnd, RestartCertificate},
};
use rocksdb::WriteBatch;

use super::{Column, OpenBatchRecord, StorageError, Store, open};
use crate::failpoint;

pub(super) const RESTART_KEY: &[u8] = b"restart";

impl Store {
    /// Makes the database of a chain that goes on from `end`. A run of this that was killed is finished.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where a database is already, else why it cannot be written.
    pub(crate) fn make_restarted(
        path: &Path,
        genesis: &Genesis,
        end: &BatchEnd<'_>,
        certificate: &RestartCertificate,
    ) -> Result<(), StorageError> {
        let exists = |what: &str| StorageError::Unavailable {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        if !open::is_unmade(path) {
            return Err(exists(
                "a database is there: move it away, but leave the directory agreement, which knows what was signed",
            ));
        }
        let store = Self::open_or_make(path, genesis, |store| {
            failpoint::pass("rebuild.before_write");
            store.write_restarted(genesis, end, certificate)?;
            failpoint::pass("rebuild.after_write");
            Ok(())
        })?;
        if store.restart()?.as_ref() == Some(certificate) {
            Ok(())
        } else {
            Err(exists("a database of another beginning is there"))
        }
    }

    fn write_restarted(
        &self,
        genesis: &Genesis,
        end: &BatchEnd<'_>,
        certificate: &RestartCertificate,
    ) -> Result<(), StorageError> {
        let restart = &certificate.restart;
        let tip = restart.tip(end.inbox_count, genesis.timestamp_ms);
        let open = OpenBatchRecord {
            number: BatchNumber(end.batch.0.saturating_add(1)),
            first_height: Height(restart.last_height.0.saturating_add(1)),
            published_height: end.published_height,
            inbox_count: end.inbox_count,
            root: end.state.root(),
        };
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, RESTART_KEY, certificate);
        if end.batch.0 > 0 {
            self.put(&mut batch, Column::Meta, open::PROVEN_KEY, &end.batch.0);
        }
        self.write_start(batch, genesis, (end.state, tip), &open)
    }

    /// What this database began with, if that was not genesis.
    pub(crate) fn restart(&self) -> Result<Option<RestartCertificate>, StorageError> {
        self.get(Column::Meta, RESTART_KEY)
    }

    /// Checks a tip that no block has been decided above yet; false if it is none.
    pub(super) fn check_restart(&self, tip: &Tip, genesis: &Genesis) -> Result<bool, StorageError> {
        let Some(certificate) = self.restart()? else {
            return Ok(false);
        };
        let restart = &certificate.restart;
        if tip.height < restart.last_height {
            return Err(self.corrupt(format!(
                "its tip {} is below its restart at {}",
                tip.height, restart.last_height
            )));
        }
        if tip.height > restart.last_height {
            return Ok(false);
        }
        if *tip != restart.tip(tip.inbox_count, genesis.timestamp_ms) {
            return Err(self.corrupt("its tip is not that of its restart"));
        }
        certificate
            .verify(&genesis.domain(), &genesis.validators)
            .map_err(|error| self.corrupt(format!("certificate of its restart: {error}")))?;
        Ok(true)
    }
}
