//! A call of a contract: where it goes, what its bytes are, and what the model makes of it.
//!
//! Invariant: bytes and model read the same value, so a step cannot mean two things. Interfaces that only governance and
//! these tests use stand here and not in `bindings`.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use protocol::inbox::InboxKind;
use settlement::bindings::{Bridge, DesertExit, Inbox, Reverts, Rollup, StoredBatch};

use super::money::Asked;
use super::world::{Done, Refusal, World, refuse};

sol! {
    #![sol(all_derives)]

    interface Timelock {
        function schedule(address target, bytes data, bytes32 salt) external returns (bytes32 id);
        function execute(address target, bytes data, bytes32 salt) external;
        function cancel(bytes32 id) external;
        function pause() external;
        function unpause() external;
        function pausedUntil() external view returns (uint64);
        function readyAt(bytes32 id) external view returns (uint64);
    }

    interface Verifiers {
        function disable(uint64 version) external;
    }

    interface Money {
        function feesHeld() external view returns (uint256);
        function solvency(uint32 token) external view returns (uint256 owed, uint256 held);
    }

    interface Token {
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
    }
}

/// One call, as a contract and the model take it.
#[derive(Clone, Debug)]
pub(super) enum ContractCall {
    Rollup(Rollup::RollupCalls),
    /// The half of `commitAndProve` that nobody else may call.
    ProveCommitted(StoredBatch),
    Inbox(Inbox::InboxCalls),
    Bridge(Bridge::BridgeCalls),
    /// `registerToken`, and whether there is code at the address.
    Register(Bridge::registerTokenCall, bool),
    Desert(Box<DesertExit::DesertExitCalls>),
    Timelock(Timelock::TimelockCalls),
    Disable(Verifiers::disableCall),
}

impl ContractCall {
    pub(super) fn target(&self, world: &World) -> Address {
        let made = &world.rules.made;
        match self {
            Self::Rollup(_) | Self::ProveCommitted(_) => made.rollup,
            Self::Inbox(_) => made.inbox,
            Self::Bridge(_) | Self::Register(..) => made.bridge,
            Self::Desert(_) => made.desert_exit,
            Self::Timelock(_) => made.timelock,
            Self::Disable(_) => made.verifiers,
        }
    }

    pub(super) fn input(&self) -> Bytes {
        use alloy_sol_types::SolInterface;
        let bytes = match self {
            Self::Rollup(call) => call.abi_encode(),
            Self::ProveCommitted(batch) => {
                // the arguments are those of proveBatch
                let (batch, proof) = (batch.clone(), Bytes::new());
                let prover = Address::ZERO;
                let call = Rollup::proveBatchCall {
                    batch,
                    prover,
                    proof,
                };
                let name = "proveCommitted((uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,\
                            uint256,uint256,uint256,bytes32,uint64,uint64),address,bytes)";
                let mut bytes = call.abi_encode();
                bytes[..4].copy_from_slice(&keccak256(name)[..4]);
                bytes
            }
            Self::Inbox(call) => call.abi_encode(),
            Self::Bridge(call) => call.abi_encode(),
            Self::Register(call, _) => call.abi_encode(),
            Self::Desert(call) => call.abi_encode(),
            Self::Timelock(call) => call.abi_encode(),
            Self::Disable(call) => call.abi_encode(),
        };
        bytes.into()
    }

    /// Plays the call at the world's time.
    pub(super) fn play(&self, world: &mut World, by: Address, value: U256) -> Done {
        let mut next = world.clone();
        self.run(&mut next, by, value)?;
        *world = next;
        Ok(())
    }

    fn run(&self, world: &mut World, by: Address, value: U256) -> Done {
        match self {
            Self::Rollup(call) => rollup(world, call),
            Self::ProveCommitted(_) => refuse(Reverts::WrongMode { mode: world.mode }),
            Self::Inbox(call) => inbox(world, by, value, call),
            Self::Bridge(Bridge::BridgeCalls::fund(call)) => world.fund(by, value, call),
            Self::Bridge(Bridge::BridgeCalls::claim(call)) => world.claim(call),
            Self::Bridge(Bridge::BridgeCalls::claimFees(call)) => world.claim_fees(call.prover),
            Self::Register(call, has_code) => world.register_token(call.token, *has_code),
            Self::Desert(call) => desert(world, call),
            Self::Timelock(call) => timelock(world, by, call),
            Self::Disable(_) => refuse(Reverts::NotTimelock { caller: by }),
            other => unreachable!("the stream makes no views: {other:?}"),
        }
    }
}

