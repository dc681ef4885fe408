//! One token bucket: capacity 1, starts full; `now` is a parameter.
//!
//! Kept as the time at which the next token is free, not as a count of tokens: a caller that waits
//! exactly as long as it was told then finds its token, where a count would round to 0.999….

/// Lets one call through per token.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bucket {
    rate: f64,
    /// While there is a limit: when the next token is free.
    due: f64,
    /// While there is none: tokens that were owed when it was lifted.
    owed: f64,
    /// The latest time seen; time does not go back here.
    seen: f64,
}

impl Bucket {
    /// A full bucket that fills at `rate` tokens per second; 0.0 means no limit.
    #[must_use]
    pub fn new(rate: f64, now: f64) -> Self {
        let mut bucket = Self {
            seen: f64::MIN,
            ..Self::default()
        };
        let now = bucket.look(now);
        Self {
            rate,
            due: now,
            ..bucket
        }
    }

    /// Tokens per second; 0.0 means no limit.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Change the rate. What was taken or booked stays owed, counted in tokens; nothing is granted.
    pub fn set(&mut self, rate: f64, now: f64) {
        let now = self.look(now);
        if self.rate > 0.0 {
            self.owed = (self.due - now).max(0.0) * self.rate;
        }
        self.rate = rate;
        self.due = now + self.seconds(self.owed);
    }

    /// Take a token: 0.0 when taken, else the seconds until there is one (nothing taken).
    pub fn take(&mut self, now: f64) -> f64 {
        let now = self.look(now);
        if self.rate > 0.0 && self.due > now {
            return self.due - now;
        }
        self.due = now + self.seconds(1.0);
        0.0
    }

    /// Take the next free token, if need be a future one; returns when it is due.
    pub fn book(&mut self, now: f64) -> f64 {
        if self.rate == 0.0 {
            return now;
        }
        let due = self.due.max(self.look(now));
        self.due = due + self.seconds(1.0);
        due
    }

    /// Whether nothing is owed, so that a new bucket would do the same.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rate == 0.0 && self.owed == 0.0
    }

    fn look(&mut self, now: f64) -> f64 {
        if now.is_finite() {
            self.seen = self.seen.max(now);
        }
        self.seen
    }

    /// How long it takes to fill `tokens`.
    fn seconds(&self, tokens: f64) -> f64 {
        if self.rate > 0.0 {
            (tokens / self.rate).min(FOREVER)
        } else {
            0.0
        }
    }
}

/// Longer than any wait, and small enough for sums to stay finite.
const FOREVER: f64 = 1e15;

#[cfg(test)]
#[allow(clippy::float_cmp)] // these times are exact
mod tests {
    use super::*;

    #[test]
    fn starts_full_and_holds_one_token() {
        let mut bucket = Bucket::new(2.0, 100.0);
        assert_eq!(bucket.take(100.0), 0.0);
        assert_eq!(bucket.take(100.0), 0.5);
        assert_eq!(bucket.take(200.0), 0.0);
        assert_eq!(bucket.take(200.0), 0.5);
    }

    #[test]
    fn waiting_as_told_is_enough() {
        let mut bucket = Bucket::new(1.0 / 3.0, 1e6 + 0.1);
        let mut now = 1e6 + 0.1;
        for _ in 0..1000 {
            assert_eq!(bucket.take(now), 0.0);
            now += bucket.take(now);
            now += bucket.clone().take(now); // the sum above may round down by one step
        }
    }

    #[test]
    fn bookings_queue_up() {
        let mut bucket = Bucket::new(10.0, 0.0);
        let due: Vec<f64> = (0..3).map(|_| bucket.book(0.0)).collect();
        assert_eq!(due, [0.0, 0.1, 0.2]);
        assert!(bucket.take(0.2) > 0.0);
    }

    #[test]
    fn a_changed_rate_forgives_no_debt() {
        let mut bucket = Bucket::new(10.0, 0.0);
        for _ in 0..6 {
            bucket.book(0.0);
        }
        bucket.set(1.0, 0.0);
        assert!((bucket.take(0.0) - 6.0).abs() < 1e-9);
        bucket.set(0.0, 0.0);
        assert_eq!(bucket.take(0.0), 0.0);
        bucket.set(2.0, 1.0);
        assert!((bucket.take(1.0) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn time_that_goes_back_or_is_no_time_is_ignored() {
        let mut bucket = Bucket::new(1.0, 50.0);
        assert_eq!(bucket.take(50.0), 0.0);
        assert_eq!(bucket.take(0.0), 1.0);
        assert_eq!(bucket.take(f64::NAN), 1.0);
        assert_eq!(bucket.take(f64::INFINITY), 1.0);
        assert_eq!(bucket.take(51.0), 0.0);
    }
}
