//! The pool page between two threads at full speed: the claim and the ring under real contention.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use celery_core::{Page, PAGE_WORDS};

const JOBS: u64 = 50_000;
const RECALLS: usize = 5_000;

fn words() -> Vec<AtomicU64> {
    (0..PAGE_WORDS).map(|_| AtomicU64::new(0)).collect()
}

/// The child tries every job in turn; the parent recalls a few again and again, each time the child has moved on.
#[test]
fn a_job_is_started_or_recalled_and_never_both() {
    let words = words();
    let page = Page::over(&words).expect("a page");
    page.allow(u64::from(u32::MAX)).expect("a job number");
    let over = AtomicBool::new(false);
    let mut void = BTreeSet::new();

    let (started, tried) = thread::scope(|scope| {
        let child = scope.spawn(|| {
            let mut started = BTreeSet::new();
            let mut job = 0;
            while !over.load(Ordering::Acquire) {
                job += 1;
                if page.start(job, 0.0) {
                    started.insert(job);
                }
            }
            (started, job)
        });
        for step in (1..8).cycle().take(RECALLS) {
            let seen = page.started();
            while page.started() == seen {
                thread::yield_now();
            }
            let sent = page.started() + step;
            let last = page.recall(sent);
            void.extend(last + 1..=sent);
        }
        over.store(true, Ordering::Release);
        child.join().expect("the child")
    });

    assert!(
        started.is_disjoint(&void),
        "started and void: {:?}",
        started.intersection(&void).next()
    );
    assert!((1..=tried).all(|job| started.contains(&job) || void.contains(&job)));
}

/// Who has started a job sees no freeze that came before it, and the freeze names the last one.
#[test]
fn a_freeze_names_the_last_job_that_started() {
    for _ in 0..100 {
        let words = words();
        let page = Page::over(&words).expect("a page");
        page.allow(JOBS).expect("a job number");

        let (frozen_at, last) = thread::scope(|scope| {
            let child = scope.spawn(|| (1..=JOBS).take_while(|&job| page.start(job, 0.0)).last());
            while page.started() == 0 {
                std::hint::spin_loop();
            }
            (page.freeze(), child.join().expect("the child"))
        });

        assert_eq!(Some(frozen_at), last);
    }
}

/// The child finishes each job and starts the next; what the parent sees running began at its own time.
#[test]
fn a_running_job_is_seen_with_its_own_time() {
    let words = words();
    let page = Page::over(&words).expect("a page");
    page.allow(JOBS).expect("a job number");
    let over = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| {
            for job in 1..=JOBS {
                #[allow(clippy::cast_precision_loss)] // small numbers
                let began_at = job as f64;
                assert!(page.start(job, began_at));
                page.finish(job);
            }
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) {
            if let Some((job, began_at)) = page.running() {
                #[allow(clippy::cast_precision_loss)] // small numbers
                let earliest = job as f64;
                assert!((began_at - earliest).abs() < 0.5, "job {job} began at {began_at}");
            }
        }
    });
}

/// Records of changing length pass through a ring that is often full and often empty.
#[test]
fn records_arrive_whole_and_in_order() {
    let words = words();
    let page = Page::over(&words).expect("a page");
    let record = |number: usize| vec![u8::try_from(number % 251).unwrap_or_default(); number * 37 % 5000];

    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..4_000 {
                // Bounded, so that a broken ring fails the test instead of hanging it.
                assert!(
                    (0..100_000_000).any(|_| page.push(&record(number))),
                    "record {number} never fits"
                );
            }
        });
        let mut number = 0;
        while number < 4_000 {
            for outcome in page.drain() {
                assert_eq!(outcome, record(number));
                number += 1;
            }
        }
    });
}
