//! The section `[base_layer]`: which base-layer node is followed, and where this chain's contracts are on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sequencer::{BaseLayerConfig, PosterConfig};
use serde::{Deserialize, Serialize};
use settlement::{EthereumClient, EthereumConfig};

use crate::base_layer::{KeySource, load_deployment};
use crate::exit::{CliError, Exit};

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
    /// Where the key is that pays for posting batches: `file:PATH` or `env:NAME`; without one this node does not post.
    pub(crate) poster_key: Option<String>,
    /// Gwei per gas at most.
    pub(crate) fee_max_gwei: u64,
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
            poster_key: None,
            fee_max_gwei: 200,
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
        let file = load_deployment(path)?;
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
        let poster = self.poster()?;
        let first_block = self.from_block.unwrap_or(file.first_block);
        Ok(Some(BaseLayerConfig {
            poll: Duration::from_millis(self.poll_ms.max(1)),
            origin_delay: Duration::from_millis(self.origin_delay_ms),
            poster,
            ..BaseLayerConfig::new(Arc::new(layer), file.deployment(), first_block)
        }))
    }
}

impl BaseLayerSettings {
    /// Who posts batches, if this node does.
    fn poster(&self) -> Result<Option<PosterConfig>, CliError> {
        let Some(source) = &self.poster_key else {
            return Ok(None);
        };
        let source: KeySource = source.parse().map_err(|why: String| {
            let what = "base_layer.poster_key is not usable";
            let todo = "use file:PATH or env:NAME; development:N on a development chain";
            CliError::new(Exit::Usage, what, why, todo)
        })?;
        Ok(Some(PosterConfig {
            fee_max_wei: u128::from(self.fee_max_gwei).saturating_mul(1_000_000_000),
            ..PosterConfig::new(source.signer()?)
        }))
    }
}

#[cfg(test)]
mod tests {
    use settlement::deploy::{Deployment, DeploymentFile};

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
