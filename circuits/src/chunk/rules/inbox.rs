//! Inbox items: which kind, whether it applies. Every content of an item is provable: each condition
//! is a boolean with one possible value, and nothing else depends on the item.

use halo2curves::bn256::Fr;

use super::Slot;
use crate::algebra::{Algebra, sum};
use crate::chunk::cells::Cell;
use crate::convert::power_of_two;
use crate::window::{Hintable, Window};

/// Known kinds by number, from 1.
const KINDS: [Cell; 6] = [
    Cell::IsDeposit,
    Cell::IsForcedTransfer,
    Cell::IsForcedNew,
    Cell::IsForcedWithdraw,
    Cell::IsForcedChangeKey,
    Cell::IsForcedExit,
];

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// Kind, conditions and effects.
    pub(super) fn inbox_item(&mut self) {
        self.item_kind();
        let (item, deposit) = (self.v(Cell::IsInbox), self.v(Cell::IsDeposit));
        let (from, to) = (self.v(Cell::ItemFrom), self.v(Cell::ItemTo));
        let index = self.v(Cell::Index1);
        self.when(
            "item opens its leaf",
            item,
            index - deposit.select(to.clone(), from),
        );
        let (forced, index) = (self.v(Cell::IsForcedTransfer), self.v(Cell::Index2));
        self.when("ForcedTransfer opens its recipient", forced, index - to);

        let (owner, stated) = (self.v(Cell::ItemOwner), self.v(Cell::NewOwner));
        let named = deposit.select(stated.clone(), owner);
        let difference = self.v(Cell::Owner1) - named;
        self.is_zero(
            "same owner",
            Cell::SameOwner,
            Cell::OwnerInverse,
            difference,
        );
        let difference = self.v(Cell::Token1) - self.v(Cell::ItemToken);
        self.is_zero(
            "same token",
            Cell::SameToken,
            Cell::TokenInverse,
            difference,
        );
        let difference = self.v(Cell::Token2) - self.v(Cell::Token1);
        self.is_zero(
            "recipient's token",
            Cell::SameToken2,
            Cell::Token2Inverse,
            difference,
        );
        let (flag, inverse) = (self.at(Cell::HasOwner), self.at(Cell::NewOwnerInverse));
        self.window
            .nonzero("stated owner is not 0", flag, inverse, stated);
        let distance = self.v(Cell::LeafCount) - W::Value::constant(power_of_two(32));
        let (flag, inverse) = (self.at(Cell::HasSpace), self.at(Cell::SpaceInverse));
        self.window
            .nonzero("tree is not full", flag, inverse, distance);
        self.effects();
    }

    fn item_kind(&mut self) {
        self.booleans(&KINDS);
        self.booleans(&[Cell::IsUnknown]);
        let item = self.v(Cell::IsInbox);
        let unknown = self.v(Cell::IsUnknown);
        let known = self.sum(&KINDS);
        self.zero("one kind of item", known.clone() + unknown.clone() - item);
        let number = self.v(Cell::ItemType);
        let weighted: Vec<W::Value> = (0..6)
            .map(|i| self.v(KINDS[i]) * Fr::from(i as u64 + 1))
            .collect();
        self.when("item type", known, number.clone() - sum(weighted));
        let product = (1..7).fold(W::Value::number(1), |product, kind| {
            product * (number.clone() - W::Value::number(kind))
        });
        let value = product.known();
        self.window.hint(self.at(Cell::UnknownInverse), |_| {
            value.map_or(Fr::zero(), crate::window::invert_or_zero)
        });
        let proof = product * self.v(Cell::UnknownInverse);
        self.when("unknown type", unknown, proof.not());
    }

    fn effects(&mut self) {
        let authorized = self.v(Cell::Live1)
            * self.v(Cell::SameOwner)
            * self.v(Cell::SameToken)
            * self.v(Cell::IsLocked).not();
        self.define("authorized", Cell::IsAuthorized, authorized);
        for (name, effect, conditions) in [
            (
                "ForcedTransfer applies",
                Cell::DoTransfer,
                &[
                    Cell::IsForcedTransfer,
                    Cell::IsAuthorized,
                    Cell::IsEnough,
                    Cell::Live2,
                    Cell::SameToken2,
                    Cell::HasRoom,
                ][..],
            ),
            (
                "ForcedTransferToNew applies",
                Cell::DoNew,
                &[
                    Cell::IsForcedNew,
                    Cell::IsAuthorized,
                    Cell::IsEnough,
                    Cell::HasOwner,
                    Cell::HasSpace,
                ],
            ),
            (
                "ForcedWithdraw applies",
                Cell::DoWithdraw,
                &[Cell::IsForcedWithdraw, Cell::IsAuthorized, Cell::IsEnough],
            ),
            (
                "ForcedExit applies",
                Cell::DoExit,
                &[Cell::IsForcedExit, Cell::IsAuthorized],
            ),
            (
                "ForcedChangeKey applies",
                Cell::DoChangeKey,
                &[Cell::IsForcedChangeKey, Cell::IsAuthorized],
            ),
            (
                "Deposit finds its leaf",
                Cell::DepositFits,
                &[
                    Cell::IsDeposit,
                    Cell::HasOwner,
                    Cell::Live1,
                    Cell::SameOwner,
                    Cell::SameToken,
                ],
            ),
            (
                "Deposit credits",
                Cell::DepositCredits,
                &[Cell::DepositFits, Cell::HasRoom],
            ),
        ] {
            let product = conditions
                .iter()
                .fold(W::Value::number(1), |product, cell| product * self.v(*cell));
            self.define(name, effect, product);
        }
        let fits = self.v(Cell::DepositFits);
        let other = self.v(Cell::IsDeposit) * self.v(Cell::HasOwner) - fits.clone();
        let space = self.v(Cell::HasSpace);
        self.define(
            "Deposit creates",
            Cell::DepositCreates,
            other.clone() * space.clone(),
        );
        let room = self.v(Cell::HasRoom);
        let returns = fits * room.not() + other * space.not();
        self.define("Deposit goes back", Cell::DepositReturns, returns);
    }
}
