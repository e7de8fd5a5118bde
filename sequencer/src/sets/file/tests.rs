//! What a validator set file says, and what is refused.

use protocol::state::State;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{genesis, seat_key};

fn address(number: u8) -> String {
    seat_key(number).address().to_string()
}

fn parse(change: impl FnOnce(&mut Value)) -> Result<Arc<dyn SetSource>, SetFileError> {
    let seat = |number, stake| json!({"address": address(number), "stake": stake});
    let mut file = json!({
        "genesis": genesis().hash().to_string(),
        "stakes": [
            {"from_epoch": 2, "validators": [seat(1, 10), seat(2, 20)]},
            {"from_epoch": 5, "validators": [seat(3, 30)]},
        ],
    });
    change(&mut file);
    parse_sets(&file.to_string(), &genesis())
}

fn registry(seats: &[(u8, u64)]) -> Registry {
    let mut registry = Registry::default();
    for (number, stake) in seats {
        let stake = Stake {
            stake: *stake,
            applied_at: 0,
        };
        registry.put(seat_key(*number).address(), stake);
    }
    registry
}

#[test]
fn an_entry_holds_until_the_next_one_and_before_the_first_nothing_changes() {
    let sets = parse(|_| {}).unwrap();
    let state = State::default();
    for (epoch, seats) in [
        (1, &[][..]),
        (2, &[(1, 10), (2, 20)]),
        (4, &[(1, 10), (2, 20)]),
        (5, &[(3, 30)]),
        (u64::MAX, &[(3, 30)]),
    ] {
        let epoch = Epoch(epoch);
        assert_eq!(sets.registry(epoch, &state), registry(seats), "{epoch}");
        assert_eq!(sets.fixed(epoch), Some(registry(seats)), "{epoch}");
    }
    assert!(sets.names(&seat_key(1).address()) && sets.names(&seat_key(3).address()));
    assert!(!sets.names(&seat_key(4).address()));
}

#[test]
fn a_file_of_another_chain_or_with_a_slip_is_refused() {
    type Change = fn(&mut Value);
    let slips: [(&str, Change); 10] = [
        ("genesis", |file| {
            file["genesis"] = json!(format!("0x{}", "0".repeat(64)))
        }),
        ("epoch 0", |file| file["stakes"][0]["from_epoch"] = json!(0)),
        ("order", |file| file["stakes"][1]["from_epoch"] = json!(2)),
        ("nobody", |file| file["stakes"][0]["validators"] = json!([])),
        ("zero", |file| {
            file["stakes"][0]["validators"][0]["stake"] = json!(0)
        }),
        ("twice", |file| {
            file["stakes"][0]["validators"][1]["address"] = json!(address(1));
        }),
        ("no address", |file| {
            file["stakes"][0]["validators"][0]["address"] = json!("0x12");
        }),
        ("no kind", |file| file["stakes"] = Value::Null),
        ("two kinds", |file| {
            file["leaves"] = json!({"token": 0, "unit": "1", "validators": []});
        }),
        ("unknown key", |file| file["surprise"] = json!(1)),
    ];
    for (what, slip) in slips {
        assert!(parse(slip).is_err(), "{what}");
    }
    assert!(parse_sets("", &genesis()).is_err());
}

#[test]
fn leaves_are_named_once_and_weigh_by_a_unit() {
    let leaves = |change: fn(&mut Value)| {
        parse(|file| {
            file["stakes"] = Value::Null;
            let one = |number, leaf| json!({"address": address(number), "leaf": leaf});
            file["leaves"] =
                json!({"token": 0, "unit": "10", "validators": [one(1, 1), one(2, 2)]});
            change(&mut file["leaves"]);
        })
    };
    let sets = leaves(|_| {}).unwrap();
    assert_eq!(sets.fixed(Epoch(1)), None, "it depends on the state");
    assert!(sets.names(&seat_key(2).address()) && !sets.names(&seat_key(3).address()));
    assert!(leaves(|leaves| leaves["unit"] = json!("0")).is_err());
    assert!(leaves(|leaves| leaves["validators"][1]["leaf"] = json!(1)).is_err());
    assert!(leaves(|leaves| leaves["validators"][1]["address"] = json!(address(1))).is_err());
}
