//! Bundles that are well-formed and say something else than was proven.
//!
//! Every part is exchanged for another honest one (of another chunk, batch, chain or version) or
//! changed a little; the file is written by the bundle's own encoder, so that only the verifier's
//! judgement stands between it and acceptance.

use ark_ff::{BigInteger, PrimeField};
use protocol::account::L1Address;
use protocol::genesis::Genesis;
use protocol::number::{BatchNumber, Height};
use protocol::threaded::{FeeLeaves, OpenGroup, Phase, Threaded};
use protocol::words::{Word, WordCounts};
use tests::golden::bundle;
use tests::parallel::check_all;
use verifier::bundle::{Bundle, Trust};
use verifier::golden::{self, GoldenKey};

use super::{chain, judge};

/// A forged bundle, who reads it, and the exit code it has to get.
struct Forgery {
    name: String,
    bundle: Bundle,
    genesis: Option<Genesis>,
    keys: Vec<GoldenKey>,
    exit_code: u8,
}

/// Collects forgeries of batch 1.
struct Forger {
    honest: Bundle,
    genesis: Genesis,
    made: Vec<Forgery>,
}

impl Forger {
    fn new() -> Self {
        Self {
            honest: bundle(1),
            genesis: chain::genesis(),
            made: Vec::new(),
        }
    }

    /// A bundle that is invalid before the reader with the golden genesis.
    fn forge(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Bundle)) {
        self.forge_as(1, name, change);
    }

    fn forge_as(
        &mut self,
        exit_code: u8,
        name: impl Into<String>,
        change: impl FnOnce(&mut Bundle),
    ) {
        let mut bundle = self.honest.clone();
        change(&mut bundle);
        let name = name.into();
        assert!(bundle != self.honest, "{name} changes nothing");
        self.made.push(Forgery {
            name,
            bundle,
            genesis: Some(self.genesis.clone()),
            keys: golden::keys().to_vec(),
            exit_code,
        });
    }

    /// Another reader of a bundle.
    fn read_by(
        &mut self,
        name: impl Into<String>,
        genesis: Option<Genesis>,
        keys: Vec<GoldenKey>,
        change: impl FnOnce(&mut Bundle),
    ) {
        let mut bundle = self.honest.clone();
        change(&mut bundle);
        self.made.push(Forgery {
            name: name.into(),
            bundle,
            genesis,
            keys,
            exit_code: 1,
        });
    }

    /// Runs all forgeries through their files.
    fn check(self, at_least: usize) {
        assert!(self.made.len() >= at_least, "only {}", self.made.len());
        check_all(&self.made, |forgery| {
            let trust = Trust {
                keys: &forgery.keys,
                genesis: forgery.genesis.as_ref(),
                development: true,
            };
            let verdict = judge(&forgery.bundle.encode(), &trust);
            match verdict {
                Err(error) if error.exit_code() == forgery.exit_code => Ok(()),
                other => Err(format!("{}: {other:?}", forgery.name)),
            }
        });
    }
}

#[test]
fn parts_of_other_batches_are_refused() {
    let mut forger = Forger::new();
    let second = bundle(2);
    forger.forge("words of batch 2", |b| b.words = second.words.clone());
    forger.forge("ops of batch 2", |b| b.words.ops = second.words.ops.clone());
    forger.forge("data proof of batch 2", |b| {
        b.data_proof = second.data_proof.clone()
    });
    forger.forge("chunks of batch 2", |b| b.chunks = second.chunks.clone());
    forger.forge("start of batch 2", |b| b.start = second.start);
    forger.forge("start and chunks of batch 2", |b| {
        b.start = second.start;
        b.chunks = second.chunks.clone();
    });
    forger.forge("all of batch 2 but its number", |b| {
        *b = Bundle {
            batch_number: BatchNumber(1),
            ..second.clone()
        }
    });
    forger.forge("called batch 2", |b| b.batch_number = BatchNumber(2));
    forger.forge("called batch 0", |b| b.batch_number = BatchNumber(0));
    forger.forge("proof of a chunk of batch 2", |b| {
        b.chunks[0].proof = second.chunks[0].proof.clone();
    });
    forger.forge("end of batch 2", |b| {
        let last = b.chunks.len() - 1;
        b.chunks[last].after = second.chunks[second.chunks.len() - 1].after;
    });
    forger.forge("the data proof as a chunk's", |b| {
        b.chunks[0].proof = b.data_proof.clone();
    });
    forger.forge("a chunk's proof as the data's", |b| {
        b.data_proof = b.chunks[0].proof.clone();
    });
    // Batch 2 continued by batch 1, as if they were one.
    forger.forge("both batches as one", |b| {
        b.chunks.extend(second.chunks.clone());
        b.words.ops.extend(second.words.ops.clone());
        b.words.withdrawals.extend(second.words.withdrawals.clone());
        b.words.inbox.extend(second.words.inbox.clone());
        b.data_proof = second.data_proof.clone();
    });
    forger.check(14);
}