fn rollup(world: &mut World, call: &Rollup::RollupCalls) -> Done {
    match call {
        Rollup::RollupCalls::commitBatch(call) => world.commit_batch(call),
        Rollup::RollupCalls::commitAndProve(call) => world.commit_and_prove(call),
        Rollup::RollupCalls::proveBatch(call) => world.prove_batch(call),
        Rollup::RollupCalls::prune(call) => world.prune(&call.batch),
        Rollup::RollupCalls::triggerEnforced(_) => world.trigger_enforced(),
        Rollup::RollupCalls::triggerDesert(_) => world.trigger_desert(),
        other => unreachable!("the stream makes no views: {other:?}"),
    }
}

fn desert(world: &mut World, call: &DesertExit::DesertExitCalls) -> Done {
    match call {
        DesertExit::DesertExitCalls::exit(call) => world.exit(call),
        DesertExit::DesertExitCalls::refund(call) => world.refund(call.number, &call.words),
        other => unreachable!("the stream makes no views: {other:?}"),
    }
}

fn inbox(world: &mut World, by: Address, value: U256, call: &Inbox::InboxCalls) -> Done {
    use Inbox::InboxCalls;
    let asked = match call {
        InboxCalls::deposit(call) => return world.deposit(by, value, call),
        InboxCalls::forceTransfer(call) => Asked {
            to: call.to,
            amount: call.amount,
            ..Asked::new(InboxKind::ForcedTransfer, call.from, call.token)
        },
        InboxCalls::forceTransferToNew(call) => {
            if call.l1Owner == Address::ZERO {
                return refuse(Reverts::ZeroOwner {});
            }
            Asked {
                amount: call.amount,
                l1_owner: call.l1Owner,
                key: (call.keyX, call.keyY),
                ..Asked::new(InboxKind::ForcedTransferToNew, call.from, call.token)
            }
        }
        InboxCalls::forceWithdraw(call) => Asked {
            amount: call.amount,
            ..Asked::new(InboxKind::ForcedWithdraw, call.from, call.token)
        },
        InboxCalls::forceChangeKey(call) => Asked {
            key: (call.keyX, call.keyY),
            ..Asked::new(InboxKind::ForcedChangeKey, call.from, call.token)
        },
        InboxCalls::forceExit(call) => Asked::new(InboxKind::ForcedExit, call.from, call.token),
        other => unreachable!("the stream makes no views: {other:?}"),
    };
    world.force(by, value, &asked)
}

/// The longest pause, and the shortest time from its end to the next.
const PAUSE_SECONDS: u64 = 3 * 24 * 3_600;
const REST_SECONDS: u64 = 30 * 24 * 3_600;
/// How long a call that is ready may be executed.
const GRACE_SECONDS: u64 = 30 * 24 * 3_600;

fn timelock(world: &mut World, by: Address, call: &Timelock::TimelockCalls) -> Done {
    use Timelock::TimelockCalls;
    let now = world.now;
    if by != world.rules.governor && !matches!(call, TimelockCalls::execute(_)) {
        return refuse(Reverts::NotGovernor { caller: by });
    }
    match call {
        TimelockCalls::pause(_) => {
            let allowed = world.paused_until + REST_SECONDS;
            if world.paused_until != 0 && now < allowed {
                return refuse(Reverts::PausedTooRecently {
                    allowedFrom: allowed,
                });
            }
            world.paused_until = now + PAUSE_SECONDS;
        }
        TimelockCalls::unpause(_) => world.paused_until = world.paused_until.min(now),
        TimelockCalls::schedule(call) => {
            let id = keccak256((call.target, call.data.clone(), call.salt).abi_encode_params());
            if world.ready_at.contains_key(&id) {
                return refuse(Reverts::AlreadyScheduled { id });
            }
            world.ready_at.insert(id, now + world.rules.delay_seconds);
        }
        TimelockCalls::execute(call) => {
            let id = keccak256((call.target, call.data.clone(), call.salt).abi_encode_params());
            let from = world.ready_at.remove(&id).unwrap_or_default();
            let until = from + GRACE_SECONDS;
            if from == 0 || now < from || now > until {
                return refuse(Reverts::NotReady { id, from, until });
            }
            // only versions are ever scheduled here
            assert_eq!(call.target, world.rules.made.verifiers);
            let disable = Verifiers::disableCall::abi_decode(&call.data).expect("the stream's own");
            if let Err(Refusal(reason)) = disable_version(world, disable.version) {
                return refuse(Reverts::CallFailed { reason });
            }
        }
        other => unreachable!("the stream makes no views: {other:?}"),
    }
    Ok(())
}

fn disable_version(world: &mut World, version: u64) -> Done {
    match world.versions.get_mut(&version) {
        None => refuse(Reverts::VersionUnknown { version }),
        Some(true) => refuse(Reverts::VersionDisabled { version }),
        Some(is_disabled) => {
            *is_disabled = true;
            Ok(())
        }
    }
}
