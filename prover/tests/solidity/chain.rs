//! A contract's code in revm, and calls of it.

use std::cell::RefCell;

use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainnetContext, MainnetEvm};
use revm::primitives::{Address, Bytes, TxKind};
use revm::state::AccountInfo;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use sha3::{Digest, Keccak256};

use super::case::Claim;

/// Where the contract lies.
const CONTRACT: Address = Address::repeat_byte(0x11);

/// Who calls it.
const CALLER: Address = Address::repeat_byte(0x22);

/// More than any call needs.
const GAS_LIMIT: u64 = 5_000_000;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The contract's verdict.
    Verdict {
        /// What it said.
        accepted: bool,
        /// Gas of a transaction that makes this call and nothing else.
        gas: u64,
    },
    /// It reverted or ran out of gas.
    Failed,
}

type Evm = MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>;

/// A chain with one contract. Calls change nothing.
pub(crate) struct Chain {
    evm: RefCell<Evm>,
}

impl Chain {
    /// Puts code in place.
    pub(crate) fn new(code: &[u8]) -> Self {
        let mut database = CacheDB::new(EmptyDB::default());
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        database.insert_account_info(CONTRACT, AccountInfo::from_bytecode(code));
        let evm = Context::mainnet().with_db(database).build_mainnet();
        Self {
            evm: RefCell::new(evm),
        }
    }

    /// Calls the contract with these bytes and this much gas.
    pub(crate) fn call(&self, data: Vec<u8>, gas_limit: u64) -> Answer {
        let transaction = TxEnv::builder()
            .caller(CALLER)
            .kind(TxKind::Call(CONTRACT))
            .gas_limit(gas_limit)
            .data(data.into())
            .build()
            .expect("a transaction");
        let result = self.evm.borrow_mut().transact(transaction);
        match result.expect("a valid transaction").result {
            ExecutionResult::Success { output, gas, .. } => {
                let answer: [u8; 32] = output.data().as_ref().try_into().expect("one word");
                assert_eq!(answer[..31], [0; 31]);
                assert!(answer[31] < 2, "not a boolean");
                Answer::Verdict {
                    accepted: answer[31] == 1,
                    gas: gas.tx_gas_used(),
                }
            }
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Answer::Failed,
        }
    }

    /// The verdict on a claim, and the gas of the call. A contract that fails is no verdict.
    pub(crate) fn decide(&self, claim: &Claim) -> (bool, u64) {
        match self.call(encoded(claim), GAS_LIMIT) {
            Answer::Verdict { accepted, gas } => (accepted, gas),
            Answer::Failed => panic!("the contract failed"),
        }
    }
}

/// A call of `verify`, as an encoder of the ABI writes it.
pub(crate) fn encoded(claim: &Claim) -> Vec<u8> {
    let signature = format!("verify(uint256[{}],bytes)", claim.inputs.len());
    let mut data = Keccak256::digest(signature)[..4].to_vec();
    data.extend(claim.inputs.concat());
    let number = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    data.extend(number((claim.inputs.len() + 1) * 32));
    data.extend(number(claim.proof.len()));
    data.extend(&claim.proof);
    data.resize(data.len() + (32 - claim.proof.len() % 32) % 32, 0);
    data
}
