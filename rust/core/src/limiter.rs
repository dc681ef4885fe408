//! Token buckets by task name.

use std::collections::HashMap;

use crate::bucket::Bucket;

/// Which task may start when. A task without a rate is not limited.
#[derive(Debug, Clone, Default)]
pub struct Limiter {
    buckets: HashMap<String, Bucket>,
}

impl Limiter {
    /// Limit a task to `rate` tokens per second, or no longer (0.0).
    pub fn set(&mut self, task: &str, rate: f64, now: f64) {
        match self.buckets.get_mut(task) {
            Some(bucket) => {
                bucket.set(rate, now);
                if bucket.is_idle() {
                    self.buckets.remove(task);
                }
            }
            None if rate > 0.0 => {
                self.buckets.insert(task.to_owned(), Bucket::new(rate, now));
            }
            None => {}
        }
    }

    /// Tokens per second; 0.0 means no limit.
    #[must_use]
    pub fn rate(&self, task: &str) -> f64 {
        self.buckets.get(task).map_or(0.0, Bucket::rate)
    }

    /// Take a token: 0.0 when taken, else the seconds until there is one (nothing taken).
    pub fn take(&mut self, task: &str, now: f64) -> f64 {
        self.buckets.get_mut(task).map_or(0.0, |bucket| bucket.take(now))
    }

    /// Take the next free token, if need be a future one; returns when it is due.
    pub fn book(&mut self, task: &str, now: f64) -> f64 {
        self.buckets.get_mut(task).map_or(now, |bucket| bucket.book(now))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // these times are exact
mod tests {
    use super::*;

    #[test]
    fn tasks_do_not_share_tokens() {
        let mut limiter = Limiter::default();
        limiter.set("a", 1.0, 0.0);
        limiter.set("b", 1.0, 0.0);
        assert_eq!((limiter.take("a", 0.0), limiter.take("b", 0.0)), (0.0, 0.0));
        assert_eq!(limiter.take("a", 0.0), 1.0);
    }

    #[test]
    fn unknown_tasks_are_not_limited() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.rate("a"), 0.0);
        assert_eq!(limiter.take("a", 5.0), 0.0);
        assert_eq!(limiter.book("a", 5.0), 5.0);
    }

    #[test]
    fn a_lifted_limit_leaves_nothing_behind_but_debt() {
        let mut limiter = Limiter::default();
        limiter.set("a", 1.0, 0.0);
        limiter.take("a", 0.0);
        limiter.set("a", 0.0, 0.0);
        assert_eq!(limiter.take("a", 0.0), 0.0);
        assert_eq!(limiter.buckets.len(), 1);
        limiter.set("a", 1.0, 0.0);
        assert_eq!(limiter.take("a", 0.0), 1.0);
        limiter.set("a", 0.0, 10.0);
        assert!(limiter.buckets.is_empty());
    }
}
