//! One suite for every base layer: what `BaseLayer` promises, asked of the embedded chain, of the same chain
//! over JSON-RPC, of anvil, and of EthereumJS under a consensus client that the tests play.
//!
//! The suite (`conformance/suite.rs`) knows the trait and a driver that makes blocks and branches; the
//! benches below it start the chains. anvil and EthereumJS come from npm through `make setup`; where one is missing, its
//! tests fail and say so. What one chain alone promises or shows is tested beside its bench: finality that holds
//! (embedded), finality that somebody else decides (EthereumJS).

#[path = "conformance/anvil.rs"]
mod anvil;
#[path = "conformance/bench.rs"]
mod bench;
#[path = "conformance/embedded.rs"]
mod embedded;
#[path = "conformance/ethereumjs.rs"]
mod ethereumjs;
#[path = "conformance/probe.rs"]
mod probe;
#[path = "conformance/served.rs"]
mod served;
#[path = "conformance/suite.rs"]
mod suite;

/// A test per fact and chain.
macro_rules! on_every_chain {
    ($($fact:ident),+ $(,)?) => {
        mod embedded_chain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $fact() {
                crate::suite::$fact(&crate::embedded::Embedded::start()).await;
            })+
        }
        mod served_chain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $fact() {
                crate::suite::$fact(&crate::served::Served::start().await).await;
            })+
        }
        mod anvil_chain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $fact() {
                crate::suite::$fact(&crate::anvil::Anvil::start().await).await;
            })+
        }
        mod ethereumjs_chain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $fact() {
                crate::suite::$fact(&crate::ethereumjs::EthereumJs::start().await).await;
            })+
        }
    };
}

on_every_chain!(
    headers_hash_to_their_hash_and_link,
    transaction_sent_twice_is_mined_once,
    replacement_must_pay_more,
    nonce_gap_waits_until_it_is_filled,
    used_nonce_is_refused,
    logs_are_found_by_block_hash,
    call_answers_as_of_its_block,
    contract_sees_its_own_block,
    revert_comes_back_with_its_bytes,
    proofs_hold_under_the_header_and_changed_ones_do_not,
    code_above_the_limit_is_refused,
    reorganisation_changes_head_receipts_logs_and_state,
    unknown_blocks_are_named,
    call_data_comes_back_as_it_was_signed,
);
