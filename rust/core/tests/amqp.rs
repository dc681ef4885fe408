//! AMQP: what is written is read again, whole or not at all; no bytes make it panic.
#![allow(clippy::expect_used)] // in helpers of tests, which clippy takes for other code

use std::borrow::Cow;

use celery_core::amqp::{
    changed, content_frames, content_of, envelope_of, publish_frames, Changes, Delivered, FrameReader, Item,
    Properties, Target, Value,
};
use celery_core::{seal, Envelope, Message};
use proptest::collection::vec;
use proptest::prelude::*;

const TARGET: Target<'_> = Target {
    channel: 7,
    frame_max: 4096,
    exchange: "ex",
    routing_key: "key",
    mandatory: true,
};

type Members = Vec<(Cow<'static, [u8]>, Value<'static>)>;

fn bytes(text: &str) -> Cow<'static, [u8]> {
    Cow::Owned(text.as_bytes().to_vec())
}

/// Every value that JSON has a form of its own for.
fn value_of_json() -> BoxedStrategy<Value<'static>> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-9_i64..9).prop_map(Value::Int),
        any::<f64>()
            .prop_filter("equal to itself", |number| number.is_finite())
            .prop_map(Value::Float),
        any::<String>().prop_map(|text| Value::Text(bytes(&text))),
    ];
    nested(scalar.boxed())
}

/// Every value that a table has.
fn value() -> BoxedStrategy<Value<'static>> {
    let scalar = prop_oneof![
        value_of_json(),
        (any::<u8>(), any::<i32>()).prop_map(|(scale, digits)| Value::Decimal(scale, digits)),
        any::<u64>().prop_map(Value::Time),
        vec(any::<u8>(), 0..9).prop_map(|raw| Value::Text(Cow::Owned(raw))),
        Just(Value::Bytes(b"\xff\0bytes")),
    ];
    nested(scalar.boxed())
}

fn nested(scalar: BoxedStrategy<Value<'static>>) -> BoxedStrategy<Value<'static>> {
    scalar
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::List),
                members(inner, 0..4).prop_map(Value::Table),
            ]
        })
        .boxed()
}

/// Members whose names differ.
fn members(value: BoxedStrategy<Value<'static>>, size: std::ops::Range<usize>) -> impl Strategy<Value = Members> {
    vec(value, size).prop_map(|values| {
        let numbered = values.into_iter().enumerate();
        numbered.map(|(at, value)| (bytes(&format!("ñ{at}")), value)).collect()
    })
}

