//! No input makes the core panic, and what it writes it reads again.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use celery_core::{
    checked_rate, parse_rate, parse_timestamp, seal, topic_matches, Bucket, Envelope, Glob, Limiter, Message, Number,
    Page, Router, Rule, PAGE_WORDS,
};
use proptest::collection::vec;
use proptest::prelude::*;

const SIMPLE: &str = r#"{"body": "W10=", "content-encoding": "utf-8", "content-type": "application/json", "headers": {"task": "t", "id": "i", "eta": "2030-01-02T03:04:05+00:00", "timelimit": [null, 3.5], "stamps": {"a": [NaN]}}, "properties": {"delivery_info": {"exchange": "", "routing_key": "q"}, "priority": 0, "body_encoding": "base64"}}"#;

/// Ask for everything that an envelope tells.
fn look_at(raw: &[u8]) {
    let Ok(envelope) = Envelope::open(raw, &mut Vec::new()) else {
        return;
    };
    for text in [
        Some(envelope.header.task),
        Some(envelope.header.id),
        envelope.header.argsrepr,
        envelope.reply_to,
    ] {
        let _ = text.map(|text| text.of(raw).into_owned());
    }
    let _ = (
        envelope.headers.of(raw),
        envelope.properties.of(raw),
        envelope.body(raw),
    );
    // Also with bytes that it was not read from.
    let _ = (
        envelope.headers.of(b"short"),
        envelope.header.task.of(b"short"),
        envelope.body(b"short"),
    );
}

proptest! {
    #[test]
    fn any_bytes_are_opened_or_refused(raw: Vec<u8>) {
        look_at(&raw);
    }

    #[test]
    fn a_wounded_envelope_is_opened_or_refused(at in 0..SIMPLE.len(), length in 0..9_usize, with in "[\\[\\]{}:,\"\\\\u0a-]{0,3}") {
        let mut raw = SIMPLE.as_bytes().to_vec();
        raw.splice(at..SIMPLE.len().min(at + length), with.bytes());
        look_at(&raw);
    }

    #[test]
    fn any_text_is_answered_as_a_time_a_rate_and_a_pattern(text: String, name: String) {
        let _ = (parse_timestamp(&text), parse_rate(&text), topic_matches(&text, &name), Glob::new(&text).matches(&name));
        if let Ok(mut router) = Router::new([Rule::Regex(&text), Rule::Glob(&text), Rule::Exact(&text)]) {
            prop_assert_eq!(router.lookup(&text), Some(2));
            let _ = router.lookup(&name);
        }
    }

    #[test]
    fn a_bucket_never_asks_for_a_negative_wait(steps in vec((0..3_u8, any::<f64>(), any::<f64>()), 0..20)) {
        let mut bucket = Bucket::new(1.0, 0.0);
        let mut limiter = Limiter::default();
        for (step, rate, now) in steps {
            let rate = checked_rate(rate).unwrap_or(0.5);
            match step {
                0 => {
                    bucket.set(rate, now);
                    limiter.set("t", rate, now);
                }
                1 => {
                    let _ = (bucket.book(now), limiter.book("t", now));
                }
                _ => {
                    prop_assert!(bucket.take(now) >= 0.0);
                    prop_assert!(limiter.take("t", now) >= 0.0);
                }
            }
        }
    }

    #[test]
    fn what_is_sealed_opens_again(
        task: String, id: String, body: Vec<u8>, args: String, retries: i64, limit in 0.0..1e300_f64, route: (String, String)
    ) {
        let message = Message {
            task: &task,
            id: &id,
            body: &body,
            argsrepr: args.as_str().into(),
            retries,
            hard_limit: Some(Number::Float(limit)),
            stamps: b"{}",
            ..Message::default()
        };

        let raw = seal(&message, &route.0, &route.1).expect("an envelope");
        let envelope = Envelope::open(&raw, &mut Vec::new()).expect("an envelope");

        prop_assert!(raw.is_ascii());
        prop_assert_eq!(&*envelope.header.task.of(&raw), task.as_str());
        prop_assert_eq!(&*envelope.header.id.of(&raw), id.as_str());
        prop_assert_eq!(envelope.body(&raw), body);
        prop_assert_eq!(envelope.header.argsrepr.map(|text| text.of(&raw).into_owned()), Some(args));
        prop_assert_eq!((envelope.header.retries, envelope.header.hard_limit), (retries, Some(limit)));
        prop_assert_eq!(envelope.routing_key.map(|text| text.of(&raw).into_owned()), Some(route.1));
    }

    #[test]
    fn any_headers_are_merged_or_refused(headers: Vec<u8>, stamps in "[{}\\[\\]:,\"a1 ]{0,8}") {
        let message = Message { headers: &headers, stamps: stamps.as_bytes(), ..Message::default() };
        let _ = seal(&message, "", "");
    }

    #[test]
    fn a_scribbled_page_is_survived(scribbles in vec((0..200_usize, any::<u64>()), 0..30)) {
        let words: Vec<AtomicU64> = (0..PAGE_WORDS).map(|_| AtomicU64::new(0)).collect();
        for (at, value) in scribbles {
            words[at].store(value, Relaxed);
        }
        let page = Page::over(&words).expect("a page");
        let _ = (page.drain(), page.running(), page.targeted(), page.target(3), page.start(7, 0.0), page.push(b"outcome"));
        let _ = (page.recall(9), page.allow(12), page.freeze(), page.drain());
        page.reset();
        prop_assert!(page.push(b"outcome"));
        prop_assert_eq!(page.drain(), [b"outcome"]);
    }
}
