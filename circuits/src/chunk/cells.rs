//! The named cells of a slot's rules, and where they stand.
//!
//! Cells that are copied to or from other rows stand in the equality columns, row after row; the
//! others to their right. `Cell::pos` counts rows from the first row of the slot.

use crate::layout::{EQUALITY, WIDTH};
use crate::window::{Pos, pos};

macro_rules! cells {
    (copied { $($copied:ident $copied_doc:literal,)* } local { $($local:ident $local_doc:literal,)* }) => {
        /// A named cell of the rules of one slot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Cell {
            $(#[doc = $copied_doc] $copied,)*
            $(#[doc = $local_doc] $local,)*
        }

        impl Cell {
            /// Every cell, in order.
            pub const ALL: &'static [Cell] = &[$(Cell::$copied,)* $(Cell::$local,)*];
            /// How many stand in equality columns.
            pub const COPIED: usize = [$(Cell::$copied),*].len();
        }
    };
}

cells! {
    copied {
        Root "State root before the slot.",
        H "Accumulator before the slot.",
        OpsCount "Ops words before the slot.",
        WithdrawalsCount "Withdrawal words before the slot.",
        InboxWords "Inbox words before the slot.",
        SignedCount "Signed operations before the slot.",
        LeafCount "Leaves before the slot.",
        InboxCount "Inbox items before the slot.",
        Height "Height before the slot.",
        Phase "Phase before the slot, 0 to 3.",
        Fee0 "First fee leaf before the slot.",
        Fee1 "Second fee leaf before the slot.",
        Fee2 "Third fee leaf before the slot.",
        Fee3 "Fourth fee leaf before the slot.",
        FeeCount "Number of fee leaves before the slot.",
        LastBid "Height of the last BidPay before the slot.",
        GroupHash "G of the open group before the slot, or 0.",
        GroupSum "Running hash of the open group before the slot, or 0.",
        GroupMembers "Members so far of the open group before the slot, or 0.",
        RootAfter "State root after the slot.",
        HAfter "Accumulator after the slot.",
        OpsCountAfter "Ops words after the slot.",
        WithdrawalsCountAfter "Withdrawal words after the slot.",
        InboxWordsAfter "Inbox words after the slot.",
        SignedCountAfter "Signed operations after the slot.",
        LeafCountAfter "Leaves after the slot.",
        InboxCountAfter "Inbox items after the slot.",
        HeightAfter "Height after the slot; 64 bits.",
        PhaseAfter "Phase after the slot.",
        Fee0After "First fee leaf after the slot.",
        Fee1After "Second fee leaf after the slot.",
        Fee2After "Third fee leaf after the slot.",
        Fee3After "Fourth fee leaf after the slot.",
        FeeCountAfter "Number of fee leaves after the slot.",
        LastBidAfter "Height of the last BidPay after the slot.",
        GroupHashAfter "G after the slot.",
        GroupSumAfter "Running hash after the slot.",
        GroupMembersAfter "Members after the slot.",
        Delta "Height delta of the header, or 0; 40 bits.",
        DeltaRest "Height delta less one of the header, or 0; 40 bits.",
        New0 "First fee leaf of the header; 32 bits.",
        New1 "Second fee leaf of the header; 32 bits.",
        New2 "Third fee leaf of the header; 32 bits.",
        New3 "Fourth fee leaf of the header; 32 bits.",
        X1 "Key x of the sender's leaf.",
        Y1 "Key y of the sender's leaf.",
        Meta1 "owner | token | nonce of the sender's leaf.",
        Holdings1 "balance | lock_until of the sender's leaf.",
        Live1 "Whether the sender's leaf lives.",
        X1After "Key x of the sender's leaf afterwards.",
        Y1After "Key y of the sender's leaf afterwards.",
        Meta1After "Meta of the sender's leaf afterwards.",
        Holdings1After "Holdings of the sender's leaf afterwards.",
        Index1 "Place of the sender's leaf.",
        Owner1 "l1_owner of the sender's leaf; 160 bits.",
        Token1 "Token of the sender's leaf; 32 bits.",
        Nonce1 "Nonce of the sender's leaf; 40 bits.",
        Balance1 "Balance of the sender's leaf; 120 bits.",
        Lock1 "lock_until of the sender's leaf; 64 bits.",
        Balance1After "Balance of the sender's leaf afterwards; 120 bits.",
        X2 "Key x of the recipient's leaf.",
        Y2 "Key y of the recipient's leaf.",
        Meta2 "Meta of the recipient's leaf.",
        Holdings2 "Holdings of the recipient's leaf.",
        Live2 "Whether the recipient's leaf lives.",
        X2After "Key x of the recipient's leaf afterwards.",
        Y2After "Key y of the recipient's leaf afterwards.",
        Meta2After "Meta of the recipient's leaf afterwards.",
        Holdings2After "Holdings of the recipient's leaf afterwards.",
        Live2After "Whether the recipient's leaf lives afterwards.",
        Index2 "Place of the recipient's leaf.",
        Owner2 "l1_owner of the recipient's leaf; 160 bits.",
        Token2 "Token of the recipient's leaf; 32 bits.",
        Nonce2 "Nonce of the recipient's leaf; 40 bits.",
        Balance2 "Balance of the recipient's leaf; 120 bits.",
        Lock2 "lock_until of the recipient's leaf; 64 bits.",
        Balance2After "Balance of the recipient's leaf afterwards; 120 bits.",
        Meta3 "Meta of the fee leaf.",
        Holdings3 "Holdings of the fee leaf.",
        Live3 "Whether the fee leaf lives.",
        Holdings3After "Holdings of the fee leaf afterwards.",
        Index3 "Place of the fee leaf.",
        Owner3 "l1_owner of the fee leaf; 160 bits.",
        Token3 "Token of the fee leaf; 32 bits.",
        Nonce3 "Nonce of the fee leaf; 40 bits.",
        Balance3 "Balance of the fee leaf; 120 bits.",
        Lock3 "lock_until of the fee leaf; 64 bits.",
        Balance3After "Balance of the fee leaf afterwards; 120 bits.",
        ValidUntil "Last height of a transaction; 64 bits.",
        Mantissa "Mantissa of the published amount; 30 bits.",
        FeeMantissa "Mantissa of the fee; 8 bits.",
        BurnRemainder "Remainder of the burn's division; 16 bits.",
        Amount "Exact amount of the operation; 120 bits.",
        Until "New lock_until; 64 bits.",
        NewOwner "l1_owner stated by the operation; 160 bits.",
        NonceLow "Low 4 bits of the sender's nonce.",
        NonceHigh "High 36 bits of the sender's nonce.",
        XLow "Bits 0 to 119 of the stated key's x.",
        XMiddle "Bits 120 to 247 of the stated key's x.",
        XHigh "Bits 248 to 253 of the stated key's x.",
        YLow "Bits 0 to 119 of the stated key's y.",
        YMiddle "Bits 120 to 247 of the stated key's y.",
        YHigh "Bits 248 to 253 of the stated key's y.",
        XLowRest "Low part of the distance of x to p; 120 bits.",
        XHighRest "High part of the distance of x to p; 160 bits.",
        YLowRest "Low part of the distance of y to p; 120 bits.",
        YHighRest "High part of the distance of y to p; 160 bits.",
        ItemType "Type of the inbox item; 4 bits.",
        ItemFrom "from of the inbox item; 32 bits.",
        ItemTo "to of the inbox item; 32 bits.",
        ItemToken "token of the inbox item; 32 bits.",
        ItemOwner "owner of the inbox item; 160 bits.",
        Spare0 "Spare bits of the item's word 0; 28 bits.",
        Spare1 "Spare bits of the item's word 1; 88 bits.",
        Spare2 "Spare bits of the item's word 2; 76 bits.",
        LockDistance "Distance of the height to lock_until; 64 bits.",
        ExpiryDistance "Heights until a transaction expires; 64 bits.",
        LockRaise "How much a Lock raises lock_until, less one; 64 bits.",
        LockRoom "How far a Lock stays below its limit; 64 bits.",
        EnoughDistance "Distance of the debit to the balance; 120 bits.",
        RoomDistance "Distance of a credited balance to 2^120; 120 bits.",
        FloorDistance "Distance of a bid to BID_FLOOR; 120 bits.",
        BidHeight "Height of the bid; 64 bits.",
        BidAge "Heights since the burned bid; 40 bits.",
        BidAgeRoom "What is left of the burned bid's age limit; 40 bits.",
        MembersRoom "How many members the group may still take; 40 bits.",
        Domain "The domain: first input of the message hash.",
        Message1 "Second input of the message hash (the first is the domain).",
        Message2 "Third input of the message hash.",
        Message3 "Fourth input of the message hash.",
        Message4 "Fifth input of the message hash.",
        Message "The message hash.",
        KeyX "Stated key's x, 0 for the null key.",
        KeyY "Stated key's y, 0 for the null key.",
        KeyDigest "Poseidon of the stated key.",
        GroupStart "Running hash the member continues.",
        GroupStep "Running hash after the member.",
        GroupNumber "Members after this one.",
        GroupClose "Poseidon(running hash, members): G if this is the last.",
        SignatureX "Key x in the signature gadget.",
        SignatureY "Key y in the signature gadget.",
        SignatureMessage "Message in the signature gadget.",
        Hash0 "Accumulator after absorbing group 0.",
        Hash1 "Accumulator after absorbing group 1.",
        Hash2 "Accumulator after absorbing group 2.",
        After0 "Accumulator after group 0, absorbed or not.",
        After1 "Accumulator after group 1, absorbed or not.",
        Place00 "Group 0, place 0: header word.",
        Place01 "Group 0, place 1: second header word.",
        Place02 "Group 0, place 2: word of the two slots.",
        Place03 "Group 0, place 3: padding.",
        Place10 "Group 1, place 0: extension or inbox word.",
        Place11 "Group 1, place 1: extension or inbox word.",
        Place12 "Group 1, place 2: extension or inbox word.",
        Place13 "Group 1, place 3: inbox word or padding.",
        Place20 "Group 2, place 0: inbox word or padding.",
        Place21 "Group 2, place 1: withdrawal word or padding.",
        Place22 "Group 2, place 2: withdrawal word or padding.",
        Place23 "Group 2, place 3: padding.",
        SlotBits "The slot as published; 124 bits.",
        PartnerBits "In a first slot: the second slot's bits.",
        IsNoop "The slot holds nothing.",
        PartnerNoop "In a first slot: the second slot holds nothing.",
    }
    local {
        IsTransfer "The slot is a Transfer.",
        IsNew "The slot is a TransferToNew.",
        IsWithdraw "The slot is a Withdraw.",
        IsChangeKey "The slot is a ChangeKey.",
        IsLock "The slot is a Lock.",
        IsBidPay "The slot is a BidPay.",
        IsBidBurn "The slot is a BidBurn.",
        IsInbox "The slot is an inbox item.",
        IsDeposit "The item is a Deposit.",
        IsForcedTransfer "The item is a ForcedTransfer.",
        IsForcedNew "The item is a ForcedTransferToNew.",
        IsForcedWithdraw "The item is a ForcedWithdraw.",
        IsForcedChangeKey "The item is a ForcedChangeKey.",
        IsForcedExit "The item is a ForcedExit.",
        IsUnknown "The item has an unknown type.",
        UnknownInverse "Inverse that proves the type unknown.",
        Header "A block opens here.",
        HeaderBid "The opened block promises a BidPay.",
        Stated0 "The header states no fee leaves.",
        Stated1 "The header states one fee leaf.",
        Stated2 "The header states two fee leaves.",
        Stated3 "The header states three fee leaves.",
        Stated4 "The header states four fee leaves.",
        FeeCountInverse "Inverse that proves fee leaves known after a header.",
        PhaseNone "No block has been opened yet.",
        PhaseInbox "The block is in its inbox part.",
        PhaseSigned "The block is in its signed part.",
        PhaseBid "The block waits for its BidPay.",
        Exponent0 "Bit 0 of the amount's exponent.",
        Exponent1 "Bit 1 of the amount's exponent.",
        Exponent2 "Bit 2 of the amount's exponent.",
        Exponent3 "Bit 3 of the amount's exponent.",
        Exponent4 "Bit 4 of the amount's exponent.",
        Power "10 to the amount's exponent.",
        FeeExponent0 "Bit 0 of the fee's exponent.",
        FeeExponent1 "Bit 1 of the fee's exponent.",
        FeeExponent2 "Bit 2 of the fee's exponent.",
        FeeExponent3 "Bit 3 of the fee's exponent.",
        FeeExponent4 "Bit 4 of the fee's exponent.",
        FeePower "10 to the fee's exponent.",
        Fee "The fee.",
        Burn "Burned share of the fee.",
        NoFee "The fee is 0.",
        FeeInverse "Inverse of the fee.",
        Selector0 "Low bit of the fee leaf selector.",
        Selector1 "High bit of the fee leaf selector.",
        InGroup "The transaction is a member of a group.",
        IsLast "It is the last member.",
        IsOpen "A group is open before the slot.",
        OpenInverse "Inverse of the number of members.",
        IsLocked "The sender's leaf is locked.",
        SameOwner "The sender's leaf has the owner the item names.",
        OwnerInverse "Inverse of the difference of owners.",
        SameToken "The sender's leaf has the token the item names.",
        TokenInverse "Inverse of the difference of tokens.",
        SameToken2 "The recipient's leaf has the sender's token.",
        Token2Inverse "Inverse of the difference of tokens.",
        IsEnough "The balance covers the debit.",
        HasRoom "The credited balance stays below 2^120.",
        AboveFloor "The bid is at least BID_FLOOR.",
        HasOwner "The stated l1_owner is not 0.",
        NewOwnerInverse "Inverse of the stated l1_owner.",
        HasSpace "The tree is not full.",
        SpaceInverse "Inverse of the distance of leaf_count to 2^32.",
        IsAuthorized "The item may act on the sender's leaf.",
        DoTransfer "A ForcedTransfer applies.",
        DoNew "A ForcedTransferToNew applies.",
        DoWithdraw "A ForcedWithdraw applies.",
        DoExit "A ForcedExit applies.",
        DoChangeKey "A ForcedChangeKey applies.",
        DepositFits "The Deposit names a live leaf of its token and owner.",
        DepositCredits "The Deposit credits that leaf.",
        DepositCreates "The Deposit creates a leaf.",
        DepositReturns "The Deposit goes back.",
        XCanonical "The stated x is below p.",
        YCanonical "The stated y is below p.",
        XCarry "Carry of the comparison of x with p.",
        YCarry "Carry of the comparison of y with p.",
        NonceInverse "Inverse that proves the nonce usable.",
        Burned "Collateral burned by a BidBurn.",
        CoreHash "core_hash of a bid.",
        Withdraws "The slot makes a withdrawal.",
    }
}

/// Bits of the amount's exponent, low first.
pub(super) const EXPONENT: [Cell; 5] = [
    Cell::Exponent0,
    Cell::Exponent1,
    Cell::Exponent2,
    Cell::Exponent3,
    Cell::Exponent4,
];

/// Bits of the fee's exponent, low first.
pub(super) const FEE_EXPONENT: [Cell; 5] = [
    Cell::FeeExponent0,
    Cell::FeeExponent1,
    Cell::FeeExponent2,
    Cell::FeeExponent3,
    Cell::FeeExponent4,
];

const LOCAL_PER_ROW: usize = WIDTH - EQUALITY;

impl Cell {
    /// Rows of the rules block.
    pub const ROWS: usize = Cell::COPIED.div_ceil(EQUALITY);

    /// Where the cell stands, from the slot's first row.
    #[must_use]
    pub fn pos(self) -> Pos {
        let index = self as usize;
        if index < Cell::COPIED {
            pos((index / EQUALITY) as i32, index % EQUALITY)
        } else {
            let local = index - Cell::COPIED;
            pos(
                (local / LOCAL_PER_ROW) as i32,
                EQUALITY + local % LOCAL_PER_ROW,
            )
        }
    }
}

/// Number of elements of the threaded state.
pub(crate) const STATE: usize = 19;

/// The threaded state before the slot; `Cell::RootAfter as usize + i` is its twin after.
#[must_use]
pub(crate) fn state_before(i: usize) -> Cell {
    Cell::ALL[i]
}

/// The threaded state after the slot.
#[must_use]
pub(crate) fn state_after(i: usize) -> Cell {
    Cell::ALL[STATE + i]
}
