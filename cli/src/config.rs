//! Configuration: default, then the TOML file, then `QUORATE__SECTION__KEY`, then flags; the last one wins.
//!
//! Unknown keys are errors in the file and in the environment. Secrets are not configuration: a key is named by
//! `file:PATH` or `env:NAME`. Protocol constants are not configuration either: they are in genesis.

mod network;

use std::path::PathBuf;

use api::jobs::JobKind;
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

mod base_layer;
mod builder;
mod nats;
mod storage;

use crate::exit::{CliError, Exit};
pub(crate) use base_layer::BaseLayerSettings;
pub(crate) use builder::{BuilderSettings, Strategy};

pub(crate) use nats::NatsSettings;
pub(crate) use network::NetworkSettings;
pub(crate) use storage::StorageSettings;

/// First letters of every environment variable that configures.
const PREFIX: &str = "QUORATE__";

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The node.
    pub(crate) sequencer: SequencerSettings,
    /// The other validators.
    pub(crate) network: NetworkSettings,
    /// What is kept of the past.
    pub(crate) storage: StorageSettings,
    /// The base layer.
    pub(crate) base_layer: BaseLayerSettings,
    /// A builder.
    pub(crate) builder: BuilderSettings,
    /// The server where nodes and workers meet.
    pub(crate) nats: NatsSettings,
    /// A prover worker.
    pub(crate) prover: ProverSettings,
    /// The wallet.
    pub(crate) wallet: WalletSettings,
}

/// What a node does while no quorum answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ModeSetting {
    /// What is pending waits.
    #[default]
    Halt,
    /// It follows and signs the soft chain, which can be reverted.
    Available,
}

impl From<ModeSetting> for sequencer::Mode {
    fn from(mode: ModeSetting) -> Self {
        match mode {
            ModeSetting::Halt => Self::Halt,
            ModeSetting::Available => Self::Available,
        }
    }
}

/// The node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SequencerSettings {
    /// Genesis file.
    pub(crate) genesis: Option<PathBuf>,
    /// Directory of the database.
    pub(crate) data: Option<PathBuf>,
    /// Validators of later epochs; without a file those of genesis stay.
    pub(crate) validator_sets: Option<PathBuf>,
    /// Where the validator's key is: `file:PATH` or `env:NAME`, 64 hex digits.
    pub(crate) validator_key: Option<String>,
    /// Leaf where builders pay this validator; without one it takes no bids.
    pub(crate) bid_leaf: Option<u32>,
    /// What the node reports while no quorum answers.
    pub(crate) mode: ModeSetting,
    /// Whether workers make the one proof of each batch that the base layer verifies.
    pub(crate) aggregate: bool,
    /// Address of the RPC.
    pub(crate) rpc: String,
    /// Address of the proof queue.
    pub(crate) jobs: String,
    /// Time between blocks.
    pub(crate) block_interval_ms: u64,
    /// A worker's lease ends so long after its last heartbeat.
    pub(crate) lease_ms: u64,
    /// Least fee, in base units, as a decimal text.
    pub(crate) fee_min: String,
}

impl Default for SequencerSettings {
    fn default() -> Self {
        Self {
            genesis: None,
            data: None,
            validator_sets: None,
            validator_key: None,
            bid_leaf: None,
            mode: ModeSetting::default(),
            aggregate: false,
            rpc: "127.0.0.1:8545".to_owned(),
            jobs: "127.0.0.1:8546".to_owned(),
            block_interval_ms: 200,
            lease_ms: 30_000,
            fee_min: "0".to_owned(),
        }
    }
}

/// A prover worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProverSettings {
    /// URL of the proof queue.
    pub(crate) jobs: String,
    /// Name of this worker, unique among a node's workers; the process id makes one up.
    pub(crate) name: Option<String>,
    /// Memory it may use, in MiB; all of the machine's without a number.
    pub(crate) memory_mb: Option<u64>,
    /// Directory of reference strings and keys.
    pub(crate) cache: Option<PathBuf>,
    /// Threads; all of the machine's without a number.
    pub(crate) threads: Option<usize>,
    /// Kinds of jobs that it takes; all that fit its memory without a list.
    pub(crate) kinds: Option<Vec<JobKind>>,
    /// Address that the base layer rewards for final proofs made here; the zero address without one.
    pub(crate) prover_id: Option<String>,
}

impl Default for ProverSettings {
    fn default() -> Self {
        Self {
            jobs: "http://127.0.0.1:8546".to_owned(),
            name: None,
            memory_mb: None,
            cache: None,
            threads: None,
            kinds: None,
            prover_id: None,
        }
    }
}

