//! The exodus: nobody proves any more, and every account leaves through DesertExit with its own path.
//!
//! Paths come from the state that is rebuilt from genesis and events, as anybody can rebuild it. Money is ether and a token;
//! some waits in items that no proven batch consumed, some in withdrawals of a proven one. In the end the Bridge has nothing,
//! to the last unit.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use protocol::account::{Leaf, LeafKey};
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Amount, LeafIndex, TokenId};
use protocol::testing::{amount, leaf};
use settlement::bindings::{
    Bridge, DesertExit, Inbox, Reverts::RevertsErrors, Rollup, address, desert_from, enqueue,
    item_refund, l1_address, leaf_exit,
};
use settlement::deploy::{DeploymentFile, VerifierCode};
use settlement::rebuild::{RebuiltChain, rebuild};
use settlement::{BlockPlan, Receipt};

use crate::batch::{Batch, account, prover};
use crate::model::actors::token_code;
use crate::model::calls::{Money, Token};
use crate::refused::refusal;
use crate::stage::{Stage, stand_in};

/// Accounts that leave.
const ACCOUNTS: u64 = 1_000;
/// Of so many accounts one holds the token.
const TOKEN_EVERY: u64 = 4;
/// Development accounts: who makes the token, who sends everything that anybody may send, who deposits the token.
const MAKER: usize = 7;
const ANYBODY: usize = 8;
const HOLDER: usize = 3;

/// Leaves 4 to 999: an owner each, and no two with the same balance.
fn leaves() -> Vec<Leaf> {
    let one = |number: u64| {
        let token = u32::from(number.is_multiple_of(TOKEN_EVERY));
        let balance = 1_000_000_000_000_007 * u128::from(number);
        leaf(number, token, balance)
    };
    (4..ACCOUNTS).map(one).collect()
}

/// A deposit of the token, to a new leaf.
fn token_deposit() -> InboxRequest {
    let owner = l1_address(account(HOLDER).address());
    InboxRequest {
        kind: Some(InboxKind::Deposit),
        from: LeafIndex(0),
        to: LeafIndex(u32::MAX),
        token: TokenId(1),
        amount: amount(123_456_789),
        owner,
        l1_owner: owner,
        key: LeafKey::NULL,
    }
}

/// Everybody who is paid, in the order of the leaves, with what is due.
fn dues(chain: &RebuiltChain) -> Vec<(u32, Address, U256)> {
    let leaves = chain.state.leaves().iter();
    let due = leaves.map(|leaf| {
        (
            leaf.token.0,
            address(leaf.l1_owner),
            U256::from(leaf.balance.get()),
        )
    });
    due.collect()
}

/// A deployment with the token, its genesis balances and one proven batch.
async fn settled() -> (Stage, Address) {
    let make = |rollup| Batch::among(rollup, &leaves(), &[token_deposit()]);
    let code = |batch: &Batch| VerifierCode::Runtime(stand_in(&batch.inputs));
    let stage = Stage::with_config(make, code, |_| {}).await;
    let bridge = stage.plan.deployment().bridge;
    let token = stage.create(MAKER, &token_code(0)).await;
    let registered = Bridge::registerTokenCall { token };
    let registered = stage.call(MAKER, bridge, U256::ZERO, &registered).await;
    assert!(registered.succeeded);
    let genesis = stage.batch.world.genesis.leaves.iter();
    let held = genesis.filter(|leaf| leaf.token == TokenId(1));
    let amount: U256 = held.map(|leaf| U256::from(leaf.balance.get())).sum();
    let fund = Bridge::fundCall { token: 1, amount };
    assert!(stage.call(MAKER, bridge, U256::ZERO, &fund).await.succeeded);
    let to = account(HOLDER).address();
    let amount = U256::from(1_000_000_000);
    let given = Token::transferCall { to, amount };
    assert!(stage.call(MAKER, token, U256::ZERO, &given).await.succeeded);

    stage.enqueue_items().await;
    let committed = stage.commit().await;
    assert!(committed.succeeded);
    assert!(stage.prove(&committed).await.succeeded);
    (stage, token)
}

