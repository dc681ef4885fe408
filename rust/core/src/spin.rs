//! Whether the next wait begins awake: looking again and again for a short while, before the thread sleeps.
//!
//! Putting a core to sleep and waking it costs more than many a reply takes; where replies take longer, looking
//! is a waste. So what came in time is the reason to look again, and what did not come is the reason to rest:
//! for 2, 4, 8 … up to 64 waits, with one look after each rest.

/// The longest rest, in waits.
const LONGEST_REST: u32 = 64;

/// Decides for one peer. A wait is begun with `begin` and, where it was spent awake, ended with `end`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spin {
    /// The last rest, in waits: 0 while what is waited for comes in time.
    rest: u32,
    /// Waits left of the present rest.
    left: u32,
}

impl Spin {
    /// Whether the next wait would be spent awake.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.left == 0
    }

    /// A wait begins; whether it is to be spent awake.
    pub fn begin(&mut self) -> bool {
        let awake = self.is_awake();
        self.left = self.left.saturating_sub(1);
        awake
    }

    /// What a wait that was spent awake has brought.
    pub fn end(&mut self, in_time: bool) {
        self.rest = if in_time {
            0
        } else {
            (self.rest * 2).clamp(2, LONGEST_REST)
        };
        self.left = self.rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rests(outcomes: impl Iterator<Item = bool>) -> Vec<u32> {
        let mut spin = Spin::default();
        outcomes
            .map(|in_time| {
                assert!(spin.begin());
                spin.end(in_time);
                let mut rest = 0;
                while !spin.is_awake() {
                    assert!(!spin.begin());
                    rest += 1;
                }
                rest
            })
            .collect()
    }

    #[test]
    fn what_comes_in_time_is_always_waited_for_awake() {
        assert_eq!(rests([true; 5].into_iter()), [0; 5]);
    }

    #[test]
    fn rests_double_up_to_the_longest_and_end_with_the_first_that_comes() {
        let outcomes = [false, false, false, false, false, false, false, true, false];

        assert_eq!(rests(outcomes.into_iter()), [2, 4, 8, 16, 32, 64, 64, 0, 2]);
    }
}
