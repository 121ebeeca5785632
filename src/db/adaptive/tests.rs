//! The limit against simple models of a disk.

use super::*;

/// A disk that serves `wide` at once without slowing down; past that, each step takes its share longer.
fn step(in_use: u32, wide: u32, alone: Duration) -> Duration {
    alone.mul_f64((f64::from(in_use) / f64::from(wide)).max(1.0))
}

/// Windows with all places used.
fn crowd(adaptive: &mut Adaptive, windows: usize, wide: u32, alone: Duration, noise: &mut fastrand::Rng) -> Vec<u32> {
    let mut seen = Vec::new();
    for _ in 0..windows {
        for _ in 0..WINDOW {
            let in_use = adaptive.limit();
            let took = step(in_use, wide, alone).mul_f64(0.9 + 0.2 * noise.f64());
            adaptive.ended(took, in_use);
        }
        seen.push(adaptive.limit());
    }
    seen
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn it_finds_what_the_disk_can_serve() {
    for seed in 0..20 {
        let mut noise = fastrand::Rng::with_seed(seed);
        let mut adaptive = Adaptive::new(8, 5, 50);
        let seen = crowd(&mut adaptive, 400, 20, 5 * MS, &mut noise);
        let settled = &seen[200..];
        let (least, most) = (settled.iter().min().expect("some"), settled.iter().max().expect("some"));
        assert!(
            *least >= 15 && *most <= 36,
            "seed {seed}: {least} to {most} where 20 are served"
        );
    }
}

#[test]
fn it_stays_within_its_bounds_whatever_happens() {
    for seed in 0..200 {
        let mut any = fastrand::Rng::with_seed(seed);
        let mut adaptive = Adaptive::new(any.u32(..100), any.u32(..20), any.u32(..60));
        let mut now = Instant::now();
        for _ in 0..2000 {
            now += Duration::from_millis(any.u64(..10));
            match any.u32(..20) {
                0 => adaptive.timed_out(now - Duration::from_millis(any.u64(..100)), now),
                1 => adaptive.set_limit(any.u32(..)),
                2 => adaptive.set_bounds(any.u32(..30), any.u32(..60)),
                _ => adaptive.ended(Duration::from_nanos(any.u64(..1_000_000_000)), any.u32(..100)),
            }
            let (min, max) = adaptive.bounds();
            assert!((min..=max).contains(&adaptive.limit()) && min > 0, "seed {seed}");
        }
    }
}

#[test]
fn a_light_load_moves_nothing() {
    let mut noise = fastrand::Rng::with_seed(1);
    let mut adaptive = Adaptive::new(20, 5, 50);
    for _ in 0..200 * WINDOW {
        adaptive.ended(MS.mul_f64(0.8 + 0.4 * noise.f64()), 2);
    }
    assert_eq!((adaptive.limit(), adaptive.moved()), (20, Moved::Start));
}

#[test]
fn overload_that_lasts_never_drifts_up() {
    // Whatever the limit, somebody else makes the disk slower and slower.
    let mut adaptive = Adaptive::new(40, 5, 50);
    let mut noise = fastrand::Rng::with_seed(1);
    crowd(&mut adaptive, 1, 1000, MS, &mut noise);
    let mut before = adaptive.limit();
    for round in 1..30 {
        crowd(&mut adaptive, 1, 1000, MS.mul_f64(1.6_f64.powi(round)), &mut noise);
        assert!(adaptive.limit() <= before, "round {round}");
        before = adaptive.limit();
    }
    assert!(before <= 6, "{before}");
}

#[test]
fn constant_timeouts_only_ever_lower_it() {
    let mut adaptive = Adaptive::new(40, 5, 50);
    let mut now = Instant::now();
    for _ in 0..100 {
        let (began, before) = (now, adaptive.limit());
        now += Duration::from_secs(10);
        // All of one generation run out of time together: one answer.
        (0..before).for_each(|_| adaptive.timed_out(began, now));
        assert!(adaptive.limit() <= before && f64::from(adaptive.limit()) >= f64::from(before) * 0.87 - 1.0);
    }
    assert_eq!((adaptive.limit(), adaptive.moved()), (5, Moved::TimedOut));
}

#[test]
fn work_that_became_longer_for_good_is_learned_at_the_floor() {
    let mut noise = fastrand::Rng::with_seed(1);
    let mut adaptive = Adaptive::new(8, 2, 50);
    crowd(&mut adaptive, 50, 1000, MS, &mut noise);
    let seen = crowd(&mut adaptive, 400, 1000, 20 * MS, &mut noise);
    assert!(seen.contains(&2), "first it takes them for crowding");
    assert!(adaptive.limit() > 10, "then it knows better: {}", adaptive.limit());
}

#[test]
fn held_by_hand_it_stays() {
    let mut noise = fastrand::Rng::with_seed(1);
    let mut adaptive = Adaptive::new(8, 5, 50);
    adaptive.enable(false);
    adaptive.set_limit(30);
    crowd(&mut adaptive, 100, 10, MS, &mut noise);
    adaptive.timed_out(Instant::now(), Instant::now());
    assert_eq!(adaptive.limit(), 30);
}

#[test]
fn a_shortage_of_memory_halves_the_limit_once() {
    let mut adaptive = Adaptive::new(40, 5, 50);
    let now = Instant::now();
    (0..10).for_each(|_| adaptive.out_of_memory(now));
    assert_eq!((adaptive.limit(), adaptive.moved()), (20, Moved::OutOfMemory));
    (1..10).for_each(|seconds| adaptive.out_of_memory(now + Duration::from_secs(seconds)));
    assert_eq!(adaptive.limit(), 5, "never below its floor");
}