/// Enqueues items that nobody will consume: a deposit of each kind and a forced withdrawal, whose owner gets the fee back.
async fn strand(stage: &Stage) -> Vec<Receipt> {
    let inbox = stage.plan.deployment().inbox;
    let forced = InboxRequest {
        kind: Some(InboxKind::ForcedWithdraw),
        amount: amount(5),
        ..token_deposit()
    };
    let ether = InboxRequest {
        token: TokenId(0),
        amount: amount(777_000_000_000_000_001),
        ..token_deposit()
    };
    let mut receipts = Vec::new();
    for request in [token_deposit(), ether, forced] {
        let fee = stage.view(inbox, &Inbox::feeCall {}).await;
        let (input, value) = enqueue(&request).expect("a known kind");
        let receipt = stage.transact(HOLDER, inbox, value + fee, &input).await;
        assert!(receipt.succeeded);
        receipts.push(receipt);
    }
    receipts
}

#[tokio::test]
async fn a_thousand_accounts_leave_and_the_vault_is_empty_to_the_wei() {
    let (stage, token) = settled().await;
    let made = *stage.plan.deployment();
    // one withdrawal is claimed before the end, the other after it
    let waits = desert_from(&stage.chain, stage.head().await, made.rollup, made.inbox).await;
    assert_eq!(waits.expect("it answers"), None, "all is proven");
    let claim = async |index| {
        let input = stage.batch.claim(index).input;
        stage
            .transact(ANYBODY, made.bridge, U256::ZERO, &input)
            .await
    };
    assert!(claim(0).await.succeeded);
    let stranded = strand(&stage).await;

    let file = DeploymentFile::new(31_337, 1, &made);
    let genesis = &stage.batch.world.genesis;
    let chain = rebuild(&stage.chain, &file, genesis, stage.head().await).await;
    let chain = chain.expect("genesis and one batch");
    assert!(
        chain.state.leaf_count() > ACCOUNTS,
        "two deposits made leaves"
    );
    assert_eq!(chain.waiting.len(), stranded.len());
    let first = leaf_exit(&chain.state, LeafIndex(4))
        .expect("it is there")
        .input;
    let early = refusal(&stage, made.desert_exit, &first).await;
    assert!(matches!(&early, RevertsErrors::NotDesert(_)), "{early:?}");

    open_desert(&stage).await;

    let held = async |token_number, of| {
        if token_number == 0 {
            stage.balance(of).await
        } else {
            stage
                .view(token, &Token::balanceOfCall { account: of })
                .await
        }
    };
    for (index, (kind, owner, due)) in (0..).zip(dues(&chain)) {
        let exit = leaf_exit(&chain.state, LeafIndex(index)).expect("it is there");
        if index % 100 == 4 {
            refuses_false_paths(&stage, &chain, index).await;
        }
        let before = held(kind, owner).await;
        let paid = stage
            .transact(ANYBODY, made.desert_exit, U256::ZERO, &exit.input)
            .await;
        assert!(paid.succeeded, "leaf {index}");
        assert_eq!(held(kind, owner).await - before, due, "leaf {index}");
        if index % 100 == 4 {
            let again = refusal(&stage, made.desert_exit, &exit.input).await;
            assert!(
                matches!(&again, RevertsErrors::AlreadyExited(_)),
                "{again:?}"
            );
        }
    }
    refunds(&stage, &chain).await;
    assert!(claim(1).await.succeeded, "claims go on for ever");
    let fees = Bridge::claimFeesCall { prover: prover() };
    assert!(
        stage
            .call(ANYBODY, made.bridge, U256::ZERO, &fees)
            .await
            .succeeded
    );

    for (number, what) in [(0, "wei"), (1, "units of the token")] {
        assert_eq!(held(number, made.bridge).await, U256::ZERO, "{what} left");
        let escrow = Bridge::escrowCall { token: number };
        assert_eq!(
            stage.view(made.bridge, &escrow).await,
            U256::ZERO,
            "{what} owed"
        );
    }
    let fees = stage.view(made.bridge, &Money::feesHeldCall {}).await;
    assert_eq!(fees, U256::ZERO, "fees left");
}