/// The wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WalletSettings {
    /// URL of a node's RPC.
    pub(crate) rpc: String,
    /// File of the encrypted key.
    pub(crate) keystore: Option<PathBuf>,
}

impl Default for WalletSettings {
    fn default() -> Self {
        Self {
            rpc: "http://127.0.0.1:8545".to_owned(),
            keystore: None,
        }
    }
}

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The file, if the user named one.
    pub(crate) file: Option<PathBuf>,
    /// Log level of this run, for the processes that it starts.
    pub(crate) level: String,
}

/// One flag that was given: dotted key and value.
pub(crate) type Flag = (&'static str, figment::value::Value);

/// A flag's entry, if it was given.
pub(crate) fn flag<T: Serialize>(key: &'static str, value: Option<T>) -> Option<Flag> {
    let value = value.and_then(|value| figment::value::Value::serialize(value).ok());
    value.map(|value| (key, value))
}

impl Sources {
    /// The settings, with these flags on top.
    ///
    /// # Errors
    /// `Usage` for a file that cannot be read, an unknown key, or a value of the wrong type.
    pub(crate) fn load(
        &self,
        flags: impl IntoIterator<Item = Option<Flag>>,
    ) -> Result<Settings, CliError> {
        let mut figment = Figment::from(Serialized::defaults(Settings::default()));
        if let Some(file) = &self.file {
            // Read here, so that a missing file is an error and not an empty configuration.
            let text = crate::files::read_text(file, FILE_BYTES_MAX)?;
            figment = figment.merge(Toml::string(&text));
        }
        figment = figment.merge(Env::prefixed(PREFIX).split("__"));
        for (key, value) in flags.into_iter().flatten() {
            figment = figment.merge((key, value));
        }
        figment.extract().map_err(|error| {
            let file = self
                .file
                .as_ref()
                .map_or(String::new(), |file| format!(" ({})", file.display()));
            let what = format!("the configuration{file} is not usable");
            let todo = "compare it with docs/quorate.toml, which has every key and its default";
            CliError::new(Exit::Usage, what, error, todo)
        })
    }
}

/// Bytes of a configuration file at most.
const FILE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::{Settings, Sources, flag};

    fn with_file(text: &str) -> Result<Settings, crate::exit::CliError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("quorate.toml");
        std::fs::write(&path, text).expect("write");
        Sources {
            file: Some(path),
            ..Default::default()
        }
        .load([])
    }

    #[test]
    fn shipped_example_parses_and_states_the_defaults() {
        let example = include_str!("../../docs/quorate.toml");
        assert_eq!(
            with_file(example).expect("the example"),
            Settings::default()
        );
        // Every line that is commented out is a key, too.
        let all: String = example
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line)))
            .collect();
        let settings = with_file(&all).expect("the example with its optional keys");
        assert!(settings.sequencer.genesis.is_some() && settings.prover.threads.is_some());
        assert!(settings.prover.kinds.is_some() && settings.prover.prover_id.is_some());
        assert!(settings.nats.url.is_some() && settings.nats.token.is_some());
        assert!(settings.wallet.keystore.is_some() && settings.prover.cache.is_some());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_errors() {
        for text in [
            "surprise = 1",
            "[sequencer]\nsurprise = 1",
            "[prover]\nthreads = \"two\"",
            "[prover]\nkinds = [\"chunks\"]",
            "[",
            "[log]\nlevel = 1",
            "[storage]\nkeep_blocks = \"all\"",
            "[network]\nengine_peer = []",
            "[network]\nengine_peers = \"127.0.0.1:1\"",
            "[network]\npropose_ms = -1",
            "[base_layer]\nurl = 1",
            "[nats]\nrpc = \"nats://127.0.0.1\"",
        ] {
            assert!(with_file(text).is_err(), "{text}");
        }
        let absent = Sources {
            file: Some("/nonexistent/quorate.toml".into()),
            ..Default::default()
        };
        assert!(absent.load([]).is_err());
    }

    #[test]
    fn flags_win() {
        let settings = Sources::default()
            .load([
                flag("network.engine_peers", Some(vec!["127.0.0.1:9"])),
                flag("wallet.rpc", Some("http://other")),
                flag("prover.threads", None::<usize>),
            ])
            .expect("settings");
        assert_eq!(
            (settings.wallet.rpc.as_str(), settings.prover.threads),
            ("http://other", None)
        );
        assert_eq!(settings.network.engine_peers, ["127.0.0.1:9"]);
    }
}
