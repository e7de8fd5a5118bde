//! The facts, each a function of a bench.
//!
//! They hold on every chain that the node may settle on; nothing here knows which one it is.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, bytes};
use settlement::{BaseLayerError, BlockAt, LogFilter, NonceAt, Rejection};

use crate::bench::{
    Bench, FEE_WEI, GAS, account, content, deploy, head, include, load, next_nonce, signed, store,
};
use crate::probe;

/// Depths of the reorganisations that are tried.
const DEPTHS: [u64; 5] = [1, 2, 7, 31, 64];

pub(crate) async fn headers_hash_to_their_hash_and_link(bench: &dyn Bench) {
    deploy(bench, 0).await;
    let top = head(bench).await;
    assert_eq!(top.hash(), top.inner().hash_slow());
    let by_hash = bench.layer().header(BlockAt::Hash(top.hash())).await;
    assert_eq!(by_hash.expect("answers"), Some(top.clone()));
    let parent = BlockAt::Number(top.number - 1);
    let parent = bench.layer().header(parent).await.expect("answers");
    let parent = parent.expect("genesis at least");
    assert_eq!(top.parent_hash, parent.hash());
    assert!(top.timestamp >= parent.timestamp);
    let above = bench.layer().header(BlockAt::Number(top.number + 1)).await;
    assert_eq!(above.expect("answers"), None);
    for at in [BlockAt::Safe, BlockAt::Finalized] {
        let pointer = bench.layer().header(at).await.expect("answers");
        assert!(pointer.is_none_or(|header| header.number <= top.number));
    }
}

pub(crate) async fn transaction_sent_twice_is_mined_once(bench: &dyn Bench) {
    let to = account(1).address();
    let transaction = signed(0, next_nonce(bench, 0).await, to, Bytes::new());
    for _ in 0..2 {
        let hash = bench.layer().send(&transaction.raw).await;
        assert_eq!(hash.expect("taken"), transaction.hash);
    }
    bench.mine().await;
    let after_block = bench.layer().send(&transaction.raw).await;
    assert_eq!(after_block.expect("known"), transaction.hash);
    bench.mine().await;
    let nonce = next_nonce(bench, 0).await;
    assert_eq!(nonce, 1, "one transaction, one nonce");
    let receipt = bench.layer().receipt(transaction.hash).await;
    let receipt = receipt.expect("answers").expect("mined");
    assert!(receipt.succeeded);
    assert_eq!(receipt.gas_used, 21_000);
}

pub(crate) async fn replacement_must_pay_more(bench: &dyn Bench) {
    let paying = |to: usize, percent: u128| {
        let mut content = content(0, TxKind::Call(account(to).address()), Bytes::new());
        content.max_fee_per_gas = FEE_WEI * percent / 100;
        content.max_priority_fee_per_gas = 1_000_000_000 * percent / 100;
        account(0).sign(content).expect("a development chain")
    };
    let (first, same, dear) = (paying(1, 100), paying(2, 100), paying(1, 110));
    bench.layer().send(&first.raw).await.expect("taken");
    let refused = bench.layer().send(&same.raw).await;
    assert!(
        matches!(
            refused,
            Err(BaseLayerError::Rejected(
                Rejection::ReplacementUnderpriced { .. }
            ))
        ),
        "{refused:?}"
    );
    bench.layer().send(&dear.raw).await.expect("replaces");
    bench.mine().await;
    let mined = async |hash| {
        let receipt = bench.layer().receipt(hash).await;
        receipt.expect("answers").is_some()
    };
    assert!(mined(dear.hash).await);
    assert!(!mined(first.hash).await);
    assert!(!mined(same.hash).await);
    assert_eq!(next_nonce(bench, 0).await, 1);
}