#[test]
fn chunks_in_another_order_or_number_are_refused() {
    let mut forger = Forger::new();
    let count = forger.honest.chunks.len();
    forger.forge("no chunk", |b| b.chunks.clear());
    for place in 0..count {
        forger.forge(format!("chunk {place} dropped"), |b| {
            b.chunks.remove(place);
        });
        forger.forge(format!("chunk {place} doubled"), |b| {
            let chunk = b.chunks[place].clone();
            b.chunks.insert(place, chunk);
        });
        forger.forge(format!("no proof of chunk {place}"), |b| {
            b.chunks[place].proof.clear()
        });
        forger.forge(format!("chunk {place} changes nothing"), |b| {
            b.chunks[place].after = match place {
                0 => b.start,
                _ => b.chunks[place - 1].after,
            };
        });
        for other in place + 1..count {
            forger.forge(format!("chunks {place} and {other} swapped"), |b| {
                b.chunks.swap(place, other);
            });
            forger.forge(format!("proofs {place} and {other} swapped"), |b| {
                let proof = b.chunks[place].proof.clone();
                b.chunks[place].proof = std::mem::replace(&mut b.chunks[other].proof, proof);
            });
            forger.forge(format!("states {place} and {other} swapped"), |b| {
                let after = b.chunks[place].after;
                b.chunks[place].after = std::mem::replace(&mut b.chunks[other].after, after);
            });
        }
    }
    forger.forge("an honest chunk, many times", |b| {
        let chunk = b.chunks[0].clone();
        b.chunks = vec![chunk; 50];
    });
    forger.check(12);
}

#[test]
fn words_that_were_not_published_are_refused() {
    let mut forger = Forger::new();
    let flip = |word: &mut Word| word.0[30] ^= 1;
    forger.forge("one bit of ops", |b| flip(&mut b.words.ops[0]));
    forger.forge("one bit of withdrawals", |b| {
        flip(&mut b.words.withdrawals[0])
    });
    forger.forge("one bit of inbox", |b| flip(&mut b.words.inbox[0]));
    forger.forge("the last word", |b| {
        flip(b.words.ops.last_mut().expect("ops"))
    });
    forger.forge("two words swapped", |b| b.words.ops.swap(0, 1));
    forger.forge("words backwards", |b| b.words.ops.reverse());
    // Horner's first word stands highest: a zero there changes the count only.
    forger.forge("a zero before the words", |b| {
        b.words.ops.insert(0, Word::default())
    });
    forger.forge("a zero after the words", |b| {
        b.words.ops.push(Word::default())
    });
    forger.forge("a word missing", |b| {
        b.words.ops.pop();
    });
    forger.forge("no words", |b| b.words.ops.clear());
    forger.forge("a word in another sequence", |b| {
        let word = b.words.ops.remove(0);
        b.words.inbox.insert(0, word);
    });
    forger.forge("sequences swapped", |b| {
        std::mem::swap(&mut b.words.ops, &mut b.words.withdrawals);
    });
    // The word and the end's count together: the end is a public input.
    forger.forge("a word more, and counted", |b| {
        b.words.ops.push(Word::default());
        let last = b.chunks.len() - 1;
        b.chunks[last].after.counts.ops += 1;
    });
    forger.check(13);
}

/// The changes of a threaded state that keep it well-formed.
fn changed_states(honest: &Threaded) -> Vec<(&'static str, Threaded)> {
    let one = protocol::Fr::from(1_u64);
    let mut changed = Vec::new();
    let mut push = |name, change: &dyn Fn(&mut Threaded)| {
        let mut state = *honest;
        change(&mut state);
        if state != *honest {
            changed.push((name, state));
        }
    };
    push("root", &|s| s.root += one);
    push("h", &|s| s.h += one);
    push("ops", &|s| s.counts.ops += 1);
    push("withdrawals", &|s| s.counts.withdrawals += 1);
    push("inbox words", &|s| s.counts.inbox += 1);
    push("signed operations", &|s| s.counts.signed_operations += 1);
    push("all counts", &|s| s.counts = WordCounts::default());
    push("leaf count", &|s| s.leaf_count += 1);
    push("inbox count", &|s| s.inbox_count += 1);
    push("height", &|s| s.height = Height(s.height.0 + 1));
    push("phase none", &|s| s.phase = Phase::NoBlock);
    push("phase inbox", &|s| s.phase = Phase::Inbox);
    push("phase signed", &|s| s.phase = Phase::Signed);
    push("phase bid", &|s| s.phase = Phase::BidPending);
    push("no fee leaves", &|s| s.fee_leaves = FeeLeaves::NONE);
    push("last bid", &|s| {
        s.last_bid_height = Height(s.last_bid_height.0 + 1)
    });
    push("group open", &|s| {
        s.group = OpenGroup {
            members: 1,
            ..OpenGroup::NONE
        };
    });
    push("group hash", &|s| s.group.hash += one);
    push("group accumulator", &|s| s.group.accumulator += one);
    changed
}

