//! Headers are read as far as all of them agree, and nothing else is taken for one.

use alloy_primitives::{Address, Bytes, U256};

use super::*;

/// The header of Ethereum's first block (yellow paper, appendix I; its state root is of the presale's accounts).
fn genesis() -> Vec<u8> {
    let hash = |text: &str| alloy_rlp::encode(text.parse::<B256>().unwrap());
    let nothing = alloy_rlp::encode(0_u8);
    list(&[
        alloy_rlp::encode(B256::ZERO),
        hash("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        alloy_rlp::encode(Address::ZERO),
        hash(GENESIS_STATE),
        alloy_rlp::encode(alloy_trie::EMPTY_ROOT_HASH),
        alloy_rlp::encode(alloy_trie::EMPTY_ROOT_HASH),
        alloy_rlp::encode(Bytes::from(vec![0; 256])),
        alloy_rlp::encode(17_179_869_184_u64),
        nothing.clone(),
        alloy_rlp::encode(5_000_u64),
        nothing.clone(),
        nothing,
        hash("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
        alloy_rlp::encode(B256::ZERO),
        alloy_rlp::encode(Bytes::from(0x42_u64.to_be_bytes().to_vec())),
    ])
}

const GENESIS_STATE: &str = "d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544";
const GENESIS_HASH: &str = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";

fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    let body = fields.concat();
    let mut bytes = Vec::new();
    RlpHeader {
        list: true,
        payload_length: body.len(),
    }
    .encode(&mut bytes);
    [bytes, body].concat()
}

#[test]
fn the_first_block_of_ethereum_has_its_known_hash() {
    let header = BlockHeader::decode(&genesis()).unwrap();
    assert_eq!(header.hash.to_string(), GENESIS_HASH);
    assert_eq!((header.number, header.timestamp), (0, 0));
    assert_eq!(header.state_root, GENESIS_STATE.parse::<B256>().unwrap());
}

#[test]
fn fields_that_a_fork_appends_are_hashed_and_not_read() {
    let field = |byte: u8| alloy_rlp::encode(B256::repeat_byte(byte));
    let mut fields: Vec<Vec<u8>> = (0..15).map(field).collect();
    fields[NUMBER] = alloy_rlp::encode(U256::from(77));
    fields[TIMESTAMP] = alloy_rlp::encode(1_700_000_000_u64);
    let old = BlockHeader::decode(&list(&fields)).unwrap();
    fields.push(alloy_rlp::encode(Bytes::from(vec![7; 300])));
    let new = BlockHeader::decode(&list(&fields)).unwrap();
    assert_eq!((new.number, new.timestamp), (77, 1_700_000_000));
    assert_eq!(new.state_root, B256::repeat_byte(3));
    assert_ne!(old.hash, new.hash);
}

#[test]
fn cut_long_and_flipped_bytes_are_another_block_or_none() {
    let bytes = genesis();
    let hash = BlockHeader::decode(&bytes).unwrap().hash;
    for length in 0..bytes.len() {
        assert!(BlockHeader::decode(&bytes[..length]).is_err(), "{length}");
    }
    assert!(BlockHeader::decode(&[bytes.clone(), vec![0]].concat()).is_err());
    assert!(BlockHeader::decode(&vec![0xc0; HEADER_BYTES_MAX + 1]).is_err());
    for place in 0..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 1;
        if let Ok(header) = BlockHeader::decode(&other) {
            assert_ne!(header.hash, hash, "byte {place}");
        }
    }
}
