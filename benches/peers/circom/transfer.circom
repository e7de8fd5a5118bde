// A rollup transfer in circomlib's terms, and a chain of them: what `peers` proves with Groth16.
//
// One transfer: the sender's signature over the transfer, one nonce more and less balance in the sender's leaf,
// more balance in the recipient's leaf, every amount in 64 bits, nonces in 32. Each leaf changes by one path of
// binary Poseidon nodes, walked once with the old leaf and once with the new one.
//
// Left out, to the peer's advantage: publishing the transfers (Hermez hashes them with SHA-256), deposits, exits,
// tokens, fees to a coordinator's account, empty slots.
pragma circom 2.1.0;

include "circomlib/circuits/babyjub.circom";
include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/eddsaposeidon.circom";
include "circomlib/circuits/poseidon.circom";

// The value of `key` with these numbers in the tree.
template Leaf() {
    signal input ax;
    signal input ay;
    signal input balance;
    signal input nonce;
    signal output out;

    component hash = Poseidon(4);
    hash.inputs[0] <== ax;
    hash.inputs[1] <== ay;
    hash.inputs[2] <== balance;
    hash.inputs[3] <== nonce;
    out <== hash.out;
}

// The roots over two values of one leaf: same place, same siblings.
template Update(levels) {
    signal input index;
    signal input siblings[levels];
    signal input oldLeaf;
    signal input newLeaf;
    signal output oldRoot;
    signal output newRoot;

    component bits = Num2Bits(levels);
    bits.in <== index;

    signal old[levels + 1];
    signal new[levels + 1];
    signal oldLeft[levels];
    signal newLeft[levels];
    component oldHash[levels];
    component newHash[levels];

    old[0] <== oldLeaf;
    new[0] <== newLeaf;
    for (var i = 0; i < levels; i++) {
        oldLeft[i] <== old[i] + bits.out[i] * (siblings[i] - old[i]);
        newLeft[i] <== new[i] + bits.out[i] * (siblings[i] - new[i]);
        oldHash[i] = Poseidon(2);
        oldHash[i].inputs[0] <== oldLeft[i];
        oldHash[i].inputs[1] <== old[i] + siblings[i] - oldLeft[i];
        newHash[i] = Poseidon(2);
        newHash[i].inputs[0] <== newLeft[i];
        newHash[i].inputs[1] <== new[i] + siblings[i] - newLeft[i];
        old[i + 1] <== oldHash[i].out;
        new[i + 1] <== newHash[i].out;
    }
    oldRoot <== old[levels];
    newRoot <== new[levels];
}

// One transfer from the tree with `oldRoot` to the one with `newRoot`.
template Transfer(levels) {
    signal input oldRoot;
    signal output newRoot;

    signal input from;
    signal input fromKey[2];
    signal input fromBalance;
    signal input fromNonce;
    signal input fromSiblings[levels];

    signal input to;
    signal input toKey[2];
    signal input toBalance;
    signal input toNonce;
    signal input toSiblings[levels];

    signal input amount;
    signal input fee;
    signal input r8[2];
    signal input s;

    // The signature, by keys and points of the curve.
    component message = Poseidon(5);
    message.inputs[0] <== from;
    message.inputs[1] <== to;
    message.inputs[2] <== amount;
    message.inputs[3] <== fee;
    message.inputs[4] <== fromNonce;

    component keyOnCurve = BabyCheck();
    keyOnCurve.x <== fromKey[0];
    keyOnCurve.y <== fromKey[1];
    component r8OnCurve = BabyCheck();
    r8OnCurve.x <== r8[0];
    r8OnCurve.y <== r8[1];

    component signature = EdDSAPoseidonVerifier();
    signature.enabled <== 1;
    signature.Ax <== fromKey[0];
    signature.Ay <== fromKey[1];
    signature.S <== s;
    signature.R8x <== r8[0];
    signature.R8y <== r8[1];
    signature.M <== message.out;

    // The numbers. Old balances and nonces are in range since every leaf was made so.
    signal fromRest <== fromBalance - amount - fee;
    signal toSum <== toBalance + amount;
    component ranges[4];
    for (var i = 0; i < 4; i++) {
        ranges[i] = Num2Bits(64);
    }
    ranges[0].in <== amount;
    ranges[1].in <== fee;
    ranges[2].in <== fromRest;
    ranges[3].in <== toSum;
    component nonceRange = Num2Bits(32);
    nonceRange.in <== fromNonce + 1;

    // The sender's leaf, then the recipient's.
    component fromOld = Leaf();
    fromOld.ax <== fromKey[0];
    fromOld.ay <== fromKey[1];
    fromOld.balance <== fromBalance;
    fromOld.nonce <== fromNonce;
    component fromNew = Leaf();
    fromNew.ax <== fromKey[0];
    fromNew.ay <== fromKey[1];
    fromNew.balance <== fromRest;
    fromNew.nonce <== fromNonce + 1;

    component sender = Update(levels);
    sender.index <== from;
    sender.siblings <== fromSiblings;
    sender.oldLeaf <== fromOld.out;
    sender.newLeaf <== fromNew.out;
    sender.oldRoot === oldRoot;

    component toOld = Leaf();
    toOld.ax <== toKey[0];
    toOld.ay <== toKey[1];
    toOld.balance <== toBalance;
    toOld.nonce <== toNonce;
    component toNew = Leaf();
    toNew.ax <== toKey[0];
    toNew.ay <== toKey[1];
    toNew.balance <== toSum;
    toNew.nonce <== toNonce;

    component recipient = Update(levels);
    recipient.index <== to;
    recipient.siblings <== toSiblings;
    recipient.oldLeaf <== toOld.out;
    recipient.newLeaf <== toNew.out;
    recipient.oldRoot === sender.newRoot;
    newRoot <== recipient.newRoot;
}

// `count` transfers, one after the other. Public: the roots around them and the sum of their fees.
template Transfers(count, levels) {
    signal input oldRoot;
    signal input newRoot;
    signal input fees;

    signal input from[count];
    signal input fromKey[count][2];
    signal input fromBalance[count];
    signal input fromNonce[count];
    signal input fromSiblings[count][levels];
    signal input to[count];
    signal input toKey[count][2];
    signal input toBalance[count];
    signal input toNonce[count];
    signal input toSiblings[count][levels];
    signal input amount[count];
    signal input fee[count];
    signal input r8[count][2];
    signal input s[count];

    component transfers[count];
    var sum = 0;
    for (var i = 0; i < count; i++) {
        transfers[i] = Transfer(levels);
        if (i == 0) {
            transfers[i].oldRoot <== oldRoot;
        } else {
            transfers[i].oldRoot <== transfers[i - 1].newRoot;
        }
        transfers[i].from <== from[i];
        transfers[i].fromKey <== fromKey[i];
        transfers[i].fromBalance <== fromBalance[i];
        transfers[i].fromNonce <== fromNonce[i];
        transfers[i].fromSiblings <== fromSiblings[i];
        transfers[i].to <== to[i];
        transfers[i].toKey <== toKey[i];
        transfers[i].toBalance <== toBalance[i];
        transfers[i].toNonce <== toNonce[i];
        transfers[i].toSiblings <== toSiblings[i];
        transfers[i].amount <== amount[i];
        transfers[i].fee <== fee[i];
        transfers[i].r8 <== r8[i];
        transfers[i].s <== s[i];
        sum += fee[i];
    }
    transfers[count - 1].newRoot === newRoot;
    fees === sum;
}