#[test]
fn states_that_were_not_reached_are_refused() {
    let mut forger = Forger::new();
    for (what, state) in changed_states(&forger.honest.start.clone()) {
        forger.forge(format!("start: {what}"), |b| b.start = state);
        // Without genesis to compare with, the proofs have to refuse it.
        let (name, keys) = (format!("start: {what}, no genesis"), golden::keys());
        forger.read_by(name, None, keys.to_vec(), |b| b.start = state);
    }
    for place in 0..forger.honest.chunks.len() {
        for (what, state) in changed_states(&forger.honest.chunks[place].after.clone()) {
            forger.forge(format!("after chunk {place}: {what}"), |b| {
                b.chunks[place].after = state;
            });
        }
    }
    forger.check(60);
}

/// The digest packs four counts of 64 bits into one field element of 254: counts of the same
/// residue are another spelling of a state, which the proofs do not tell apart.
#[test]
fn a_second_spelling_of_a_state_is_refused() {
    let mut forger = Forger::new();
    for place in 0..forger.honest.chunks.len() {
        let counts = forger.honest.chunks[place].after.counts;
        let mut number = ark_ff::BigInt([
            counts.ops,
            counts.withdrawals,
            counts.inbox,
            counts.signed_operations,
        ]);
        // So often the modulus fits above the counts.
        while !number.add_with_carry(&protocol::Fr::MODULUS) {
            let [ops, withdrawals, inbox, signed_operations] = number.0;
            let spelled = WordCounts {
                ops,
                withdrawals,
                inbox,
                signed_operations,
            };
            assert_eq!(spelled.to_field(), counts.to_field());
            forger.forge(format!("counts after chunk {place}: {spelled:?}"), |b| {
                b.chunks[place].after.counts = spelled;
            });
        }
    }
    forger.check(8);
}

#[test]
fn another_chain_or_version_is_refused() {
    let mut forger = Forger::new();
    let (genesis, keys) = (forger.genesis.clone(), golden::keys().to_vec());
    let other_contract = L1Address([0x53; 20]);
    forger.forge("chain id", |b| b.chain_id = 1_337);
    forger.forge("not a development chain", |b| b.chain_id = 1);
    forger.forge("contract", |b| b.rollup = other_contract);
    forger.forge_as(5, "newer circuits", |b| b.circuit_version += 1);
    forger.forge_as(5, "older circuits", |b| b.circuit_version -= 1);
    // The reader believes the file about its chain: then the domain is another, and no proof holds.
    forger.read_by("chain id, no genesis", None, keys.clone(), |b| {
        b.chain_id = 1_337
    });
    forger.read_by("contract, no genesis", None, keys.clone(), |b| {
        b.rollup = other_contract
    });
    let with = |change: &dyn Fn(&mut Genesis)| {
        let mut other = genesis.clone();
        change(&mut other);
        Some(other)
    };
    let other_chain = with(&|genesis| genesis.chain_id = 1_337);
    forger.read_by(
        "genesis and file of another chain",
        other_chain.clone(),
        keys.clone(),
        |b| {
            b.chain_id = 1_337;
        },
    );
    forger.read_by(
        "genesis of another chain",
        other_chain,
        keys.clone(),
        |_| {},
    );
    let contract = with(&|genesis| genesis.rollup = other_contract);
    forger.read_by(
        "genesis of another contract",
        contract,
        keys.clone(),
        |_| {},
    );
    let string = with(&|genesis| genesis.reference_string = "another".to_owned());
    forger.read_by("genesis of another string", string, keys.clone(), |_| {});
    let leaves = with(&|genesis| {
        genesis.leaves.pop();
    });
    forger.read_by("genesis with a leaf less", leaves, keys.clone(), |_| {});
    let balance = with(&|genesis| genesis.leaves[0].nonce.0 += 1);
    forger.read_by("genesis with another leaf", balance, keys.clone(), |_| {});
    forger.check(13);
}

#[test]
fn keys_that_are_not_accepted_are_refused() {
    let mut forger = Forger::new();
    let (genesis, keys) = (Some(forger.genesis.clone()), golden::keys().to_vec());
    forger.forge("keys swapped", |b| {
        std::mem::swap(&mut b.chunk_key, &mut b.data_key)
    });
    forger.forge("data key for both", |b| b.chunk_key = b.data_key.clone());
    forger.forge("chunk key for both", |b| b.data_key = b.chunk_key.clone());
    forger.forge_as(4, "no chunk key", |b| b.chunk_key.clear());
    forger.forge_as(4, "no data key", |b| b.data_key.clear());
    forger.forge_as(4, "bytes after the key", |b| b.data_key.push(0));
    forger.read_by("no key is accepted", genesis.clone(), Vec::new(), |_| {});
    for place in 0..keys.len() {
        let mut others = keys.clone();
        others[place].digest[0] ^= 1;
        let name = format!("accepted key {place} has another digest");
        forger.read_by(name, genesis.clone(), others, |_| {});
        let mut others = keys.clone();
        others[place].reference_string = "another".to_owned();
        let name = format!("accepted key {place} is of another string");
        forger.read_by(name, genesis.clone(), others, |_| {});
    }
    forger.check(11);
}
