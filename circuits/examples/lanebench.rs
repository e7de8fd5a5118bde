#![allow(missing_docs)]
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use circuits::lanes::LaneShape;
use halo2_proofs::{plonk::*, poly::{kzg::{commitment::*, multiopen::*, strategy::SingleStrategy}, commitment::ParamsProver}, transcript::*};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::rngs::OsRng;
use protocol::{account::{L1Address, Leaf}, batch::Pair, number::*, signature::SecretKey, state::State, threaded::FeeLeaves, transaction::*, transition::*, witness::*, hash::keccak256};

fn cpu() -> f64 {
    let t = std::fs::read_to_string("/proc/self/stat").unwrap();
    let v: Vec<&str> = t.rsplit(')').next().unwrap().split_whitespace().collect();
    (v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap()) / 100.0
}
fn hwm() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned() }

fn workload(shape: LaneShape, log_leaves: u32) -> (ChunkWitness, usize, usize) {
    let rows = include_str!("../../tests/fixtures/mainnet-transfers.csv");
    let mut pays = vec![];
    for line in rows.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let token = match f[2] { "eth" => String::new(), "erc20" => f[5].to_owned(), _ => continue };
        pays.push(((f[3].to_owned(), token.clone()), (f[4].to_owned(), token)));
    }
    let n = 1usize << log_leaves;
    let total = 2 * shape.pairs;
    // who
    let place = |i: usize| (i.wrapping_mul(0x9E3779B1) + 12345) & (n - 1);
    let mut leaf_of: BTreeMap<(usize, &(String, String)), usize> = BTreeMap::new();
    let mut ops = vec![];
    let mut used = BTreeSet::new();
    for k in 0..total {
        let (round, i) = (k / pays.len(), k % pays.len());
        let (from, to) = &pays[i];
        let mut get = |who| { let c = leaf_of.len() + 1; *leaf_of.entry((round, who)).or_insert_with(|| place(c)) };
        let (a, b) = (get(from), get(to));
        used.insert(a); used.insert(b);
        ops.push((a, b));
    }
    let filler = SecretKey::from_seed(&[7; 32]);
    let mut keys: BTreeMap<usize, SecretKey> = BTreeMap::new();
    let senders: BTreeSet<usize> = ops.iter().map(|o| o.0).collect();
    for s in &senders { keys.insert(*s, SecretKey::from_seed(&keccak256(&s.to_le_bytes()))); }
    let leaves: Vec<Leaf> = (0..n).map(|i| {
        let key = keys.get(&i).unwrap_or(&filler).public();
        Leaf::new(key.into(), L1Address([1; 20]), TokenId(0), Amount::new(1 << 80).unwrap())
    }).collect();
    let t = Instant::now();
    let state = State::new(leaves);
    eprintln!("state {:.1} s", t.elapsed().as_secs_f64());
    let domain = Domain::new(31_337, L1Address([0xee; 20]), [2; 32], 1);
    let mut trace = BatchTrace::new(domain, state, Height(0), 0);
    let mut header = Some(Header { height_delta: 1, fee_leaves: FeeLeaves::new(&[LeafIndex(0)]), bid: false });
    let mut nonces: BTreeMap<usize, u64> = BTreeMap::new();
    let mut pieces: Vec<ChunkWitness> = vec![];
    let mut done = 0;
    let mut it = ops.iter();
    while done < shape.pairs {
        let mut op = || {
            let (a, b) = it.next().unwrap();
            let nonce = nonces.entry(*a).or_default();
            let transaction = Transaction { from: LeafIndex(*a as u32), nonce: Nonce(*nonce), valid_until: Height(1000), fee: Amount::new(1_000_000_000).unwrap(),
                action: Action::Transfer { to: LeafIndex(*b as u32), amount: Amount::new(1_000_000).unwrap() } };
            *nonce += 1;
            let secret = &keys[a];
            Operation::Signed { transaction: SignedTransaction { transaction, key: secret.public(), signature: secret.sign(&transaction.message(&domain, false)) }, fee_leaf: 0, group: None }
        };
        let pair = Pair { header: header.take(), slots: [op(), op()] };
        if let Some(c) = trace.push(&pair).unwrap() { pieces.push(c); }
        done += 1;
    }
    let batch = trace.finish();
    if let Some(c) = batch.chunk { pieces.push(c); }
    let mut w = pieces[0].clone();
    for p in &pieces[1..] { w.pairs.extend(p.pairs.iter().cloned()); w.after = p.after.clone(); w.idle = p.idle.clone(); }
    (w, used.len() + 1, ops.len())
}

fn main() {
    let a: Vec<u32> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let k = a[0];
    let mut shape = LaneShape::fullest(k);
    let part = a.get(2).copied().unwrap_or(100);
    let full = shape;
    shape.pairs = shape.pairs * part as usize / 100;
    let (w, leaves, ops) = workload(shape, a[1]);
    let shape = full;
    println!("ops {ops} distinct leaves {leaves} = {:.2} per op", leaves as f64 / ops as f64);
    let o = circuits::lanes::opening::Opening::new(w.pairs.iter().flat_map(|p| p.slots.iter().flat_map(|s| s.accesses.iter())));
    println!("opening: leaves {} of {}, nodes {} of {} ({:.2} per op)", o.leaves.len(), shape.leaves(), o.nodes.len(), shape.nodes(), o.nodes.len() as f64 / ops as f64);
    if a.len() > 3 { return; }
    let t = Instant::now();
    let (c0, inputs) = shape.prove(&w).unwrap();
    println!("witness {:.1} s, {}", t.elapsed().as_secs_f64(), hwm());
    drop(c0);
    let params = ParamsKZG::<Bn256>::setup(k, OsRng);
    let t = Instant::now();
    let vk = keygen_vk(&params, &shape.circuit()).unwrap();
    let pk = keygen_pk(&params, vk, &shape.circuit()).unwrap();
    println!("keys {:.1} s, {}", t.elapsed().as_secs_f64(), hwm());
    for _ in 0..2 {
        let (t, c) = (Instant::now(), cpu());
        let (circuit, inputs2) = shape.prove(&w).unwrap();
        assert_eq!(inputs, inputs2);
        let filled = t.elapsed().as_secs_f64();
        let mut tr = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(vec![]);
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(&params, &pk, &[circuit], &[&[&inputs]], OsRng, &mut tr).unwrap();
        let (wall, cpu) = (t.elapsed().as_secs_f64(), cpu() - c);
        let proof = tr.finalize();
        println!("witness {filled:.1} s, in all {wall:.1} s wall, {cpu:.1} s cpu: {:.1} ms wall, {:.1} ms cpu per op; proof {} B; {}", wall * 1e3 / ops as f64, cpu * 1e3 / ops as f64, proof.len(), hwm());
        let mut tr = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(&proof[..]);
        let vp = params.verifier_params();
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(vp, pk.get_vk(), SingleStrategy::new(vp), &[&[&inputs]], &mut tr).unwrap();
        println!("verified");
    }
}
