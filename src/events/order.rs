//! The order of lists as one number (floor 2, pure): an event's place holds its time and its number within its millisecond.
//!
//! What must stay true: places of later times are larger, so a span of time is a span of places; a place is given once.
//! The store gives places, the queries and the text index read them.

/// Low bits of a place: the number within the millisecond.
const NUMBER_BITS: u32 = 20;
/// Milliseconds that a place can hold: from the year 1691 to 2248. Times outside lie at the ends. A little above the
/// least number, because the schema's second step subtracts row numbers from it.
const EARLIEST_MS: i64 = (i64::MIN >> NUMBER_BITS) + 4096;
const LATEST_MS: i64 = (i64::MAX >> NUMBER_BITS) - 1;

/// The first place of a millisecond since the epoch.
pub const fn first_place(ms: i64) -> i64 {
    let held = if ms < EARLIEST_MS {
        EARLIEST_MS
    } else if ms > LATEST_MS {
        LATEST_MS
    } else {
        ms
    };
    held << NUMBER_BITS
}

/// The millisecond of a place.
pub const fn ms_of(place: i64) -> i64 {
    place >> NUMBER_BITS
}

/// The first place after a place's millisecond.
pub const fn end_of_ms(place: i64) -> i64 {
    (ms_of(place) + 1) << NUMBER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_time() {
        let times = [i64::MIN, EARLIEST_MS, -1, 0, 1, 1_750_000_000_000, LATEST_MS, i64::MAX];
        assert!(times.windows(2).all(|w| first_place(w[0]) <= first_place(w[1])));
        for ms in [-1, 0, 1_750_000_000_000] {
            assert_eq!(ms_of(first_place(ms)), ms);
            assert_eq!(ms_of(first_place(ms + 1) - 1), ms, "the last place of a millisecond");
            assert_eq!(end_of_ms(first_place(ms) + 7), first_place(ms + 1));
        }
        assert!(end_of_ms(first_place(i64::MAX)) > first_place(i64::MAX));
    }
}
