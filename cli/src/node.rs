//! A node's RPC as the command line uses it: one client, errors that say what to do, and waiting for a stage.

use std::time::Duration;

use api::ApiError;
use api::rpc::QuorateClient;
use api::status::{ChainInfo, Stage, TransactionStatus};
use api::text::HashText;
use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::genesis::Genesis;
use protocol::transaction::Domain;
use tokio::time::{Instant, sleep};

use crate::exit::{CliError, Exit};

/// Longest a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Bundles travel in hex.
const RESPONSE_BYTES_MAX: u32 = 160 << 20;
/// Time between two looks at a status.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A node, by the URL of its RPC.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The client, for the methods of [`QuorateClient`].
    pub(crate) client: HttpClient,
    url: String,
}

impl Node {
    /// The node at this URL; nothing is sent yet.
    ///
    /// # Errors
    /// `Usage` for a URL that cannot be used.
    pub(crate) fn new(url: &str) -> Result<Self, CliError> {
        let client = HttpClientBuilder::default()
            .request_timeout(REQUEST_TIMEOUT)
            .max_response_size(RESPONSE_BYTES_MAX)
            .build(url)
            .map_err(|error| {
                let what = format!("{url:?} is not the URL of a node");
                CliError::new(
                    Exit::Usage,
                    what,
                    error,
                    "use a form like http://127.0.0.1:8545",
                )
            })?;
        Ok(Self {
            client,
            url: url.to_owned(),
        })
    }

    /// Turns a client's error into ours; `what` says what was tried.
    pub(crate) fn error(&self, what: &str, error: ClientError) -> CliError {
        let what = format!("{what} failed at {}", self.url);
        match &error {
            ClientError::Call(object) => match ApiError::from_object(object) {
                Some(refusal) => CliError::refused(what, &refusal),
                None => CliError::new(
                    Exit::Invalid,
                    what,
                    object,
                    "compare the versions of node and wallet",
                ),
            },
            ClientError::ParseError(why) => {
                let todo = "compare the versions of node and wallet";
                CliError::new(Exit::Version, what, why, todo)
            }
            other => {
                let todo =
                    "check that a node runs there: quorate devnet starts one; --rpc names another";
                CliError::new(Exit::Unavailable, what, other, todo)
            }
        }
    }

    /// What the chain is, and its domain: that of `genesis` if the caller has one, which the node must share.
    ///
    /// # Errors
    /// Also `Invalid` if the node's statement contradicts itself or genesis.
    pub(crate) async fn chain(
        &self,
        genesis: Option<&Genesis>,
    ) -> Result<(ChainInfo, Domain), CliError> {
        let what = "asking for the chain";
        let info = self
            .client
            .chain()
            .await
            .map_err(|error| self.error(what, error))?;
        let refused = |error: ApiError| CliError::refused(what, &error);
        let rollup = info.rollup.parse().map_err(refused)?;
        let params = info.params_hash.parse().map_err(refused)?;
        let computed = Domain::new(info.chain_id, rollup, params, info.circuit_version);
        let todo = "do not sign for this node";
        if computed.0 != info.domain.parse().map_err(refused)? {
            let why = "its domain is not that of the chain it names";
            return Err(CliError::new(
                Exit::Invalid,
                "the node contradicts itself",
                why,
                todo,
            ));
        }
        match genesis {
            Some(genesis)
                if genesis.domain() != computed || info.genesis_hash != genesis.hash().into() =>
            {
                let why = format!(
                    "it serves chain {} with the contract {}",
                    info.chain_id, info.rollup
                );
                Err(CliError::new(
                    Exit::Invalid,
                    "the node is of another chain than genesis",
                    why,
                    todo,
                ))
            }
            _ => Ok((info, computed)),
        }
    }

    /// Status of an operation.
    ///
    /// # Errors
    /// The network's or the node's.
    pub(crate) async fn transaction(&self, id: &HashText) -> Result<TransactionStatus, CliError> {
        let status = self.client.transaction_status(id.clone()).await;
        status.map_err(|error| self.error("asking for the status", error))
    }

    /// Waits until an operation has reached `stage`, has failed, or `patience` is over; returns the last status.
    ///
    /// # Errors
    /// The network's or the node's.
    pub(crate) async fn wait(
        &self,
        id: &HashText,
        stage: Stage,
        patience: Duration,
        mut seen: impl FnMut(&TransactionStatus),
    ) -> Result<TransactionStatus, CliError> {
        let until = Instant::now() + patience;
        loop {
            let status = self.transaction(id).await?;
            seen(&status);
            if status.stage >= stage || status.stage == Stage::Failed || Instant::now() >= until {
                return Ok(status);
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Runs `future` on a runtime of one thread.
///
/// # Errors
/// Its own, or `Unavailable` if the system gives no runtime.
pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            let todo = "check the limits of this process (ulimit -a)";
            CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
        })?
        .block_on(future)
}
