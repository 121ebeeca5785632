//! How many events there are of each worth, and which of them leave (floor 2, pure).
//!
//! What must stay true: exactly as many are chosen as are wanted, or all there are, and never one while another of less
//! worth stays; the table has a fixed size. Filled by one walk, used by the next.

use super::value::{RANKS, Tier};

/// Events by their worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey(Box<[u64; RANKS]>);

impl Default for Survey {
    fn default() -> Self {
        Self(Box::new([0; RANKS]))
    }
}

/// Which events leave: all of lower ranks, and so many of one rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    rank: u16,
    of_rank: u64,
}

impl Survey {
    /// One event of this rank.
    pub fn add(&mut self, rank: u16) {
        self.0[usize::from(rank).min(RANKS - 1)] += 1;
    }

    /// All of them.
    #[cfg(test)]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The `wanted` events of least worth.
    pub fn choose(&self, wanted: u64) -> Choice {
        let mut left = wanted;
        for (rank, count) in (0..).zip(self.0.iter()) {
            if *count >= left {
                return Choice { rank, of_rank: left };
            }
            left -= count;
        }
        Choice {
            rank: u16::MAX,
            of_rank: 0,
        }
    }

    /// How many of a choice are of each tier.
    pub fn by_tier(&self, choice: Choice) -> [u64; Tier::ALL.len()] {
        let mut tiers = [0; Tier::ALL.len()];
        for (rank, count) in (0_u16..).zip(self.0.iter()) {
            let leaves = match rank.cmp(&choice.rank) {
                std::cmp::Ordering::Less => *count,
                std::cmp::Ordering::Equal => choice.of_rank.min(*count),
                std::cmp::Ordering::Greater => 0,
            };
            tiers[Tier::of(rank) as usize] += leaves;
        }
        tiers
    }
}

impl Choice {
    /// Whether the next event, of this rank, leaves.
    pub fn takes(&mut self, rank: u16) -> bool {
        if rank == self.rank && self.of_rank > 0 {
            self.of_rank -= 1;
            return true;
        }
        rank < self.rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_wanted_are_chosen_and_none_before_one_of_less_worth() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let ranks: Vec<u16> = (0..random.usize(..300)).map(|_| random.u16(..RANKS as u16)).collect();
            let mut survey = Survey::default();
            ranks.iter().for_each(|rank| survey.add(*rank));
            assert_eq!(survey.total(), ranks.len() as u64);
            let wanted = random.u64(..350);
            let choice = survey.choose(wanted);
            let mut taking = choice;
            let (leave, stay): (Vec<u16>, Vec<u16>) = ranks.iter().partition(|rank| taking.takes(**rank));
            assert_eq!(leave.len() as u64, wanted.min(ranks.len() as u64));
            assert!(leave.iter().max() <= stay.iter().min() || stay.is_empty());
            assert_eq!(survey.by_tier(choice).iter().sum::<u64>(), leave.len() as u64);
        }
    }
}
