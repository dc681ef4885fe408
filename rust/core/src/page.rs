//! One child's page of shared memory: which job runs, how far it may go, and a ring of outcomes.
//!
//! Two processes use a page at once, each through atomics: the *parent*, which hands out jobs with
//! rising numbers, and the *child*, which runs them one after the other. Either may stop for ever
//! between any two instructions (the child by SIGKILL) and the other still reads a consistent page.
//!
//! # The claim
//!
//! One word, `floor`, decides whether a job starts: every number up to it is settled, started or
//! void. The child starts job *k* by a compare-and-set from what it read to *k*; the parent recalls
//! by a compare-and-set from what it read to the last number it sent. Whoever comes second sees
//! that the word has changed, and looks again. As `floor` only ever rises, a word that is equal is
//! unchanged: no value comes back to deceive a compare-and-set that was delayed. Freezing is a
//! recall of all numbers, present and future.
//!
//! The parent alone recalls, so it alone needs to know which of the two moved `floor`: if it lies
//! above the last mark of its own (`voided`), the child did, and `floor` is the last job that
//! started; else the last one is what the parent found when it set the mark (`kept`).
//!
//! # The ring
//!
//! One producer (the child), one consumer (the parent), whole words; `head` and `tail` count words
//! since the reset and never wrap in practice. A record is its length in bytes and then its bytes.
//! `head` is published last, so that what a killed child was writing is not there.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::error::Error;

/// The highest job number; the number after it marks a frozen page.
pub(crate) const LAST_JOB: u64 = FROZEN - 1;
const FROZEN: u64 = 1 << 63;

const WORD: usize = size_of::<u64>();
/// Words that are written together lie on one cache line, the child's and the parent's apart.
const LINE: usize = 8;
const RING_AT: usize = 4 * LINE;
const RING: usize = (128 << 10) / WORD;

/// How many 64-bit words a page takes.
pub const PAGE_WORDS: usize = RING_AT + RING;

/// A page over words that two processes share.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    floor: &'a AtomicU64,
    began_at: &'a AtomicU64,
    current: &'a AtomicU64,
    finished: &'a AtomicU64,
    head: &'a AtomicU64,
    limit: &'a AtomicU64,
    voided: &'a AtomicU64,
    kept: &'a AtomicU64,
    target: &'a AtomicU64,
    tail: &'a AtomicU64,
    ring: &'a [AtomicU64],
}

impl<'a> Page<'a> {
    /// The page in the first [`PAGE_WORDS`] of `words`; None when they are fewer. All zero is a fresh page.
    #[must_use]
    pub fn over(words: &'a [AtomicU64]) -> Option<Self> {
        let (lines, ring) = words.get(..PAGE_WORDS)?.split_at_checked(RING_AT)?;
        let mut lines = lines.chunks_exact(LINE);
        let (claim, child, order, parent) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        Some(Self {
            floor: claim.first()?,
            began_at: claim.get(1)?,
            current: child.first()?,
            finished: child.get(1)?,
            head: child.get(2)?,
            limit: order.first()?,
            target: order.get(1)?,
            voided: parent.first()?,
            kept: parent.get(1)?,
            tail: parent.get(2)?,
            ring,
        })
    }

    /// Parent, while no child uses the page: forget everything.
    pub fn reset(&self) {
        for word in [
            self.began_at,
            self.current,
            self.finished,
            self.head,
            self.limit,
            self.voided,
            self.kept,
            self.target,
            self.tail,
            self.floor,
        ] {
            word.store(0, Release);
        }
    }

    /// Child: start `job`, unless it was recalled, lies beyond the limit or is not a later one.
    #[must_use]
    pub fn start(&self, job: u64, now: f64) -> bool {
        // Before the claim, so that who sees the claim sees the time; released, so that who sees the time of a later
        // job also sees that the one before has finished.
        self.began_at.store(now.to_bits(), Release);
        let mut floor = self.floor.load(Acquire);
        loop {
            if job <= floor || job > self.limit.load(Acquire) || job > LAST_JOB {
                return false;
            }
            match self.floor.compare_exchange_weak(floor, job, AcqRel, Acquire) {
                Ok(_) => {
                    self.current.store(job, Relaxed);
                    return true;
                }
                Err(changed) => floor = changed,
            }
        }
    }

    /// Child: `job` no longer runs.
    pub fn finish(&self, job: u64) {
        self.finished.store(job, Release);
    }