pub(crate) async fn nonce_gap_waits_until_it_is_filled(bench: &dyn Bench) {
    let to = account(1).address();
    let [zero, one, two] = [0, 1, 2].map(|nonce| signed(0, nonce, to, Bytes::new()));
    bench.layer().send(&one.raw).await.expect("it may wait");
    bench.layer().send(&two.raw).await.expect("it may wait");
    bench.mine().await;
    let mined = async |hash| {
        bench
            .layer()
            .receipt(hash)
            .await
            .expect("answers")
            .is_some()
    };
    assert!(!mined(one.hash).await);
    let pending = async || {
        let nonce = bench.layer().nonce(account(0).address(), NonceAt::Pending);
        nonce.await.expect("answers")
    };
    assert_eq!(pending().await, 0);
    bench.layer().send(&zero.raw).await.expect("fills the gap");
    assert_eq!(pending().await, 3);
    bench.mine().await;
    for transaction in [zero, one, two] {
        assert!(mined(transaction.hash).await);
    }
}

pub(crate) async fn used_nonce_is_refused(bench: &dyn Bench) {
    let first = signed(0, 0, account(1).address(), Bytes::new());
    include(bench, &first).await;
    let second = signed(0, 0, account(2).address(), Bytes::new());
    let refused = bench.layer().send(&second.raw).await;
    assert!(
        matches!(
            refused,
            Err(BaseLayerError::Rejected(Rejection::NonceTooLow { .. }))
        ),
        "{refused:?}"
    );
}

pub(crate) async fn logs_are_found_by_block_hash(bench: &dyn Bench) {
    let (one, other) = (deploy(bench, 0).await, deploy(bench, 1).await);
    let nonce = next_nonce(bench, 0).await;
    let stores = [(one, 1), (other, 2), (one, 3)];
    let mut sent = Vec::new();
    for (nonce, (probe, slot)) in (nonce..).zip(stores) {
        let input = probe::store(U256::from(slot), U256::from(slot * 10));
        let transaction = signed(0, nonce, probe, input);
        bench.layer().send(&transaction.raw).await.expect("taken");
        sent.push(transaction.hash);
    }
    bench.mine().await;
    let block = head(bench).await;
    let logs = async |addresses: Vec<Address>, events: Vec<B256>| {
        let filter = LogFilter { addresses, events };
        bench
            .layer()
            .logs(block.hash(), &filter)
            .await
            .expect("answers")
    };
    let all = logs(Vec::new(), Vec::new()).await;
    assert_eq!(all.len(), 3);
    for (index, log) in (0_u64..).zip(&all) {
        assert_eq!((log.block, log.block_number), (block.hash(), block.number));
        assert_eq!((log.log_index, log.transaction_index), (index, index));
        assert_eq!(
            Some(&log.transaction),
            sent.get(usize::try_from(index).expect("small"))
        );
    }
    let of_one = logs(vec![one], vec![probe::stored()]).await;
    let slots: Vec<u64> = of_one
        .iter()
        .map(|l| l.inner.topics()[1].into())
        .map(low)
        .collect();
    assert_eq!(slots, [1, 3]);
    assert_eq!(
        of_one[1].log_index, 2,
        "counted in the block, not in the answer"
    );
    assert!(logs(vec![one], vec![B256::repeat_byte(1)]).await.is_empty());
    assert!(
        logs(vec![account(5).address()], Vec::new())
            .await
            .is_empty()
    );
    let every = LogFilter::default();
    let parent = bench.layer().logs(block.parent_hash, &every);
    assert!(parent.await.expect("answers").is_empty());
}

fn low(value: U256) -> u64 {
    value.to()
}

pub(crate) async fn call_answers_as_of_its_block(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    let mut blocks = Vec::new();
    for value in 1..=5 {
        blocks.push((value, store(bench, 0, probe, 9, value).await.block));
    }
    for (value, block) in blocks {
        assert_eq!(load(bench, block, probe, 9).await, U256::from(value));
    }
}

