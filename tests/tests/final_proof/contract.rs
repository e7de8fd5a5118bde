//! The final verifier's code in revm, and calls of it.

use std::cell::RefCell;
use std::path::Path;

use circuits::aggregation::ACCUMULATOR_LIMBS;
use halo2_proofs::halo2curves::bn256::Fr;
use prover::aggregate::FinalProof;
use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainnetContext, MainnetEvm};
use revm::primitives::{Address, Bytes, TxKind, keccak256};
use revm::state::AccountInfo;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use serde_json::Value;

const ADDRESS: Address = Address::repeat_byte(0x11);
const CALLER: Address = Address::repeat_byte(0x22);
/// More than any call needs.
const GAS_LIMIT: u64 = 5_000_000;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It said true.
    Accepts {
        /// Gas of a transaction that does this and nothing else.
        gas: u64,
    },
    /// It said false.
    Refuses,
    /// It reverted or halted.
    Fails,
}

impl Verdict {
    pub(crate) fn accepts(self) -> bool {
        matches!(self, Self::Accepts { .. })
    }
}

/// A chain with the contract on it. Calls change nothing.
pub(crate) struct Contract {
    evm: RefCell<MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>>,
    code_bytes: usize,
}

impl Contract {
    /// The code in the repository.
    pub(crate) fn golden() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../prover/golden/solidity/FinalVerifier.json");
        let text = std::fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let compiled: Value = serde_json::from_str(&text).expect("JSON");
        let code = compiled["deployedBytecode"].as_str().expect("code");
        let code = hex::decode(code).expect("hexadecimal code");
        let mut database = CacheDB::new(EmptyDB::default());
        let code_bytes = code.len();
        let code = Bytecode::new_raw(Bytes::from(code));
        database.insert_account_info(ADDRESS, AccountInfo::from_bytecode(code));
        let evm = Context::mainnet().with_db(database).build_mainnet();
        Self {
            evm: RefCell::new(evm),
            code_bytes,
        }
    }

    pub(crate) fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    pub(crate) fn decide(&self, instance: &[Fr], proof: &[u8]) -> Verdict {
        let transaction = TxEnv::builder()
            .caller(CALLER)
            .kind(TxKind::Call(ADDRESS))
            .gas_limit(GAS_LIMIT)
            .data(call(instance, proof).into())
            .build()
            .expect("a transaction");
        let result = self.evm.borrow_mut().transact(transaction);
        match result.expect("a valid transaction").result {
            ExecutionResult::Success { output, gas, .. } => {
                let answer: [u8; 32] = output.data().as_ref().try_into().expect("one word");
                let gas = gas.tx_gas_used();
                match answer {
                    [.., 1] if answer[..31] == [0; 31] => Verdict::Accepts { gas },
                    _ => Verdict::Refuses,
                }
            }
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Verdict::Fails,
        }
    }
}

/// A call of `verify(uint256[13],bytes)`, as an encoder of the ABI writes it.
fn call(instance: &[Fr], proof: &[u8]) -> Vec<u8> {
    let word = |value: &Fr| {
        let mut bytes = value.to_bytes();
        bytes.reverse();
        bytes
    };
    let number = |number: usize| word(&Fr::from(u64::try_from(number).expect("small")));
    let inputs = &instance[ACCUMULATOR_LIMBS..];
    let bytes = FinalProof {
        instance: instance.to_vec(),
        proof: proof.to_vec(),
    }
    .to_contract_bytes();
    let mut data = keccak256(format!("verify(uint256[{}],bytes)", inputs.len()))[..4].to_vec();
    data.extend(inputs.iter().flat_map(word));
    data.extend(number((inputs.len() + 1) * 32));
    data.extend(number(bytes.len()));
    data.extend(&bytes);
    data.resize(data.len() + (32 - bytes.len() % 32) % 32, 0);
    data
}
