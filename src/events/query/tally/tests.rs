//! Histograms: their widths, their sums, and that both ways of counting agree.

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::group::Engine;
use crate::events::model::ErrorType;
use crate::events::store::{Prepared, insert};
use crate::events::{parse, schema};

const NOW: i64 = 1_750_000_000_000;

fn filled(count: i64, spread_ms: i64) -> Connection {
    let connection = schema::connection();
    let mut random = fastrand::Rng::with_seed(9);
    let one = |_| {
        let at = crate::clock::rfc3339_ms(from_epoch_ms(NOW - random.i64(0..spread_ms)));
        let kind = ["api", "socket"][random.usize(..2)];
        let json = serde_json::json!({ "message": "m", "timestamp": at, "type": kind });
        Prepared::new(parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap())
    };
    insert(
        &connection,
        &(0..count).map(one).collect::<Vec<_>>(),
        &mut Engine::default(),
    )
    .unwrap();
    connection
}

#[test]
fn buckets_are_between_24_and_120_and_lie_at_multiples() {
    for span in [
        24_000,
        60_000,
        900_000,
        3_600_000,
        86_400_000,
        7 * 86_400_000,
        30 * 86_400_000,
        400 * 86_400_000,
    ] {
        for end in [NOW, NOW + 1, NOW + 999_999] {
            let histogram = Histogram::over(end - span, end);
            let count = histogram.counts.len() as i64;
            assert!((24..=120).contains(&count), "{span}: {count} of {}", histogram.interval);
            assert_eq!(histogram.start_ms.rem_euclid(histogram.interval_ms), 0);
            assert!(histogram.start_ms <= end - span && histogram.start_ms + count * histogram.interval_ms >= end);
        }
    }
    assert_eq!(Histogram::over(NOW, NOW + 1).counts.len(), 1);
    assert_eq!(
        Histogram::over(-62_135_596_800_000, NOW).counts.len(),
        120,
        "the newest part of two thousand years"
    );
}

#[test]
fn hours_and_places_give_the_same_counts() {
    let connection = filled(500, 200 * HOUR_MS);
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..60 {
        let since = NOW - random.i64(HOUR_MS..210 * HOUR_MS);
        let filter = Filter {
            since_ms: random.bool().then_some(since),
            until_ms: random.bool().then(|| since + random.i64(1..100 * HOUR_MS)),
            types: [ErrorType::Api].into_iter().filter(|_| random.bool()).collect(),
            ..Filter::default()
        };
        let meant = Meant::of(&connection, &filter).unwrap();
        let tallied = tally(&connection, &meant, NOW, true).unwrap();
        let histogram = tallied.histogram.clone().unwrap();
        let mut walked = Histogram {
            counts: vec![0; histogram.counts.len()],
            ..histogram.clone()
        };
        let mut total = 0;
        let is_all = walk(&connection, &meant, NOW, |ms, count| {
            walked.add(ms, count);
            total += count;
        });
        assert!(is_all.unwrap());
        assert_eq!((tallied.total, &histogram), (total, &walked), "{filter:?}");
        assert_eq!(tally(&connection, &meant, NOW, false).unwrap().total, total);
    }
}

#[test]
fn a_count_stops_at_its_limit_and_says_so() {
    let connection = filled(MOST_COMPARED as i64 + 10, 1000);
    let filter = Filter {
        statuses: vec![super::super::GroupStatus::Unresolved],
        ..Filter::default()
    };
    let meant = Meant::of(&connection, &filter).unwrap();
    let tallied = tally(&connection, &meant, NOW, true).unwrap();
    assert_eq!((tallied.total, tallied.is_at_least), (MOST_COMPARED as u64, true));
    assert_eq!(
        tallied.histogram.unwrap().counts.iter().sum::<u64>(),
        MOST_COMPARED as u64
    );
}