    /// Child: whether the signal that just came means the job that runs now.
    #[must_use]
    pub fn targeted(&self) -> bool {
        let current = self.current.load(Relaxed);
        current > self.finished.load(Relaxed) && self.target.load(Acquire) == current
    }

    /// Parent: jobs up to `limit` may start; a limit is only ever raised.
    ///
    /// # Errors
    /// When there is no such job number.
    pub fn allow(&self, limit: u64) -> Result<(), Error> {
        if limit > LAST_JOB {
            return Err(Error::JobNumber { got: limit });
        }
        self.limit.fetch_max(limit, Release);
        Ok(())
    }

    /// Parent: void every job up to `sent` that has not started; returns the last one that has.
    #[allow(clippy::must_use_candidate)] // a recall is worth its effect alone
    pub fn recall(&self, sent: u64) -> u64 {
        let sent = sent.min(FROZEN);
        let mut floor = self.floor.load(Acquire);
        loop {
            let started = self.started_below(floor);
            if sent <= floor {
                return started;
            }
            match self.floor.compare_exchange_weak(floor, sent, AcqRel, Acquire) {
                Ok(_) => {
                    self.kept.store(started, Relaxed);
                    self.voided.store(sent, Relaxed);
                    return started;
                }
                Err(changed) => floor = changed,
            }
        }
    }

    /// Parent: let nothing start until the reset; returns the last job that started.
    #[allow(clippy::must_use_candidate)] // as above
    pub fn freeze(&self) -> u64 {
        self.recall(FROZEN)
    }

    /// Parent: name the job that the next signal means; false when it does not run now.
    #[must_use]
    pub fn target(&self, job: u64) -> bool {
        self.target.store(job, Release);
        self.running().is_some_and(|(running, _)| running == job)
    }

    /// Parent: the job that runs now, and when it began by the child's clock.
    #[must_use]
    pub fn running(&self) -> Option<(u64, f64)> {
        let started = self.started();
        let began_at = f64::from_bits(self.began_at.load(Acquire));
        (started > self.finished.load(Acquire)).then_some((started, began_at))
    }