/// Waits until Desert may be opened, to the second, and opens it.
async fn open_desert(stage: &Stage) {
    let made = *stage.plan.deployment();
    let from = desert_from(&stage.chain, stage.head().await, made.rollup, made.inbox).await;
    let from = from.expect("it answers").expect("items wait");
    let open = Rollup::triggerDesertCall {};
    stage.chain.set_time(from - 1);
    assert_eq!(stage.chain.mine(&BlockPlan::Empty).timestamp, from - 1);
    let early = refusal(stage, made.rollup, &open.abi_encode().into()).await;
    assert!(matches!(&early, RevertsErrors::NotDue(_)), "{early:?}");
    stage.chain.set_time(from);
    let opened = stage.call(ANYBODY, made.rollup, U256::ZERO, &open).await;
    assert!(opened.succeeded, "what waits has waited too long");
}

/// A leaf with another balance, another owner, another place or a false sibling is no leaf of the root.
async fn refuses_false_paths(stage: &Stage, chain: &RebuiltChain, index: u32) {
    let exit = leaf_exit(&chain.state, LeafIndex(index)).expect("it is there");
    let good = DesertExit::exitCall::abi_decode(&exit.input).expect("ours");
    let mut richer = good.clone();
    richer.leaf.balance += alloy_primitives::Uint::from(1);
    let mut stolen = good.clone();
    stolen.leaf.l1Owner = account(ANYBODY).address();
    let mut moved = good.clone();
    moved.index += 1;
    let mut bent = good.clone();
    bent.siblings[2][0] ^= U256::from(1);
    let desert = stage.plan.deployment().desert_exit;
    for call in [richer, stolen, moved, bent] {
        let refused = refusal(stage, desert, &Bytes::from(call.abi_encode())).await;
        assert!(
            matches!(&refused, RevertsErrors::WrongRoot(_)),
            "{refused:?}"
        );
    }
    let mut beyond = good;
    beyond.index = u32::try_from(chain.state.leaf_count()).expect("a thousand");
    let refused = refusal(stage, desert, &beyond.abi_encode().into()).await;
    assert!(
        matches!(&refused, RevertsErrors::NoSuchLeaf(_)),
        "{refused:?}"
    );
}

/// Every item that waited goes back to who sent it, once; what a proven batch consumed does not.
async fn refunds(stage: &Stage, chain: &RebuiltChain) {
    let desert = stage.plan.deployment().desert_exit;
    for waiting in &chain.waiting {
        let input = item_refund(waiting.number, &waiting.item);
        let owner = address(waiting.owner);
        assert_ne!(owner, account(ANYBODY).address());
        let before = stage.balance(owner).await;
        let paid = stage.transact(ANYBODY, desert, U256::ZERO, &input).await;
        assert!(paid.succeeded, "item {}", waiting.number);
        let request = waiting.item.request();
        let is_ether = (request.kind, request.token) == (Some(InboxKind::Deposit), TokenId(0));
        let deposit = if is_ether {
            request.amount
        } else {
            Amount::ZERO
        };
        let back = stage.balance(owner).await - before;
        assert_eq!(back, U256::from(deposit.get()) + waiting.fee_wei);
        let again = refusal(stage, desert, &input).await;
        assert!(
            matches!(&again, RevertsErrors::AlreadyRefunded(_)),
            "{again:?}"
        );
    }
    let consumed = item_refund(0, &stage.batch.items[0].to_item());
    let refused = refusal(stage, desert, &consumed).await;
    assert!(
        matches!(&refused, RevertsErrors::WasConsumed(_)),
        "{refused:?}"
    );
}
