//! Tests of the account: it balances, whatever happens to whom.

use super::*;

#[test]
fn it_balances_under_any_sequence() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let ledger = Ledger::default();
        ledger.found_in_spool(random.u64(..5));
        let mut open: Vec<Admission> = Vec::new();
        for _ in 0..100 {
            match random.u8(..10) {
                0 | 1 => open.push(ledger.admit(random.u64(..9))),
                2 => ledger.replayed(random.u64(..9), random.u64(..3), random.u64(..3)),
                3 => ledger.lost_from_spool(random.u64(..2)),
                4 if open.len() > 1 => {
                    let other = open.swap_remove(0);
                    open[0].join(other);
                }
                action => {
                    let Some(mut admission) = open.pop() else { continue };
                    match action {
                        5 => admission.stored(random.u64(..9)),
                        6 => admission.spooled(random.u64(..9)),
                        7 => admission.duplicate(random.u64(..9)),
                        8 => admission.counted(random.u64(..9)),
                        _ => admission.dropped(DropReason::ALL[random.usize(..6)], random.u64(..9)),
                    }
                    // Every other one is dropped half settled.
                    if random.bool() {
                        open.push(admission);
                    }
                }
            }
            assert!(ledger.snapshot().balanced(), "seed {seed}: {:?}", ledger.snapshot());
        }
        drop(open);
        assert_eq!(ledger.snapshot().in_flight, 0);
        assert!(ledger.snapshot().balanced());
    }
}

#[test]
fn it_balances_between_threads() {
    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    ledger.admit(3).spooled(2);
                    ledger.replayed(1, 0, 0);
                }
            });
        }
        for _ in 0..2000 {
            assert!(ledger.snapshot().balanced());
        }
    });
    let end = ledger.snapshot();
    assert_eq!(
        (end.accepted, end.stored, end.spooled, end.dropped.total()),
        (24_000, 8_000, 8_000, 8_000)
    );
}

#[test]
fn the_wire_names_every_reason() {
    let ledger = Ledger::default();
    ledger.admit(2).dropped(DropReason::SpoolFull, 2);
    let wire = serde_json::to_value(ledger.snapshot()).unwrap();
    assert_eq!(wire["dropped"]["spoolFull"], 2);
    assert_eq!(wire["dropped"]["rateLimited"], 0);
    assert_eq!(wire["inFlight"], 0);
}
