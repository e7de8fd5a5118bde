//! Evidence: two signed messages that no honest validator signs, as files that anybody judges offline.
//!
//! Whoever in this node sees such a pair gives it to the [`EvidenceBook`]; peers' files come in the same way. One file
//! per offender, offence and height, whole or not at all, in the directory `evidence` beside the database; new ones are
//! told to all peers. Invariants: a file is written only for evidence that convicts under this chain's sets; the number
//! of files is bounded. What this module does not do: punish, or collect the messages.

mod lineage;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use protocol::{evidence::Evidence, number::Epoch};
use verifier::evidence::EvidenceFile;

pub(crate) use lineage::lineage;

use crate::{
    chain::ChainConstants,
    relay::{News, Outlet},
    storage::{StorageError, Store},
};

/// Files kept: an offender has few offences a height, and is thrown out of the set long before. More are only logged.
const FILES_MAX: usize = 4_096;
/// Ending of the files' names.
const ENDING: &str = "evidence";

/// What became of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It convicts, and was not known.
    New,
    /// Known already.
    Known,
    /// Of an epoch that is not known here: this node is behind, or somebody makes sets up.
    Early,
    /// It shows nothing.
    Nothing,
}

/// The files of one node.
pub(crate) struct EvidenceBook {
    dir: PathBuf,
    store: Arc<Store>,
    constants: ChainConstants,
    outlet: Outlet,
    known: Mutex<BTreeSet<String>>,
}

impl EvidenceBook {
    /// Opens the directory, which need not exist.
    ///
    /// # Errors
    /// The system's, for a directory that cannot be read.
    pub(crate) fn open(
        dir: PathBuf,
        store: Arc<Store>,
        constants: ChainConstants,
        outlet: Outlet,
    ) -> std::io::Result<Self> {
        let mut known = BTreeSet::new();
        if dir.exists() {
            for entry in fs::read_dir(&dir)? {
                known.insert(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(Self {
            dir,
            store,
            constants,
            outlet,
            known: Mutex::new(known),
        })
    }

    /// Records what this node has seen itself, and tells it.
    ///
    /// # Errors
    /// The database's, while the set's lineage is read.
    pub(crate) fn record(&self, evidence: Evidence) -> Result<Recorded, StorageError> {
        let epoch = Epoch::of(evidence.height());
        let Some(lineage) = lineage(&self.store, &self.constants, epoch)? else {
            return Ok(Recorded::Nothing); // of an epoch that has not begun here
        };
        let file = EvidenceFile {
            lineage,
            evidence,
            answer: Vec::new(),
        };
        let recorded = self.keep(&file);
        if recorded == Recorded::New {
            self.outlet.send(News::Evidence(file.encode()));
        }
        Ok(recorded)
    }

    /// Takes a peer's file.
    pub(crate) fn take(&self, bytes: &[u8]) -> Recorded {
        match EvidenceFile::decode(bytes) {
            Ok(file) => self.keep_if_ours(&file),
            Err(_) => Recorded::Nothing,
        }
    }

    /// A file judges itself by the sets that it carries; keys that left long ago can write others than this chain's.
    fn keep_if_ours(&self, file: &EvidenceFile) -> Recorded {
        let links = &file.lineage.handovers;
        if let Some(last) = links.last() {
            let epoch = u64::try_from(links.len()).map_or(Epoch(u64::MAX), Epoch);
            match self.store.validator_set(epoch) {
                Ok(Some(set)) if set == last.next => {}
                Ok(Some(_)) => return Recorded::Nothing,
                // a failing database ends the node elsewhere
                Ok(None) | Err(_) => return Recorded::Early,
            }
        }
        self.keep(file)
    }

    fn keep(&self, file: &EvidenceFile) -> Recorded {
        let ours = (
            self.constants.genesis_hash,
            self.constants.domain,
            &self.constants.validators,
        );
        let theirs = &file.lineage;
        if (theirs.genesis, theirs.domain, &theirs.validators) != ours {
            return Recorded::Nothing;
        }
        let finding = match file.judge(None) {
            Ok(judgement) => judgement.finding,
            Err(error) => {
                tracing::debug!(%error, "evidence shows nothing");
                return Recorded::Nothing;
            }
        };
        let offence = format!("{:?}", finding.offence).to_lowercase();
        let name = format!(
            "{}-{offence}-{}.{ENDING}",
            finding.height.0, finding.offender
        );
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.insert(name.clone()) {
                return Recorded::Known;
            }
            if known.len() > FILES_MAX {
                known.remove(&name);
                return Recorded::Known;
            }
        }
        ::metrics::counter!("sequencer_evidence_total").increment(1);
        let path = self.dir.join(name);
        tracing::warn!(
            height = finding.height.0,
            offender = %finding.offender,
            offence = %finding.offence,
            file = %path.display(),
            "a validator contradicts itself: quorate verify evidence FILE judges it"
        );
        if let Err(error) = write(&self.dir, &path, &file.encode()) {
            tracing::error!(%error, file = %path.display(), "evidence could not be written; peers are told all the same");
        }
        Recorded::New
    }
}

/// Writes a file whole or not at all.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
