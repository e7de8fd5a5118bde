//! The embedded chain on the bench, behind its JSON-RPC server and through the Ethereum client; and what the
//! server alone must do: answer what is malformed, and make blocks on the clock.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::http_client::HttpClientBuilder;
use serde_json::{Value, json};
use settlement::{
    BaseLayer, BlockAt, DEVELOPMENT_CHAIN_ID, EmbeddedChain, EmbeddedConfig, EmbeddedServer,
    EthereumClient, EthereumConfig,
};

use crate::bench::Bench;
use crate::embedded::Embedded;

pub(crate) struct Served {
    bench: Embedded,
    client: EthereumClient,
    _server: EmbeddedServer,
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn connect(server: &EmbeddedServer) -> EthereumClient {
    let config = EthereumConfig {
        url: format!("http://{}", server.address()),
        chain_id: DEVELOPMENT_CHAIN_ID,
        timeout: Duration::from_secs(30),
    };
    let client = EthereumClient::connect(&config).await;
    client.expect("it answers")
}

impl Served {
    pub(crate) async fn start() -> Self {
        let bench = Embedded::start();
        let server = EmbeddedServer::start(bench.chain(), any_port(), None).await;
        let server = server.expect("a free port");
        Self {
            client: connect(&server).await,
            bench,
            _server: server,
        }
    }
}

#[async_trait]
impl Bench for Served {
    fn layer(&self) -> &dyn BaseLayer {
        &self.client
    }

    async fn mine(&self) {
        self.bench.mine().await;
    }

    async fn reorg(&self, depth: u64) {
        self.bench.reorg(depth).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn blocks_come_on_the_clock_with_its_time() {
    let chain = EmbeddedChain::start(EmbeddedConfig::default());
    let period = Duration::from_millis(20);
    let server = EmbeddedServer::start(chain, any_port(), Some(period)).await;
    let server = server.expect("a free port");
    let client = &connect(&server).await;
    let head = async || {
        let head = client.header(BlockAt::Latest).await;
        head.expect("answers").expect("genesis")
    };
    let begun = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let begun = begun.expect("after 1970").as_secs();
    while head().await.number < 5 {
        tokio::time::sleep(period).await;
    }
    assert!(head().await.timestamp >= begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn malformed_requests_are_refused_by_name_and_the_server_lives() {
    let server = EmbeddedServer::start(Embedded::start().chain(), any_port(), None).await;
    let server = server.expect("a free port");
    let url = format!("http://{}", server.address());
    let client = HttpClientBuilder::default().build(url).expect("a client");
    let code = async |method, parameters: Vec<Value>| {
        let answer: Result<Value, _> = client.request(method, parameters).await;
        match answer {
            Err(Error::Call(refusal)) => refusal.code(),
            other => panic!("{method} is not refused: {other:?}"),
        }
    };
    let address = json!("0x00000000000000000000000000000000000000aa");
    let unknown = json!({ "blockHash": alloy_primitives::B256::repeat_byte(9) });
    for (method, parameters, expected) in [
        ("eth_getBalance", vec![], -32_602),
        (
            "eth_getBalance",
            vec![json!("0x1"), json!("latest")],
            -32_602,
        ),
        ("eth_getBalance", vec![address.clone(), json!({})], -32_602),
        ("eth_getBalance", vec![address.clone(), unknown], -32_000),
        (
            "eth_call",
            vec![json!({ "to": address }), json!(5)],
            -32_602,
        ),
        ("eth_sendRawTransaction", vec![json!("0x02")], -32_000),
        ("eth_sendRawTransaction", vec![json!({ "a": 1 })], -32_602),
        (
            "eth_getProof",
            vec![address.clone(), json!(vec!["0x0"; 257])],
            -32_602,
        ),
        ("evm_increaseTime", vec![json!(u64::MAX)], -32_602),
        ("eth_getLogs", vec![json!({})], -32_601),
    ] {
        assert_eq!(code(method, parameters).await, expected, "{method}");
    }
    let head: Value = client
        .request("eth_blockNumber", Vec::<Value>::new())
        .await
        .expect("it lives");
    assert_eq!(head, json!("0x0"));
}
