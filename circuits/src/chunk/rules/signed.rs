//! What a signature authorizes: validity of signed operations, their messages, atomic groups.

use halo2curves::bn256::Fr;
use protocol::params::{BID_BURN_HEIGHTS_MAX, GROUP_MEMBERS_MAX, LOCK_HEIGHTS_MAX, NONCE_LAST};
use protocol::transaction::{tag_bid, tag_group};

use super::Slot;
use crate::algebra::Algebra;
use crate::chunk::cells::Cell;
use crate::convert::{power_of_two, to_circuit};
use crate::window::{Hintable, Window};

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// Rules that make a signed operation invalid.
    pub(super) fn signed_rules(&mut self) {
        let (signed, transaction) = (self.is_signed(), self.is_transaction());
        let live = self.v(Cell::Live1);
        self.when("sender lives", signed, live.not());
        let nonce = self.v(Cell::Nonce1);
        let parts = self.v(Cell::NonceLow) + self.v(Cell::NonceHigh) * Fr::from(16);
        self.zero("low bits of the nonce", nonce.clone() - parts);
        let distance = nonce - W::Value::number(NONCE_LAST);
        let known = distance.known();
        self.window.hint(self.at(Cell::NonceInverse), |_| {
            known.map_or(Fr::zero(), crate::window::invert_or_zero)
        });
        let proof = distance * self.v(Cell::NonceInverse);
        self.when("nonce is usable", transaction.clone(), proof.not());
        let (locks, locked) = (self.v(Cell::IsLock), self.v(Cell::IsLocked));
        self.when(
            "a locked leaf only locks",
            transaction.clone() - locks.clone(),
            locked.clone(),
        );
        let fee = self.v(Cell::Fee);
        self.when("a locked leaf pays no fee", locks.clone() * locked, fee);
        let height = self.v(Cell::HeightAfter);
        let left = self.v(Cell::ValidUntil) - height.clone();
        self.define("not expired", Cell::ExpiryDistance, transaction * left);

        let until = self.v(Cell::Until);
        let raise = until.clone() - self.v(Cell::Lock1) - W::Value::number(1);
        self.define("a Lock raises", Cell::LockRaise, locks.clone() * raise);
        let room = height.clone() + W::Value::number(LOCK_HEIGHTS_MAX) - until;
        self.define("a Lock has a limit", Cell::LockRoom, locks * room);

        let pays = self.v(Cell::IsBidPay);
        let receives = self.v(Cell::IsTransfer) + pays.clone();
        let (live, token) = (self.v(Cell::Live2), self.v(Cell::SameToken2));
        self.when("recipient lives", receives.clone(), live.not());
        self.when("recipient has the token", receives, token.not());
        let (index, first) = (self.v(Cell::Index2), self.v(Cell::Fee0After));
        self.when(
            "a bid is paid to the first fee leaf",
            pays.clone(),
            index - first,
        );
        let (new, owner, space) = (
            self.v(Cell::IsNew),
            self.v(Cell::HasOwner),
            self.v(Cell::HasSpace),
        );
        self.when("a new leaf has an owner", new.clone(), owner.not());
        self.when("a new leaf has space", new, space.not());

        let burns = self.v(Cell::IsBidBurn);
        let bid = self.v(Cell::BidHeight);
        self.when(
            "a bid is paid at its height",
            pays,
            bid.clone() - height.clone(),
        );
        self.define(
            "a burned bid is not of the future",
            Cell::BidAge,
            burns.clone() * (height - bid),
        );
        let limit = burns * Fr::from(BID_BURN_HEIGHTS_MAX);
        let room = limit - self.v(Cell::BidAge);
        self.define("a burned bid is recent", Cell::BidAgeRoom, room);
    }

    /// Inputs of the message hash, and the link to the signature.
    pub(super) fn messages(&mut self) {
        let bid = self.is_bid();
        let index = self.v(Cell::Index1);
        let to = self.v(Cell::IsTransfer) * self.v(Cell::Index2);
        let header = self.kind_number()
            + index.clone() * power_of_two(8)
            + to * power_of_two(40)
            + self.v(Cell::Nonce1) * power_of_two(72)
            + self.v(Cell::ValidUntil) * power_of_two(112)
            + self.v(Cell::InGroup) * power_of_two(176);
        let tag = W::Value::constant(to_circuit(tag_bid()));
        self.define(
            "message: header or BID",
            Cell::Message1,
            bid.select(tag, header),
        );
        self.hash(Cell::KeyDigest, &[Cell::KeyX, Cell::KeyY]);
        let amount = self.v(Cell::Amount);
        let amounts = amount.clone() + self.v(Cell::Fee) * power_of_two(120);
        let place = index + self.v(Cell::BidHeight) * power_of_two(32);
        self.define(
            "message: amounts or place",
            Cell::Message2,
            bid.select(place, amounts),
        );
        let key = self.states_key() * self.v(Cell::KeyDigest);
        self.define(
            "message: key or value",
            Cell::Message3,
            bid.select(amount, key),
        );
        let extra = self.v(Cell::IsNew) * self.v(Cell::NewOwner)
            + self.v(Cell::IsLock) * self.v(Cell::Until);
        let core = self.v(Cell::CoreHash);
        self.define(
            "message: extra or core",
            Cell::Message4,
            bid.select(core, extra),
        );
        self.hash(
            Cell::Message,
            &[
                Cell::Domain,
                Cell::Message1,
                Cell::Message2,
                Cell::Message3,
                Cell::Message4,
            ],
        );

        let signed = self.is_signed();
        for (name, gadget, leaf) in [
            ("the sender's key signs: x", Cell::SignatureX, Cell::X1),
            ("the sender's key signs: y", Cell::SignatureY, Cell::Y1),
        ] {
            let difference = self.v(gadget) - self.v(leaf);
            self.when(name, signed.clone(), difference);
        }
        let alone = signed - self.v(Cell::InGroup);
        let difference = self.v(Cell::SignatureMessage) - self.v(Cell::Message);
        self.when("an operation alone signs its message", alone, difference);
    }

    /// Members of an atomic group sign G, which the last member closes.
    pub(super) fn group(&mut self) {
        self.booleans(&[Cell::InGroup, Cell::IsLast]);
        let (member, last) = (self.v(Cell::InGroup), self.v(Cell::IsLast));
        let (signed, transaction) = (self.is_signed(), self.is_transaction());
        self.when(
            "members are transactions",
            member.clone(),
            transaction.not(),
        );
        self.when("last of a group only", last.clone(), member.not());
        let members = self.v(Cell::GroupMembers);
        let (flag, inverse) = (self.at(Cell::IsOpen), self.at(Cell::OpenInverse));
        self.window
            .nonzero("a group is open", flag, inverse, members.clone());
        let open = self.v(Cell::IsOpen);
        let alone = signed.clone() - member.clone();
        self.when("an open group goes on", alone, open.clone());
        let (sum, tag) = (self.v(Cell::GroupSum), to_circuit(tag_group()));
        let start = open.select(sum.clone(), W::Value::constant(tag));
        self.define("running hash", Cell::GroupStart, start);
        self.hash(Cell::GroupStep, &[Cell::GroupStart, Cell::Message]);
        let signed_hash = self.v(Cell::SignatureMessage);
        let hash = self.v(Cell::GroupHash);
        self.when(
            "members sign one hash",
            member.clone() * open.clone(),
            signed_hash.clone() - hash.clone(),
        );
        let number = members.clone() + W::Value::number(1);
        self.define("number of members", Cell::GroupNumber, number.clone());
        let room = W::Value::number(GROUP_MEMBERS_MAX - 1) - members.clone();
        self.define(
            "a group has a limit",
            Cell::MembersRoom,
            member.clone() * room,
        );
        self.hash(Cell::GroupClose, &[Cell::GroupStep, Cell::GroupNumber]);
        self.when("a group has two members", last.clone(), open.not());
        let closed = self.v(Cell::GroupClose) - signed_hash.clone();
        self.when("the last member closes G", last.clone(), closed);

        let going = member - last;
        let step = self.v(Cell::GroupStep);
        for (after, before, new) in [
            (Cell::GroupHashAfter, hash, signed_hash),
            (Cell::GroupSumAfter, sum, step),
            (Cell::GroupMembersAfter, members, number),
        ] {
            let value = signed.not() * before + going.clone() * new;
            self.define("group after", after, value);
        }
    }
}
