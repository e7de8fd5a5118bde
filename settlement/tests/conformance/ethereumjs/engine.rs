//! The Engine API, as a consensus client calls it: tokens, forkchoice, payloads.
//!
//! Every request carries a fresh token (HS256, valid for a minute around its time of issue). Versions are those of
//! Prague. An answer that the protocol allows but a well-behaved chain does not give (SYNCING, INVALID) comes back
//! as it is; what to expect is for the caller to say.
//!
//! Source: execution-apis (engine: common, authentication, paris, cancun, prague), RFC 2104, RFC 7515, RFC 7519.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, Sealable, Sealed};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClientBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Seconds from block to block.
pub(crate) const SLOT_SECONDS: u64 = 12;
/// Who is paid for the blocks.
const FEE_RECIPIENT: Address = Address::repeat_byte(0x11);
/// How long one request may take on a machine that is busy; the first reorganisation waits eight seconds.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The only verdict that lets a consensus client go on.
pub(crate) const VALID: &str = "VALID";

/// A caller of one client's Engine API.
pub(crate) struct Engine {
    url: String,
    secret: B256,
}

/// Which blocks the consensus client has settled on; zero where it has none yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forkchoice {
    pub(crate) head: B256,
    pub(crate) safe: B256,
    pub(crate) finalized: B256,
}

/// What the client says of a block.
#[derive(Debug, Deserialize)]
pub(crate) struct PayloadStatus {
    pub(crate) status: String,
}

/// What it says of a forkchoice, and the payload that it began.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Updated {
    pub(crate) payload_status: PayloadStatus,
    pub(crate) payload_id: Option<String>,
}

/// A block as it goes to and fro.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload {
    execution_payload: Value,
    execution_requests: Vec<Bytes>,
}

impl Engine {
    pub(crate) fn new(url: String, secret: B256) -> Self {
        Self { url, secret }
    }

    /// Chooses a head and has a payload begun on it: its time, and the mark that makes it this branch's own.
    pub(crate) async fn choose(
        &self,
        choice: Forkchoice,
        time: u64,
        mark: B256,
    ) -> Result<Updated, Error> {
        let choice = json!({
            "headBlockHash": choice.head,
            "safeBlockHash": choice.safe,
            "finalizedBlockHash": choice.finalized,
        });
        let attributes = json!({
            "timestamp": U64::from(time),
            "prevRandao": mark,
            "suggestedFeeRecipient": FEE_RECIPIENT,
            "withdrawals": [],
            "parentBeaconBlockRoot": B256::ZERO,
        });
        self.request("engine_forkchoiceUpdatedV3", vec![choice, attributes])
            .await
    }

    /// The payload that was begun, with what the pool has by now.
    pub(crate) async fn payload(&self, id: &str) -> Result<Payload, Error> {
        self.request("engine_getPayloadV4", vec![json!(id)]).await
    }

    /// Hands over a block to be executed.
    pub(crate) async fn deliver(&self, payload: &Payload) -> Result<PayloadStatus, Error> {
        let no_blobs = json!([]);
        let parameters = vec![
            payload.execution_payload.clone(),
            no_blobs,
            json!(B256::ZERO),
            json!(payload.execution_requests),
        ];
        self.request("engine_newPayloadV4", parameters).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Vec<Value>,
    ) -> Result<T, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let token = token(&self.secret, now.expect("after 1970").as_secs());
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("plain ASCII");
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer);
        let client = HttpClientBuilder::default()
            .set_headers(headers)
            .request_timeout(TIMEOUT)
            .build(&self.url);
        client.expect("a client").request(method, parameters).await
    }
}

impl Payload {
    /// An empty block on `parent`, made here and not by the client. `mark` tells branches apart.
    pub(crate) fn empty(parent: &Sealed<Header>, mark: B256) -> (Self, Sealed<Header>) {
        let header = Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: FEE_RECIPIENT,
            state_root: parent.state_root,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            number: parent.number + 1,
            gas_limit: parent.gas_limit,
            timestamp: parent.timestamp + SLOT_SECONDS,
            mix_hash: mark,
            base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        let header = header.seal_slow();
        let execution_payload = json!({
            "parentHash": header.parent_hash,
            "feeRecipient": header.beneficiary,
            "stateRoot": header.state_root,
            "receiptsRoot": header.receipts_root,
            "logsBloom": header.logs_bloom,
            "prevRandao": header.mix_hash,
            "blockNumber": U64::from(header.number),
            "gasLimit": U64::from(header.gas_limit),
            "gasUsed": "0x0",
            "timestamp": U64::from(header.timestamp),
            "extraData": "0x",
            "baseFeePerGas": U256::from(header.base_fee_per_gas.expect("after London")),
            "blockHash": header.hash(),
            "transactions": [],
            "withdrawals": [],
            "blobGasUsed": "0x0",
            "excessBlobGas": "0x0",
        });
        let payload = Self {
            execution_payload,
            execution_requests: Vec::new(),
        };
        (payload, header)
    }

    pub(crate) fn hash(&self) -> B256 {
        self.field("blockHash")
    }

    pub(crate) fn time(&self) -> u64 {
        self.field::<U64>("timestamp").to()
    }

    fn field<T: DeserializeOwned>(&self, name: &str) -> T {
        let value = self.execution_payload[name].clone();
        serde_json::from_value(value).expect("a payload has it")
    }
}

/// A JSON web token with its time of issue, signed with HS256.
fn token(secret: &B256, issued_at: u64) -> String {
    let header = base64url(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = base64url(json!({ "iat": issued_at }).to_string().as_bytes());
    let signed = format!("{header}.{claims}");
    let signature = base64url(&hmac_sha256(secret, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// HMAC of RFC 2104 with a key of 32 bytes, which is shorter than a block of SHA-256.
fn hmac_sha256(key: &B256, message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// Base64 of RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0_u8; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        let sixes = [18, 12, 6, 0].map(|shift| usize::try_from(word >> shift & 63).expect("small"));
        let letters = sixes.iter().map(|six| char::from(ALPHABET[*six]));
        text.extend(letters.take(chunk.len() + 1));
    }
    text
}

/// Of the key below and a time in 2023.
const SIGNED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.uAxdaUtr1_HpYPtNDLNlQ_sHMiP5eBV-ra8EjL3ScS8";

#[test]
fn tokens_are_signed_as_the_standards_say() {
    // RFC 4648 section 10, and Python's hmac on the key 00 01 .. 1f.
    assert_eq!(base64url(b"foob"), "Zm9vYg");
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    let key = B256::from(std::array::from_fn(|index| {
        u8::try_from(index).expect("small")
    }));
    assert_eq!(token(&key, 1_700_000_000), SIGNED);
}
