//! Where the NATS server is, and whether it is one that this project can use.

use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode as StreamErrorCode};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};

use super::{PAYLOAD_BYTES_MIN, WITNESSES, unavailable};
use crate::error::{ApiError, ErrorCode};

/// Longest that one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What JetStream says of a stream that nobody has made yet.
const NO_STREAM: StreamErrorCode = StreamErrorCode::STREAM_NOT_FOUND;
/// Messages of a subscription that wait to be handled; what comes beyond is dropped, and asked again by its sender.
const WAITING_MAX: usize = 1_024;

/// A NATS server, and what it asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsConfig {
    url: String,
    token: Option<String>,
}

impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConfig")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_| "hidden"))
            .finish()
    }
}

/// What a look at a server has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsSeen {
    /// Its version.
    pub version: String,
    /// Bytes of one message at most.
    pub payload_bytes_max: usize,
}

impl NatsConfig {
    /// The server at this URL (`nats://HOST:PORT`, or `tls://`), with the token that it asks for, if it does.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] for what is no URL, or holds a password: a URL is shown in logs.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, ApiError> {
        let refused = |reason: String| ApiError::new(ErrorCode::MalformedText, reason);
        let address: ServerAddr = url
            .parse()
            .map_err(|error: std::io::Error| refused(error.to_string()))?;
        if address.has_user_pass() || url.contains('@') {
            return Err(refused("a secret does not belong into a URL".to_owned()));
        }
        Ok(Self {
            url: url.to_owned(),
            token,
        })
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn options(&self, name: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(CONNECT_TIMEOUT)
            .subscription_capacity(WAITING_MAX)
            .client_capacity(WAITING_MAX);
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        options
    }

    /// A client that connects now or later, and again whenever the server has vanished.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] for a configuration that cannot be used.
    pub async fn connect(&self, name: &str) -> Result<Client, ApiError> {
        let url = self.url.clone();
        let options = self.options(name).retry_on_initial_connect();
        let options = options.event_callback(move |event| {
            let url = url.clone();
            async move {
                match event {
                    Event::Connected => tracing::info!(url, "NATS server connected"),
                    other => tracing::warn!(url, event = %other, "NATS"),
                }
            }
        });
        let client = options.connect(&self.url).await;
        client.map_err(|error| unavailable(&self.url, error))
    }

    /// Looks whether the server answers, has JetStream, and takes messages that are long enough.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] with what is wrong.
    pub async fn look(&self) -> Result<NatsSeen, ApiError> {
        let client = self.options("quorate doctor").connect(&self.url).await;
        let client = client.map_err(|error| unavailable(&self.url, error))?;
        let info = client.server_info();
        let seen = NatsSeen {
            version: info.version,
            payload_bytes_max: info.max_payload,
        };
        if seen.payload_bytes_max < PAYLOAD_BYTES_MIN {
            let (found, wanted) = (seen.payload_bytes_max, PAYLOAD_BYTES_MIN);
            let reason =
                format!("messages of {found} bytes at most, {wanted} are needed (max_payload)");
            return Err(unavailable(&self.url, reason));
        }
        // Nothing is made by a look: that there is no such stream yet is an answer of JetStream, too.
        match jetstream::new(client).get_stream(WITNESSES).await {
            Ok(_) => Ok(seen),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(why) if why.error_code() == NO_STREAM => Ok(seen),
                _ => Err(unavailable("the server has no JetStream", error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_taken_from_urls_and_not_shown() {
        assert!(NatsConfig::new("nats://127.0.0.1:4222", None).is_ok());
        assert!(NatsConfig::new("tls://nats.example.org", None).is_ok());
        for url in [
            "http://127.0.0.1",
            "nats://user:hunter2@127.0.0.1",
            "nats://hunter2@h",
            "::",
        ] {
            let error = NatsConfig::new(url, None).expect_err(url);
            assert_eq!(error.code, ErrorCode::MalformedText);
            assert!(!error.reason.contains("hunter2"), "{error}");
        }
        let config = NatsConfig::new("nats://h", Some("hunter2".to_owned())).expect("a URL");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