    /// Parent: the last job that started; 0 when none has.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started_below(self.floor.load(Acquire))
    }

    fn started_below(&self, floor: u64) -> u64 {
        if floor > self.voided.load(Relaxed) {
            floor
        } else {
            self.kept.load(Relaxed)
        }
    }

    /// Child: append an outcome to the ring; false when it does not fit now.
    #[must_use]
    pub fn push(&self, outcome: &[u8]) -> bool {
        let head = self.head.load(Relaxed);
        let used = head.wrapping_sub(self.tail.load(Acquire));
        let chunks = outcome.chunks(WORD);
        let needed = 1 + chunks.len() as u64;
        if used > RING as u64 || needed > RING as u64 - used {
            return false;
        }
        let words = chunks.map(|chunk| {
            let mut word = [0; WORD];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(word)
        });
        for (slot, word) in self.slots(head).zip(std::iter::once(outcome.len() as u64).chain(words)) {
            slot.store(word, Relaxed);
        }
        self.head.store(head.wrapping_add(needed), Release);
        true
    }

    /// Parent: take every outcome out of the ring, oldest first.
    ///
    /// The child's memory may be scribbled on by what runs in it: nonsense ends the reading and
    /// empties the ring.
    #[must_use]
    pub fn drain(&self) -> Vec<Vec<u8>> {
        let head = self.head.load(Acquire);
        let mut tail = self.tail.load(Relaxed);
        let mut outcomes = Vec::new();
        if head.wrapping_sub(tail) <= RING as u64 {
            while let Some((outcome, taken)) = self.record(tail, head.wrapping_sub(tail)) {
                outcomes.push(outcome);
                tail = tail.wrapping_add(taken);
            }
        }
        self.tail.store(head, Release);
        outcomes
    }

    /// The record at `tail` and the words it takes, when the `filled` words there hold a whole one.
    fn record(&self, tail: u64, filled: u64) -> Option<(Vec<u8>, u64)> {
        let mut slots = self.slots(tail).take(usize::try_from(filled).ok()?);
        let length = usize::try_from(slots.next()?.load(Relaxed)).ok()?;
        let words = length.div_ceil(WORD);
        if words as u64 > filled - 1 {
            return None;
        }
        let mut outcome = Vec::with_capacity(words * WORD);
        for slot in slots.take(words) {
            outcome.extend_from_slice(&slot.load(Relaxed).to_le_bytes());
        }
        outcome.truncate(length);
        Some((outcome, 1 + words as u64))
    }

    /// The ring's words from a place on, once round.
    fn slots(&self, place: u64) -> impl Iterator<Item = &'a AtomicU64> {
        let ring = self.ring;
        // A power of two, so that counting on across 2^64 stays in step.
        #[allow(clippy::cast_possible_truncation)]
        let at = place as usize % RING;
        let (before, from) = ring.split_at(at.min(ring.len()));
        from.iter().chain(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<AtomicU64> {
        (0..PAGE_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn with_page(test: impl FnOnce(Page<'_>)) {
        let words = words();
        test(Page::over(&words).expect("enough words"));
    }

    #[test]
    fn jobs_start_in_order_up_to_the_limit() {
        with_page(|page| {
            page.allow(2).expect("a job number");
            assert!(page.start(1, 10.0));
            assert!(!page.start(1, 10.0));
            assert_eq!(page.running(), Some((1, 10.0)));
            page.finish(1);
            assert_eq!(page.running(), None);
            assert!(page.start(2, 11.0));
            assert!(!page.start(3, 12.0));
            assert_eq!(page.started(), 2);
        });
    }

    #[test]
    fn a_recall_voids_what_was_sent_and_not_what_comes_later() {
        with_page(|page| {
            page.allow(100).expect("a job number");
            assert!(page.start(1, 0.0));
            assert_eq!(page.recall(5), 1);
            assert_eq!(page.recall(5), 1);
            assert_eq!(page.recall(3), 1);
            assert!(!page.start(5, 0.0));
            assert_eq!(page.started(), 1);
            assert!(page.start(6, 0.0));
            assert_eq!(page.started(), 6);
        });
    }

    #[test]
    fn a_frozen_page_starts_nothing_until_its_reset() {
        with_page(|page| {
            page.allow(9).expect("a job number");
            assert!(page.start(4, 7.0));
            assert_eq!(page.freeze(), 4);
            page.allow(LAST_JOB).expect("a job number");
            assert!(!page.start(5, 8.0));
            assert!(!page.start(u64::MAX, 8.0));
            assert_eq!(page.recall(u64::MAX), 4);
            page.reset();
            page.allow(1).expect("a job number");
            assert!(page.start(1, 0.0));
        });
    }

    #[test]
    fn a_signal_means_its_target_only_while_that_runs() {
        with_page(|page| {
            page.allow(2).expect("a job number");
            assert!(!page.target(1));
            assert!(!page.targeted());
            assert!(page.start(1, 0.0));
            assert!(page.targeted());
            page.finish(1);
            assert!(!page.targeted());
            assert!(page.start(2, 0.0));
            assert!(!page.targeted());
            assert!(page.target(2));
            assert!(page.targeted());
        });
    }

    #[test]
    fn outcomes_come_out_whole_and_in_order_across_the_end_of_the_ring() {
        with_page(|page| {
            for round in 0..200_u32 {
                let outcomes: Vec<Vec<u8>> = (0..9)
                    .map(|n| vec![n; (round * 37 + u32::from(n) * 11) as usize % 3000])
                    .collect();
                assert!(outcomes.iter().all(|outcome| page.push(outcome)));
                assert_eq!(page.drain(), outcomes);
            }
        });
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        with_page(|page| {
            let largest = vec![1; (RING - 1) * WORD];
            assert!(!page.push(&vec![1; largest.len() + 1]));
            assert!(page.push(&largest));
            assert!(!page.push(b""));
            assert_eq!(page.drain(), [largest]);
            assert!(page.push(b""));
            assert_eq!(page.drain(), [b""]);
        });
    }

    #[test]
    fn scribbled_words_end_the_reading() {
        let words = words();
        let page = Page::over(&words).expect("enough words");
        assert!(page.push(b"first") && page.push(b"second"));
        words[RING_AT + 2].store(u64::MAX, Relaxed);
        assert_eq!(page.drain(), [b"first"]);
        page.head.store(3, Relaxed);
        assert!(page.drain().is_empty());
        page.head.store(u64::MAX, Relaxed);
        assert!(page.drain().is_empty());
        assert!(page.push(b"again"));
        assert_eq!(page.drain(), [b"again"]);
    }
}
