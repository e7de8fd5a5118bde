//! Whether the nodes of a set tell the same story: the same block at every height.

use std::time::{Duration, Instant};

use api::rpc::QuorateClient;

use crate::exit::{CliError, Exit};
use crate::node::Node;

/// Longest a node may be behind another.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(50);

/// Waits until every node has this height.
///
/// # Errors
/// The network's or a node's, or `Unavailable` if one stays behind.
pub(crate) async fn reached(nodes: &[Node], height: u64) -> Result<(), CliError> {
    let until = Instant::now() + PATIENCE;
    for (number, node) in nodes.iter().enumerate() {
        loop {
            let status = node.client.status().await;
            let at = status
                .map_err(|error| node.error("asking for the height", error))?
                .height;
            if at >= height {
                break;
            }
            if Instant::now() >= until {
                let what = format!("node {number} does not reach height {height}");
                let why = format!("it is at {at} after {} s", PATIENCE.as_secs());
                let todo = "look at its log";
                return Err(CliError::new(Exit::Unavailable, what, why, todo));
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

/// Waits until every node has this height, and compares the ids of all blocks up to it.
///
/// # Errors
/// The network's or a node's, or `Bug` if two nodes disagree.
pub(crate) async fn same_blocks(nodes: &[Node], height: u64) -> Result<(), CliError> {
    reached(nodes, height).await?;
    for height in 1..=height {
        let mut known = None;
        for (number, node) in nodes.iter().enumerate() {
            let block = node.client.block(Some(height)).await;
            let id = block
                .map_err(|error| node.error("asking for a block", error))?
                .id;
            let expected = known.get_or_insert_with(|| id.clone());
            if *expected != id {
                let what = format!("two nodes disagree about height {height}");
                let why = format!("node 0 has the block {expected}, node {number} has {id}");
                let todo = "please report it, with both databases";
                return Err(CliError::new(Exit::Bug, what, why, todo));
            }
        }
    }
    Ok(())
}
