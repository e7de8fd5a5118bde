//! The section `[base_layer]`: which base-layer node is followed, and where this chain's contracts are on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sequencer::BaseLayerConfig;
use serde::{Deserialize, Serialize};
use settlement::deploy::DeploymentFile;
use settlement::{EthereumClient, EthereumConfig};

use crate::exit::{CliError, Exit};
use crate::files;

/// Bytes of a deployment file at most: it has eleven short entries.
const FILE_BYTES_MAX: usize = 64 << 10;

/// The base layer. Without a URL none is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BaseLayerSettings {
    /// URL of an Ethereum node.
    pub(crate) rpc: Option<String>,
    /// File that the deployment wrote.
    pub(crate) deployment: Option<PathBuf>,
    /// First block that is followed; the file's without a number.
    pub(crate) from_block: Option<u64>,
    /// Between two looks.
    pub(crate) poll_ms: u64,
    /// How long a final block is known here before it is proposed.
    pub(crate) origin_delay_ms: u64,
    /// Longest that one answer may take.
    pub(crate) timeout_ms: u64,
}

impl Default for BaseLayerSettings {
    fn default() -> Self {
        Self {
            rpc: None,
            deployment: None,
            from_block: None,
            poll_ms: 2_000,
            origin_delay_ms: 6_000,
            timeout_ms: 10_000,
        }
    }
}

impl BaseLayerSettings {
    /// What a node follows; nothing without a URL. The base layer is not asked: it may be down when the node starts.
    ///
    /// # Errors
    /// `Usage` for a URL without a deployment file, the reverse, or one that cannot be used; `Corrupt` for a file that is none.
    pub(crate) fn follow(&self) -> Result<Option<BaseLayerConfig>, CliError> {
        let (url, path) = match (&self.rpc, &self.deployment) {
            (None, None) => return Ok(None),
            (Some(url), Some(path)) => (url, path),
            _ => {
                let what = "the base layer is half configured";
                let why = "base_layer.rpc and base_layer.deployment belong together";
                let todo = "give both, or neither (docs/quorate.toml)";
                return Err(CliError::new(Exit::Usage, what, why, todo));
            }
        };
        let text = files::read_text(path, FILE_BYTES_MAX)?;
        let file = DeploymentFile::from_json(&text).map_err(|why| {
            let what = format!("{} is not usable", path.display());
            let todo = "use the file that the deployment of this chain's contracts wrote";
            CliError::new(Exit::Corrupt, what, why, todo)
        })?;
        let client = EthereumConfig {
            url: url.clone(),
            chain_id: file.chain_id,
            timeout: Duration::from_millis(self.timeout_ms.max(1)),
        };
        let layer = EthereumClient::deferred(&client).map_err(|why| {
            // the URL may hold a key
            let what = "base_layer.rpc is not the URL of a node";
            let todo = "use a form like http://127.0.0.1:8551";
            CliError::new(Exit::Usage, what, why, todo)
        })?;
        let first_block = self.from_block.unwrap_or(file.first_block);
        Ok(Some(BaseLayerConfig {
            poll: Duration::from_millis(self.poll_ms.max(1)),
            origin_delay: Duration::from_millis(self.origin_delay_ms),
            ..BaseLayerConfig::new(Arc::new(layer), file.deployment(), first_block)
        }))
    }
}

#[cfg(test)]
mod tests {
    use settlement::deploy::Deployment;

    use super::*;

    #[test]
    fn url_and_deployment_belong_together() {
        assert!(
            BaseLayerSettings::default()
                .follow()
                .expect("nothing")
                .is_none()
        );
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("deployment.json");
        let deployment = Deployment::foretold(Default::default(), 0);
        let file = DeploymentFile::new(31_337, 5, &deployment);
        std::fs::write(&path, file.to_json().expect("plain values")).expect("write");
        let both = BaseLayerSettings {
            rpc: Some("http://127.0.0.1:1".to_owned()),
            deployment: Some(path.clone()),
            ..BaseLayerSettings::default()
        };
        let config = both.follow().expect("it is usable").expect("configured");
        assert_eq!((config.first_block, config.deployment), (5, deployment));
        let later = BaseLayerSettings {
            from_block: Some(7),
            ..both.clone()
        };
        let config = later.follow().expect("it is usable").expect("configured");
        assert_eq!(config.first_block, 7);
        let mut wrong = vec![
            BaseLayerSettings {
                rpc: None,
                ..both.clone()
            },
            BaseLayerSettings {
                deployment: None,
                ..both.clone()
            },
            BaseLayerSettings {
                rpc: Some("nowhere".to_owned()),
                ..both.clone()
            },
        ];
        for settings in wrong.drain(..) {
            let error = settings.follow().expect_err("it is not usable");
            assert_eq!(error.exit, Exit::Usage, "{error}");
        }
        std::fs::write(&path, "{}").expect("write");
        let error = both.follow().expect_err("no deployment file");
        assert_eq!(error.exit, Exit::Corrupt);
    }
}
