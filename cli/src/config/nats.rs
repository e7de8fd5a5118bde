//! The section `[nats]`: the server that nodes and workers meet at when they do not reach each other.

use api::jobs::nats::NatsConfig;
use serde::{Deserialize, Serialize};

use crate::exit::{CliError, Exit};
use crate::secret::SecretSource;

/// The server. Without a URL jobs go over HTTP alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NatsSettings {
    /// Its URL.
    pub(crate) url: Option<String>,
    /// Where the token is that it asks for: `file:PATH` or `env:NAME`; none without one.
    pub(crate) token: Option<String>,
}

impl NatsSettings {
    /// The server, if one is named. It is not asked: it may be down when a process starts.
    ///
    /// # Errors
    /// `Usage` for a URL or a token that cannot be used.
    pub(crate) fn parse(&self) -> Result<Option<NatsConfig>, CliError> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let token = self.token.as_deref().map(read_token).transpose()?;
        // the URL is not repeated: somebody may have put a password into it
        let config = NatsConfig::new(url, token).map_err(|error| {
            let todo = "use a form like nats://127.0.0.1:4222, and nats.token for a secret";
            CliError::new(Exit::Usage, "nats.url is not usable", error.reason, todo)
        })?;
        Ok(Some(config))
    }
}

fn read_token(source: &str) -> Result<String, CliError> {
    let source: SecretSource = source.parse().map_err(|why: String| {
        let todo = "use file:PATH or env:NAME";
        CliError::new(Exit::Usage, "nats.token is not usable", why, todo)
    })?;
    Ok(source.read("NATS token", false)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_its_secret() {
        assert_eq!(NatsSettings::default().parse(), Ok(None));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("token");
        std::fs::write(&file, "hunter2\n").expect("write");
        let settings = |url: &str, token: Option<String>| NatsSettings {
            url: Some(url.to_owned()),
            token,
        };
        let source = format!("file:{}", file.display());
        let config = settings("nats://127.0.0.1:4222", Some(source)).parse();
        let expected = NatsConfig::new("nats://127.0.0.1:4222", Some("hunter2".to_owned()));
        assert_eq!(config, Ok(Some(expected.expect("a URL"))));
        for wrong in [
            settings("http://127.0.0.1", None),
            settings("nats://me:hunter2@127.0.0.1", None),
            settings("nats://127.0.0.1", Some("hunter2".to_owned())),
            settings("nats://127.0.0.1", Some("file:/nonexistent".to_owned())),
        ] {
            let error = wrong.parse().expect_err("not usable");
            assert_eq!(error.exit, Exit::Usage);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