pub(crate) async fn contract_sees_its_own_block(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    bench.mine().await;
    let top = head(bench).await;
    let answer = bench.layer().call(top.hash(), &probe::seen(probe)).await;
    let answer = answer.expect("answers");
    let words: Vec<U256> = answer.chunks(32).map(U256::from_be_slice).collect();
    assert_eq!(words[0], U256::from(top.number));
    assert_eq!(words[1], U256::from(top.timestamp));
    assert_eq!(words[2], U256::from(bench.layer().chain_id()));
    assert_eq!(words[3], U256::from_be_bytes(top.parent_hash.0));
}

pub(crate) async fn revert_comes_back_with_its_bytes(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    let top = head(bench).await.hash();
    let answer = bench.layer().call(top, &probe::refuse(probe)).await;
    match answer {
        Err(BaseLayerError::Reverted { data }) => assert_eq!(data, probe::refused()),
        other => panic!("expected a revert, got {other:?}"),
    }
    // The same in a transaction: it is mined, paid for, and did nothing.
    let nonce = next_nonce(bench, 0).await;
    let input = probe::refuse(probe).input;
    let receipt = include(bench, &signed(0, nonce, probe, input)).await;
    assert!(!receipt.succeeded);
    assert!(receipt.gas_used > 21_000 && receipt.gas_used < GAS);
}

pub(crate) async fn proofs_hold_under_the_header_and_changed_ones_do_not(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    for slot in 0..20 {
        store(bench, 0, probe, slot, 1_000 + slot).await;
    }
    let top = head(bench).await;
    let slot = |number: u64| B256::from(U256::from(number));
    let slots = [slot(3), slot(19), slot(77)];
    let proof = bench.layer().proof(top.hash(), probe, &slots).await;
    let proof = proof.expect("answers");
    proof.verify(top.state_root).expect("it holds");
    let values: Vec<u64> = proof.slots.iter().map(|s| low(s.value)).collect();
    assert_eq!(values, [1_003, 1_019, 0]);
    assert_eq!(proof.account.nonce, 1, "a contract starts at one");

    let mut changed = Vec::new();
    let mut value = proof.clone();
    value.slots[0].value += U256::from(1);
    changed.push(value);
    let mut absent = proof.clone();
    absent.slots[2].value = U256::from(1);
    changed.push(absent);
    let mut hidden = proof.clone();
    hidden.slots[0].value = U256::ZERO;
    changed.push(hidden);
    let mut balance = proof.clone();
    balance.account.balance += U256::from(1);
    changed.push(balance);
    let mut shorter = proof.clone();
    shorter.nodes.pop();
    changed.push(shorter);
    let mut cut = proof.clone();
    cut.slots[1].nodes.pop();
    changed.push(cut);
    let mut other = proof.clone();
    other.address = account(3).address();
    changed.push(other);
    for (which, proof) in changed.iter().enumerate() {
        assert!(proof.verify(top.state_root).is_err(), "change {which}");
    }
    let parent = bench.layer().header(BlockAt::Hash(top.parent_hash)).await;
    let parent = parent.expect("answers").expect("known");
    assert!(
        proof.verify(parent.state_root).is_err(),
        "another block's root"
    );

    let nobody = Address::repeat_byte(0xab);
    let absent = bench.layer().proof(top.hash(), nobody, &[slot(0)]).await;
    let absent = absent.expect("absence is proven too");
    absent.verify(top.state_root).expect("it holds");
    assert_eq!(absent.account.balance, U256::ZERO);
}

pub(crate) async fn code_above_the_limit_is_refused(bench: &dyn Bench) {
    // PUSH2 size, PUSH0, RETURN: code of that many zero bytes.
    let deploy = async |nonce, code: Bytes| {
        let mut content = content(nonce, TxKind::Create, code);
        content.gas_limit = 10_000_000;
        let signed = account(0).sign(content).expect("a development chain");
        include(bench, &signed).await
    };
    assert!(
        deploy(0, bytes!("6160005ff3")).await.succeeded,
        "24,576 bytes"
    );
    let refused = deploy(1, bytes!("6160015ff3")).await;
    assert!(!refused.succeeded, "24,577 bytes (EIP-170)");
}

