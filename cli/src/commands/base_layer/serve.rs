//! `quorate base-layer serve`: the embedded chain behind JSON-RPC. FOR DEVELOPMENT ONLY: its keys are public.

use std::net::SocketAddr;
use std::time::Duration;

use alloy_primitives::U256;
use clap::Args;
use serde::{Deserialize, Serialize};
use settlement::{
    DEVELOPMENT_CHAIN_ID, EmbeddedChain, EmbeddedConfig, EmbeddedServer, Finality, Mining,
    TransactionSigner,
};
use tokio_util::sync::CancellationToken;

use crate::development;
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::process;

/// Ether of each development account: enough for the escrow of every development genesis.
const ETHER: u64 = 10_000_000_000;

/// Arguments of `quorate base-layer serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8544")]
    listen: SocketAddr,
    /// Seconds from a block to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    block_seconds: u64,
    /// Blocks until a block is final
    #[arg(long, value_name = "BLOCKS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    final_after: u64,
    /// End with the process that started this one
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

/// What is served.
#[derive(Serialize, Deserialize)]
pub(crate) struct Serving {
    /// Of its JSON-RPC.
    pub(crate) url: String,
    chain_id: u64,
    accounts: usize,
    block_seconds: u64,
    final_after: u64,
}

/// Serves until a signal.
///
/// # Errors
/// `Unavailable` if the address cannot be listened on.
pub(super) async fn run(args: &ServeArgs, output: Output) -> Outcome {
    let stop = CancellationToken::new();
    process::stop_on_signal(&stop)?;
    if args.stop_with_parent {
        process::stop_with_parent(&stop);
    }
    let wei = U256::from(ETHER) * U256::from(10).pow(U256::from(18));
    let signers = (0..).map_while(TransactionSigner::development);
    let chain = EmbeddedChain::start(EmbeddedConfig {
        genesis_time: development::now_ms() / 1_000,
        block_seconds: args.block_seconds,
        mining: Mining::ByHand,
        finality: Finality::Depths {
            safe: args.final_after.div_ceil(2),
            finalized: args.final_after,
        },
        funded: signers.map(|signer| (signer.address(), wei)).collect(),
        ..EmbeddedConfig::default()
    });
    let period = Duration::from_secs(args.block_seconds);
    let server = EmbeddedServer::start(chain, args.listen, Some(period)).await;
    let server = server.map_err(|error| {
        let what = format!("cannot listen on {}", args.listen);
        CliError::new(
            Exit::Unavailable,
            what,
            error,
            "choose another --listen, or stop what listens there",
        )
    })?;
    let serving = Serving {
        url: format!("http://{}", server.address()),
        chain_id: DEVELOPMENT_CHAIN_ID,
        accounts: TransactionSigner::development_count(),
        block_seconds: args.block_seconds,
        final_after: args.final_after,
    };
    let output = if args.stop_with_parent {
        Output::new(true)
    } else {
        output
    };
    output.data(&serving, |serving| {
        pairs(&[
            ("base layer", serving.url.clone()),
            (
                "chain",
                format!(
                    "{}, INSECURE: for development, its {} funded keys are public",
                    serving.chain_id, serving.accounts
                ),
            ),
            (
                "blocks",
                format!(
                    "every {} s, final after {}",
                    serving.block_seconds, serving.final_after
                ),
            ),
        ])
    });
    tokio::select! {
        () = stop.cancelled() => Ok(Exit::Success),
        () = server.stopped() => {
            let what = "the development chain stopped";
            Err(CliError::new(Exit::Bug, what, "its server ended", "please report this"))
        }
    }
}
