//! What the nodes of a set show: heights that are waited for, and blocks that are compared.

use std::time::{Duration, Instant};

use api::rpc::QuorateClient;
use api::text::AddressText;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::transaction::Domain;
use protocol::validator::ValidatorKey;

use super::{PATIENCE, Set, development_validator};

/// Longest wait for an answer: a process that stands still accepts connections and says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(50);

impl Set {
    /// A client of a node's RPC, of this life and all later ones.
    pub(crate) fn client(&self, number: usize) -> HttpClient {
        let url = format!("http://127.0.0.1:{}", self.seats[number].rpc);
        let builder = HttpClientBuilder::default().request_timeout(ANSWER_MAX);
        builder.build(url).expect("a client")
    }

    /// Clients of all nodes.
    pub(crate) fn clients(&self) -> Vec<HttpClient> {
        (0..self.count())
            .map(|number| self.client(number))
            .collect()
    }

    /// The chain's domain.
    pub(crate) async fn domain(&self) -> Domain {
        let info = self.client(0).chain().await.expect("the chain");
        assert_eq!(info.validators.len(), self.count());
        Domain(info.domain.parse().expect("a field element"))
    }

    /// Address of a node's key.
    pub(crate) fn validator(&self, number: usize) -> AddressText {
        let scalar = development_validator(number);
        let key = ValidatorKey::from_bytes(&scalar).expect("a key");
        key.address().into()
    }

    /// A node's height.
    pub(crate) async fn height(&self, number: usize) -> u64 {
        let status = self.client(number).status().await;
        let status = status.unwrap_or_else(|error| {
            let log = self.node(number).process.log();
            panic!("node {number} does not answer: {error}: {log}")
        });
        status.height
    }

    /// The highest height of the nodes that answer.
    pub(crate) async fn highest(&self) -> u64 {
        self.heights().await.into_iter().max().unwrap_or(0)
    }

    fn answering(&self) -> Vec<usize> {
        (0..self.count())
            .filter(|number| self.seats[*number].is_answering())
            .collect()
    }

    /// Heights of the nodes that answer.
    pub(crate) async fn heights(&self) -> Vec<u64> {
        let mut heights = Vec::new();
        for number in self.answering() {
            heights.push(self.height(number).await);
        }
        heights
    }

    /// Waits until every node that answers has this height, and compares all their blocks.
    pub(crate) async fn reach(&mut self, height: u64) {
        self.reach_on(&self.answering(), height).await;
    }

    /// Waits until these nodes have this height, and compares the blocks of all that answer.
    pub(crate) async fn reach_on(&mut self, numbers: &[usize], height: u64) {
        let until = Instant::now() + PATIENCE;
        for number in numbers.iter().copied() {
            loop {
                let at = self.height(number).await;
                if at >= height {
                    break;
                }
                assert!(
                    Instant::now() < until,
                    "node {number} is at {at}, not at {height}: {}",
                    self.node(number).process.log()
                );
                tokio::time::sleep(POLL).await;
            }
        }
        self.compare().await;
    }

    /// Waits for `more` blocks on every node that answers.
    pub(crate) async fn advance(&mut self, more: u64) {
        let height = self.highest().await + more;
        self.reach(height).await;
    }

    /// Compares every block of every node that answers with what was ever seen at its height.
    pub(crate) async fn compare(&mut self) {
        for number in self.answering() {
            let last = self.height(number).await;
            let client = self.client(number);
            for height in self.seats[number].compared + 1..=last {
                let block = client.block(Some(height)).await.expect("a block");
                let known = self
                    .blocks
                    .entry(height)
                    .or_insert_with(|| block.id.clone());
                assert_eq!(*known, block.id, "two blocks at {height}; node {number}");
            }
            self.seats[number].compared = last;
        }
    }
}