pub(crate) async fn reorganisation_changes_head_receipts_logs_and_state(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    store(bench, 0, probe, 1, 11).await;
    for _ in 0..64 {
        bench.mine().await;
    }
    for depth in DEPTHS {
        let before = head(bench).await;
        let receipt = store(bench, 0, probe, 1, depth).await;
        let kept = store(bench, 1, probe, 2, depth).await;
        for _ in 2..depth {
            bench.mine().await;
        }
        let old = head(bench).await;
        let undone = if depth == 1 { &kept } else { &receipt };
        bench.reorg(depth).await;

        let new = head(bench).await;
        assert_eq!(new.number, old.number);
        assert_ne!(new.hash(), old.hash());
        let gone = bench.layer().receipt(undone.transaction).await;
        assert_eq!(gone.expect("answers"), None, "depth {depth}");
        let slot = if depth == 1 { 2 } else { 1 };
        let (at_old, at_new) = (before.hash(), new.hash());
        let value = load(bench, at_new, probe, slot).await;
        assert_eq!(
            value,
            load(bench, at_old, probe, slot).await,
            "depth {depth}"
        );
        let number = undone.block_number;
        let replaced = bench.layer().header(BlockAt::Number(number)).await;
        let replaced = replaced
            .expect("answers")
            .expect("a block of the new branch");
        assert_ne!(replaced.hash(), undone.block);
        let every = LogFilter::default();
        let logs = bench.layer().logs(replaced.hash(), &every);
        assert!(logs.await.expect("answers").is_empty(), "depth {depth}");
        // The account's nonce is free again.
        store(bench, 0, probe, 1, 100 + depth).await;
        let top = head(bench).await.hash();
        assert_eq!(load(bench, top, probe, 1).await, U256::from(100 + depth));
    }
}

pub(crate) async fn unknown_blocks_are_named(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    let nowhere = B256::repeat_byte(0xee);
    let layer = bench.layer();
    let header = layer.header(BlockAt::Hash(nowhere)).await;
    assert_eq!(header.expect("answers"), None);
    let unknown = |error| {
        let at = BlockAt::Hash(nowhere);
        assert!(
            matches!(&error, BaseLayerError::UnknownBlock { at: found } if *found == at),
            "{error:?}"
        );
    };
    let call = probe::load(probe, U256::ZERO);
    unknown(layer.call(nowhere, &call).await.expect_err("no such block"));
    let filter = LogFilter::default();
    unknown(
        layer
            .logs(nowhere, &filter)
            .await
            .expect_err("no such block"),
    );
    unknown(
        layer
            .proof(nowhere, probe, &[])
            .await
            .expect_err("no such block"),
    );
    unknown(
        layer
            .balance(probe, nowhere)
            .await
            .expect_err("no such block"),
    );
}

pub(crate) async fn call_data_comes_back_as_it_was_signed(bench: &dyn Bench) {
    let probe = deploy(bench, 0).await;
    let input = probe::store(U256::from(4), U256::from(5));
    let transaction = signed(0, 1, probe, input.clone());
    let find = async || {
        let found = bench.layer().transaction(transaction.hash).await;
        found.expect("answers")
    };
    assert_eq!(find().await, None);
    bench.layer().send(&transaction.raw).await.expect("taken");
    let waiting = find().await.expect("it waits");
    assert_eq!((waiting.block, &waiting.input), (None, &input));
    bench.mine().await;
    let mined = find().await.expect("it is in a block");
    assert_eq!(mined.block, Some(head(bench).await.hash()));
    assert_eq!((mined.from, mined.to), (account(0).address(), Some(probe)));
    assert_eq!((mined.nonce, mined.input), (1, input));
}