fn properties(value: BoxedStrategy<Value<'static>>) -> impl Strategy<Value = Properties<'static>> {
    let text = || proptest::option::of("[a-zé]{0,12}".prop_map(|text| bytes(&text)));
    let first = (
        text(),
        text(),
        members(value, 0..6).prop_map(Some),
        any::<Option<u8>>(),
        any::<Option<u8>>(),
        text(),
        text(),
    );
    let rest = (text(), text(), any::<Option<u32>>(), text(), text(), text());
    (first, rest).prop_map(|(first, rest)| Properties {
        content_type: first.0,
        content_encoding: first.1,
        headers: first.2,
        delivery_mode: first.3,
        priority: first.4,
        correlation_id: first.5,
        reply_to: first.6,
        expiration: rest.0,
        message_id: rest.1,
        timestamp: rest.2.map(u64::from),
        kind: rest.3,
        user_id: None,
        app_id: rest.4,
        cluster_id: rest.5,
    })
}

fn written(properties: &Properties<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    properties.write(&mut out).expect("short enough");
    out
}

fn with_header(name: &str, value: Value<'static>) -> Vec<u8> {
    written(&Properties {
        headers: Some(vec![(bytes(name), value)]),
        ..Properties::default()
    })
}

fn delivered<'a>(properties: &'a [u8], body: &'a [u8]) -> Delivered<'a> {
    Delivered {
        exchange: "ex",
        routing_key: "key",
        redelivered: false,
        properties,
        body,
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    [&[kind, 0, 7][..], &length.to_be_bytes(), payload, &[0xCE]].concat()
}

/// The method in front of a message from the broker: delivery 9 of consumer `me`, redelivered.
fn deliver() -> Vec<u8> {
    frame(1, b"\0\x3c\0\x3c\x02me\0\0\0\0\0\0\0\x09\x01\x02ex\x03key")
}

/// What a broker sends when what was published is delivered.
fn sent_on(published: &[u8]) -> Vec<u8> {
    let method = frame(1, b"\0\x3c\0\x28\0\0\x02ex\x03key\x01");
    let content = published.strip_prefix(&*method).expect("a publish in front");
    [deliver(), content.to_vec()].concat()
}

/// A table within a table, and so on.
fn tables(levels: usize) -> Value<'static> {
    (1..levels).fold(Value::Table(vec![(bytes("end"), Value::Int(1))]), |inner, _| {
        Value::Table(vec![(bytes("in"), inner)])
    })
}

proptest! {
    #[test]
    fn properties_that_are_written_are_read(properties in properties(value())) {
        let packed = written(&properties);
        prop_assert_eq!(Properties::read(&packed), Ok(properties));
    }

    #[test]
    fn properties_that_end_anywhere_too_early_are_refused(properties in properties(value())) {
        let whole = written(&properties);
        for end in 0..whole.len() {
            prop_assert!(Properties::read(&whole[..end]).is_err());
        }
    }

    #[test]
    fn an_envelope_says_all_that_json_can(properties in properties(value_of_json()), body: Vec<u8>) {
        let packed = written(&properties);

        let (raw, wrong) = envelope_of(&delivered(&packed, &body)).expect("memory");

        prop_assert_eq!(wrong, None);
        prop_assert_eq!(content_of(&raw), Ok((packed, body)));
    }

    #[test]
    fn whatever_a_table_holds_there_is_an_envelope_of_it(properties in properties(value()), body: Vec<u8>) {
        let (raw, wrong) = envelope_of(&delivered(&written(&properties), &body)).expect("memory");

        prop_assert_eq!(wrong, None);
        prop_assert_eq!(content_of(&raw).map(|(_, body)| body), Ok(body));
    }

    #[test]
    fn a_message_comes_together_wherever_it_is_cut(body in vec(any::<u8>(), 0..9000), cuts in vec(0..10_000_usize, 0..6)) {
        let packed = with_header("a", Value::Int(1));
        let sent = sent_on(&content_frames(&TARGET, &packed, &body).expect("short names"));
        let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(sent.len())).chain([0, sent.len()]).collect();
        places.sort_unstable();
        let mut reader = FrameReader::new(9000);

        let mut items = Vec::new();
        for pair in places.windows(2) {
            items.extend(reader.feed(&sent[pair[0]..pair[1]]).expect("AMQP"));
        }

        let [Item::Deliver { channel: 7, delivery_tag: 9, redelivered: true, content, .. }] = &items[..] else {
            panic!("expected one delivery, got {items:?}");
        };
        prop_assert_eq!((&content.properties, &content.body), (&packed, &body));
        prop_assert_eq!((&*content.exchange, &*content.routing_key), ("ex", "key"));
    }

    #[test]
    fn what_is_published_says_what_is_sealed(task: String, retries in 0..9_i64, priority in 0..9_i64, body: Vec<u8>) {
        let message = Message {
            task: &task,
            id: "id",
            body: &body,
            retries,
            priority,
            stamps: b"{}",
            headers: b"{\"mine\": [1, {\"a\": null}]}",
            content_type: "application/json",
            content_encoding: "utf-8",
            delivery_mode: 2,
            ..Message::default()
        };

        let sent = sent_on(&publish_frames(&message, &TARGET).expect("a short message"));

        let items = FrameReader::new(9000).feed(&sent).expect("AMQP");
        let [Item::Deliver { content, .. }] = &items[..] else {
            panic!("expected one delivery, got {items:?}");
        };
        let sealed = seal(&message, "ex", "key").expect("an envelope");
        prop_assert_eq!(content_of(&sealed), Ok((content.properties.clone(), content.body.clone())));
    }

    #[test]
    fn any_bytes_are_read_or_refused(raw: Vec<u8>) {
        let _ = (Properties::read(&raw), changed(&raw, Changes::default()), content_of(&raw));
        let (envelope, wrong) = envelope_of(&delivered(&raw, &raw)).expect("memory");
        let _ = Envelope::open(&envelope, &mut Vec::new());
        prop_assert_eq!(wrong.is_some(), Properties::read(&raw).is_err());
    }

    #[test]
    fn any_table_is_read_or_refused(inside in vec(prop_oneof![
        any::<u8>(), 0..3_u8, proptest::sample::select(&b"tbBsuIilLfdDSATFVx"[..])
    ], 0..60)) {
        let length = u32::try_from(inside.len()).expect("a short table");
        let raw = [&b"\x20\0"[..], &length.to_be_bytes(), &inside].concat();

        if let Ok(properties) = Properties::read(&raw) {
            let _ = envelope_of(&delivered(&raw, b"")).expect("memory");
            // Read again, numbers are the same in fewer or more bytes.
            let again = written(&properties);
            let same = written(&Properties::read(&again).expect("what was written"));
            prop_assert_eq!(again, same);
        }
    }

    #[test]
    fn any_frames_are_read_or_refused(frames in vec((prop_oneof![1..=3_u8, Just(8_u8), any::<u8>()], vec(any::<u8>(), 0..40)), 0..6)) {
        let mut reader = FrameReader::new(100);
        let _ = reader.feed(&deliver());
        for (kind, payload) in frames {
            if reader.feed(&frame(kind, &payload)).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_header_keeps_its_place_when_it_is_set() {
    let packed = written(&Properties {
        headers: Some(vec![
            (bytes("a"), Value::Int(1)),
            (bytes("b"), Value::Int(2)),
            (bytes("c"), Value::Null),
        ]),
        delivery_mode: Some(1),
        ..Properties::default()
    });
    let changes = Changes {
        headers: vec![(b"a", Value::Bool(true)), (b"new", Value::Int(1 << 40))],
        without: vec![b"b"],
        delivery_mode: Some(Some(2)),
        ..Changes::default()
    };

    let out = changed(&packed, changes).expect("properties");

    let read = Properties::read(&out).expect("properties");
    let headers = vec![
        (bytes("a"), Value::Bool(true)),
        (bytes("c"), Value::Null),
        (bytes("new"), Value::Int(1 << 40)),
    ];
    assert_eq!((read.headers, read.delivery_mode), (Some(headers), Some(2)));
}

#[test]
fn what_is_read_nested_has_an_envelope_that_goes_back() {
    let packed = with_header("task", tables(100));

    let (raw, wrong) = envelope_of(&delivered(&packed, b"")).expect("memory");

    assert_eq!(wrong, None);
    assert_eq!(content_of(&raw), Ok((packed, Vec::new())));
}

#[test]
fn nesting_ends_at_the_same_level_in_every_form() {
    let deeper = with_header("task", tables(101));
    let headers = format!("{{\"a\": {}{}}}", "[".repeat(101), "]".repeat(101));
    let envelope = format!("{{\"body\": \"\", \"headers\": {headers}}}");
    let message = Message {
        stamps: b"{}",
        headers: headers.as_bytes(),
        ..Message::default()
    };

    assert!(Properties::read(&deeper).is_err());
    assert!(content_of(envelope.as_bytes()).is_err());
    assert!(publish_frames(&message, &TARGET).is_err());
    // One level less, that level counts.
    let headers = headers.replacen('[', "", 1).replacen(']', "", 1);
    let message = Message {
        headers: headers.as_bytes(),
        ..message
    };
    assert!(publish_frames(&message, &TARGET).is_ok());
}

#[test]
fn of_many_names_each_is_there_once() {
    let count = 20_000;
    let member = |at: usize| format!("\"n{}\": {at}", at % (count / 2));
    let headers: Vec<String> = (0..count).map(member).collect();
    let envelope = format!("{{\"body\": \"\", \"headers\": {{{}}}}}", headers.join(", "));

    let (packed, _) = content_of(envelope.as_bytes()).expect("an envelope");

    let found = Properties::read(&packed).expect("properties").headers.expect("headers");
    assert_eq!(found.len(), count / 2);
    for (at, (name, value)) in found.iter().enumerate() {
        let last = i64::try_from(at + count / 2).expect("a small number");
        assert_eq!((&**name, value), (format!("n{at}").as_bytes(), &Value::Int(last)));
    }
}

#[test]
fn a_length_is_not_believed_before_its_bytes_are_there() {
    let table = b"\x20\0\xff\xff\xff\xff\x01aS\xff\xff\xff\xff";
    let header = frame(2, &[&b"\0\x3c\0\0"[..], &101_u64.to_be_bytes(), b"\0\0"].concat());
    let mut reader = FrameReader::new(100);

    assert!(Properties::read(table).is_err());
    assert_eq!(reader.feed(b"\x01\0\x07\0\xff\xff\xff").expect("a beginning"), []);
    assert!(FrameReader::new(100).feed(b"\x01\0\x07\xff\xff\xff\xff").is_err());
    assert!(FrameReader::new(100).feed(&[deliver(), header].concat()).is_err());
}
