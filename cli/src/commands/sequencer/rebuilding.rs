//! `quorate sequencer --rebuild-from-l1`: the database of a node whose disk is lost, from genesis and the base layer alone.
//!
//! Invariants: only what final blocks have proven goes into it, and nothing is written before the root is that of the Rollup;
//! a directory that holds a database is refused before anything is read. Without a restart certificate the node serves the
//! state and orders nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::genesis::Genesis;
use sequencer::{
    BaseLayerConfig, NotRebuilt, RestartPoint, StorageError, check_unmade, make_rebuilt,
    make_restarted,
};
use settlement::deploy::DeploymentFile;

use crate::base_layer::rebuilt_final;
use crate::commands::restart;
use crate::exit::{CliError, Exit};

/// How the database is made, where none is.
#[derive(Debug, Args)]
pub(super) struct RebuildingArgs {
    /// Make the database first, where none is, from genesis and what the base layer has proven. Without a restart certificate the
    /// node then serves that state and orders nothing
    #[arg(long)]
    rebuild_from_l1: bool,
    /// Restart certificate by which the chain goes on from the state that is rebuilt (docs/restart.md)
    #[arg(long, value_name = "FILE", requires = "rebuild_from_l1")]
    restart_certificate: Option<PathBuf>,
}

impl RebuildingArgs {
    /// Whether a database is to be made.
    pub(super) fn is_wanted(&self) -> bool {
        self.rebuild_from_l1
    }

    /// Makes the database.
    ///
    /// # Errors
    /// `Usage` for a directory with a database and for what is missing, else the base layer's, or `Invalid` for a genesis,
    /// events or certificate that do not fit together. Nothing has been made.
    pub(super) async fn make(
        &self,
        data: &Path,
        genesis: &Genesis,
        base_layer: Option<&BaseLayerConfig>,
    ) -> Result<(), CliError> {
        let Some(config) = base_layer else {
            let what = "no base layer is configured";
            let why = "--rebuild-from-l1 reads one";
            let todo = "give --base-layer and --deployment, or the section [base_layer]";
            return Err(CliError::new(Exit::Usage, what, why, todo));
        };
        let what = "no database is made";
        check_unmade(data).map_err(|error| occupied(what, &error))?;
        let path = self.restart_certificate.as_deref();
        let certificate = path.map(restart::load_certificate).transpose()?;
        let until = certificate.as_ref().map(|one| one.restart.batch);
        let deployment = &config.deployment;
        let file = DeploymentFile::new(genesis.chain_id, config.first_block, deployment);
        tracing::info!(
            from_block = config.first_block,
            "rebuilding the state from the base layer"
        );
        let chain = rebuilt_final(&*config.layer, &file, genesis, until).await?;
        tracing::info!(
            batch = chain.batches,
            block = chain.block,
            leaves = chain.state.leaf_count(),
            operations = chain.operations,
            "state rebuilt, with the root that the Rollup holds"
        );
        let Some(certificate) = certificate else {
            return make_rebuilt(data, genesis, chain).map_err(|error| match &error {
                NotRebuilt::NothingProven => CliError::new(
                    Exit::Invalid,
                    what,
                    &error,
                    "a new chain starts without --rebuild-from-l1; one that ordered blocks before needs a restart \
                     certificate (docs/restart.md)",
                ),
                NotRebuilt::Storage(error) => occupied(what, error),
            });
        };
        let point = RestartPoint::from(chain);
        make_restarted(data, genesis, &point, &certificate)
            .map_err(|error| restart::refused(what, &error))
    }
}

fn occupied(what: &str, error: &StorageError) -> CliError {
    let (exit, todo) = match error {
        StorageError::Occupied { .. } => (
            Exit::Usage,
            "start without --rebuild-from-l1, or move the old database away and keep the directory agreement",
        ),
        StorageError::Corrupt { .. } => {
            (Exit::Corrupt, "move what is there away, and check the disk")
        }
        _ => (
            Exit::Unavailable,
            "check space and permissions; the base layer still has everything",
        ),
    };
    CliError::new(exit, what, error, todo)
}
