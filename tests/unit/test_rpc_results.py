"""What is particular to results that are sent to who called: the message, the reading, and what is kept."""

import base64
import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Any

import pytest

from celery_rs import errors
from celery_rs._core import open_envelopes
from celery_rs.backends import open_backend
from celery_rs.backends.rpc import RpcBackend
from celery_rs.backends.rpc.inbox import Inbox
from celery_rs.backends.rpc.kept import TOLD_MOST, Kept
from celery_rs.errors import BackendError, BackendGetMetaError, NotSupported, OperationalError
from celery_rs.serializers import Serializer, serializer
from celery_rs.transports import Delivery, Outgoing, Subscription
from celery_rs.transports.memory import MemoryTransport
from celery_rs.wire import RESULTS, Exchange, Queue, ResultCodec, TaskResult, encode_meta, result_queue
from celery_rs.worker.addressing import addressed
from tests.apps import envelope_of, make_app, run
from tests.deadlines import DEADLINE_S

_numbers = count()


def record(task_id: str, state: str = "SUCCESS", to: str = "me", attempt: int = 0, value: object = None) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, value, now=0.0), to)


class Wire:
    """A broker of its own, and what is sent over it to the queue `me`."""

    def __init__(self) -> None:
        self.transport = MemoryTransport(f"rpc-{next(_numbers)}")
        self.heard = self.transport.subscribe(RESULTS, "me")

    def store(self, **options: Any) -> RpcBackend:
        return RpcBackend(lambda: self.transport, lambda: "me", **options)

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for raw in self.heard.receive(0)]

    def put(self, envelope: bytes) -> None:
        self.transport.announce(RESULTS, "me", [envelope])


@pytest.fixture
def wire() -> Wire:
    return Wire()


# The message


def test_a_result_is_sent_as_celery_sends_it(wire: Wire) -> None:
    wire.store().store([record("a250", value=5)])

    (envelope,) = wire.sent()
    assert list(envelope) == ["body", "content-encoding", "content-type", "headers", "properties"]
    assert (envelope["content-type"], envelope["content-encoding"]) == ("application/json", "utf-8")
    assert envelope["headers"] == {}
    assert len(envelope["properties"].pop("delivery_tag")) == 36
    assert envelope["properties"] == {
        "correlation_id": "a250",
        "delivery_mode": 1,
        "delivery_info": {"exchange": "", "routing_key": "me"},
        "priority": 0,
        "body_encoding": "base64",
    }
    assert base64.b64decode(envelope["body"]) == record("a250", value=5).meta


def test_a_persistent_result_says_so() -> None:
    app = make_app(result_backend="rpc://", result_persistent=True)
    heard = app.transport.subscribe(RESULTS, "me")

    app.backend.store([record("a")])

    assert [json.loads(raw)["properties"]["delivery_mode"] for raw in heard.receive(0)] == [2]


def test_a_result_is_not_compressed_on_its_way(wire: Wire) -> None:
    packed = encode_meta("a", "SUCCESS", 5, now=0.0, codec=ResultCodec(compression="gzip"))

    wire.store().store([TaskResult("a", "SUCCESS", 0, packed, "me")])

    assert json.loads(base64.b64decode(wire.sent()[0]["body"]))["result"] == 5


@pytest.mark.parametrize("name", ["pickle", "yaml", "msgpack"])
def test_a_result_in_another_content_type_is_read(wire: Wire, name: str) -> None:
    theirs: Serializer = serializer(name)
    meta = encode_meta("a", "SUCCESS", 5, now=0.0, codec=ResultCodec(theirs))
    reads = wire.store(accept={"application/json", theirs.content_type})
    reads.expect()

    wire.store(serializer=theirs).store([TaskResult("a", "SUCCESS", 0, meta, "me")])

    (found,) = reads.watch(["a"], DEADLINE_S)
    assert json.loads(found.meta)["result"] == 5
    reads.close()


def test_a_content_type_that_is_not_accepted_is_told_to_who_waits() -> None:
    app = make_app(result_backend="rpc://")
    app.publisher.send("t", (), {}, {"task_id": "a"})
    pickle = serializer("pickle")
    meta = encode_meta("a", "SUCCESS", 5, now=0.0, codec=ResultCodec(pickle))
    writes = RpcBackend(lambda: app.transport, lambda: "", serializer=pickle)

    writes.store([TaskResult("a", "SUCCESS", 0, meta, app.oid)])

    with pytest.raises(BackendGetMetaError, match="cannot be read"):
        app.AsyncResult("a").get(timeout=DEADLINE_S)
    app.close()


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b'{"body": "e30=", "content-type": "application/json"}'])
def test_a_message_that_is_no_result_is_passed_over(wire: Wire, junk: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = wire.store()
    store.expect()

    wire.put(junk)
    store.store([record("a")])

    assert [found.task_id for found in store.watch(["a"], DEADLINE_S)] == ["a"]
    assert "a message in the queue of results is none" in caplog.text
    store.close()


# Who calls, and who is told


def test_a_call_names_the_queue_that_is_there_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(result_backend="rpc://")
    asked: list[tuple[Exchange, str, Queue]] = []
    calls: list[Outgoing] = []
    subscribe, publish = app.transport.subscribe, app.transport.publish

    def noted_subscribe(*said: Any) -> Subscription:
        assert not calls
        asked.append(said)
        return subscribe(*said)

    def noted_publish(batch: Sequence[Outgoing], **how: Any) -> None:
        calls.extend(batch)
        publish(batch, **how)

    monkeypatch.setattr(app.transport, "subscribe", noted_subscribe)
    monkeypatch.setattr(app.transport, "publish", noted_publish)

    app.send_task("t")
    app.send_task("t")

    ((exchange, key, queue),) = asked
    assert (exchange, key, queue.name) == (RESULTS, app.oid, app.oid)
    assert (queue.durable, queue.auto_delete, queue.arguments) == (True, True, {"x-expires": 86_400_000})
    assert [outgoing.message.reply_to for outgoing in calls] == [app.oid, app.oid]
    app.close()


def test_a_queue_lives_no_longer_than_a_rabbitmq_can_tell() -> None:
    assert result_queue("q", 10_000_000.0).arguments == {"x-expires": 4_294_967_000}
    assert result_queue("q", 0.0001).arguments == {"x-expires": 1}
    assert result_queue("q", None).arguments == {}


def test_a_call_whose_result_is_ignored_needs_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(result_backend="rpc://")
    monkeypatch.setattr(app.transport, "subscribe", None)

    app.send_task("t", ignore_result=True)


def test_no_queue_is_made_where_results_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    monkeypatch.setattr(app.transport, "subscribe", None)

    app.send_task("t")


def test_a_call_without_a_queue_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(result_backend="rpc://", task_publish_retry=False)
    sent: list[object] = []
    monkeypatch.setattr(app.transport, "subscribe", _fails)
    monkeypatch.setattr(app.transport, "publish", lambda batch, **how: sent.append(batch))

    with pytest.raises(OperationalError, match="gone"):
        app.send_task("t")

    assert sent == []


def test_a_retry_and_a_callback_answer_to_who_called() -> None:
    app = make_app(result_backend="rpc://")

    @app.task(name="t", bind=True, max_retries=1)
    def t(self: Any) -> int:
        if not self.request.retries:
            raise self.retry(countdown=0)
        return 1

    first = run(app, app.compose("t", (), {}, reply_to="caller", link=t.s()))
    second = run(app, first.followups[0])

    assert [outgoing.message.reply_to for outgoing in (*first.followups, *second.followups)] == ["caller", "caller"]


def test_a_record_gets_the_address_of_its_message() -> None:
    app = make_app()
    envelope = envelope_of(app.compose("t", (), {}, reply_to="caller"))

    assert addressed(record("a", to=""), envelope) == record("a", to="caller")
    assert addressed(None, envelope) is None


def test_a_message_that_cannot_be_read_may_tell_the_address(bad_delivery: Delivery) -> None:
    assert addressed(record("a", to=""), bad_delivery.envelope) == record("a", to="caller")


@pytest.fixture
def bad_delivery() -> Delivery:
    raw = json.dumps({"headers": {"id": "a"}, "properties": {"reply_to": "caller"}, "body": 5}).encode()
    return Delivery("tag", "q", open_envelopes([raw])[0])


def test_who_has_called_nothing_is_warned_that_nothing_will_come(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(result_backend="rpc://")

    with pytest.raises(errors.TimeoutError):
        app.AsyncResult("of another process").get(timeout=0.01)

    assert "rpc:// brings results only to the process that calls" in caplog.text
    app.close()


def test_who_has_called_nothing_has_no_results_and_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(result_backend="rpc://")
    monkeypatch.setattr(app.transport, "subscribe", None)

    assert app.AsyncResult("of another process").state == "PENDING"


def test_a_forked_child_has_a_queue_of_its_own() -> None:
    app = make_app(result_backend="rpc://")
    app.send_task("t")
    app.backend.store([record("a", to=app.oid)])
    assert list(app.backend.watch(["a"], DEADLINE_S))
    reading, writing = os.pipe()

    child = os.fork()
    if not child:
        os.write(writing, json.dumps([app.oid, list(app.backend.fetch(["a"]))]).encode())
        os._exit(0)

    os.waitpid(child, 0)
    oid, results = json.loads(os.read(reading, 1000))
    assert oid != app.oid
    assert results == []
    app.close()


def test_there_are_no_chords(wire: Wire) -> None:
    with pytest.raises(NotSupported, match="a chord over rpc://"):
        wire.store().open_chord("group", 2)
    with pytest.raises(NotImplementedError):
        wire.store().claim_chords([record("a")], 1.0)  # type: ignore[list-item]  # any part will do
    assert wire.store().claim_chords([], 1.0) == []


@pytest.mark.parametrize("url", ["rpc", "rpc://", "RPC://"])
def test_it_is_chosen_by_its_scheme(wire: Wire, url: str) -> None:
    store = open_backend(url, {}, expires=60, transport=lambda: wire.transport, oid=lambda: "me")

    assert isinstance(store, RpcBackend)


# Reading


class Scripted:
    """A subscription: what `say` says is received; an error is raised, until it is taken back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._said: list[bytes] = []
        self._woken = False
        self.error: OperationalError | None = None
        self.readers: list[str] = []
        self.closed = False
        self.lost = False

    def say(self, *envelopes: bytes) -> None:
        with self._changed:
            self._said += envelopes
            self._changed.notify_all()

    def fail(self, error: OperationalError | None) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def receive(self, timeout: float) -> Sequence[bytes]:
        self.readers.append(threading.current_thread().name)
        with self._changed:
            self._changed.wait_for(lambda: self._said or self._woken or self.error, timeout)
            self._woken = False
            if self.error is not None:
                raise self.error
            self.lost = False
            said, self._said = self._said, []
            return said

    def is_lost(self) -> bool:
        return self.lost

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        self.closed = True


def _fails(*said: object) -> Any:
    raise OperationalError("the broker is gone")


def inbox(
    subscription: Scripted, *, kept: Callable[[], Kept] = lambda: Kept(None), pauses: Sequence[float] = (0.0,)
) -> Inbox:
    """One whose envelopes are ids of tasks that have succeeded."""
    return Inbox(lambda: subscription, lambda raw: record(raw.decode()), kept, pauses=pauses)


def heard(box: Inbox, *ids: str, deadline: float | None = None) -> list[str]:
    wait = box.join(ids)
    try:
        return [found.task_id for found in box.hear(wait, deadline)]
    finally:
        box.leave(wait)


def settled(holds: Callable[[], object]) -> None:
    """Wait for another thread."""
    waiting = threading.Event()
    for _ in range(int(DEADLINE_S / 0.005)):
        if holds():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come to hold in time")


def test_while_nobody_waits_results_are_read_all_the_same() -> None:
    subscription = Scripted()
    box = inbox(subscription)
    box.expect()

    subscription.say(b"a")
    settled(lambda: set(subscription.readers) == {"celery-rs-replies"} and not subscription._said)

    settled(lambda: [found.task_id for found in box.look(["a"])] == ["a"])
    box.close()


def test_who_waits_reads_for_itself() -> None:
    subscription = Scripted()
    box = inbox(subscription)
    box.expect()
    settled(lambda: "celery-rs-replies" in subscription.readers)

    def answer() -> None:
        settled(lambda: "MainThread" in subscription.readers)
        subscription.say(b"a")

    threading.Thread(target=answer).start()
    assert heard(box, "a") == ["a"]
    box.close()


def test_a_broken_connection_is_made_again_in_mid_wait() -> None:
    subscription = Scripted()
    box = inbox(subscription, pauses=[0.01] * 1000)
    box.expect()
    subscription.fail(OperationalError("gone"))
    subscription.say(b"a")
    threading.Timer(0.05, subscription.fail, [None]).start()

    assert heard(box, "a") == ["a"]
    box.close()


def test_a_connection_that_stays_broken_ends_the_waiting() -> None:
    subscription = Scripted()
    box = inbox(subscription, pauses=[0.0, 0.0])
    box.expect()
    subscription.fail(OperationalError("gone for good"))

    with pytest.raises(OperationalError, match="gone for good"):
        heard(box, "a")

    subscription.fail(None)
    box.close()


def test_a_call_waits_for_a_queue_that_is_being_made_again() -> None:
    subscription = Scripted()
    box = inbox(subscription, pauses=[0.01] * 1000)
    box.expect()
    subscription.fail(OperationalError("gone"))
    settled(lambda: not box._is_there.is_set())
    threading.Timer(0.05, subscription.fail, [None]).start()

    box.expect()

    assert box._is_there.is_set()
    box.close()


def test_a_call_waits_where_nobody_has_noticed_yet_that_the_connection_is_gone() -> None:
    subscription = Scripted()
    box = inbox(subscription)
    box.expect()
    settled(lambda: subscription.readers)
    subscription.lost = True

    box.expect()

    assert not subscription.lost, "it has been made again"
    box.close()


def test_closing_ends_the_reading_and_every_wait() -> None:
    subscription = Scripted()
    box = inbox(subscription)
    box.expect()
    ended: list[str] = []

    def wait() -> None:
        try:
            heard(box, "a")
        except OperationalError as error:
            ended.append(str(error))

    thread = threading.Thread(target=wait, name="waits")
    thread.start()
    settled(lambda: "waits" in subscription.readers)
    box.close()
    thread.join(DEADLINE_S)

    assert subscription.closed
    assert ended == ["the connection that results come by has been closed; wait anew"]


def test_a_store_says_that_it_is_about_results(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    store = wire.store()
    monkeypatch.setattr(wire.transport, "announce", lambda *said, **how: _fails())

    with pytest.raises(BackendError, match="results over the broker: the broker is gone"):
        store.store([record("a")])


def test_what_has_been_told_is_told_again_among_many_others() -> None:
    subscription = Scripted()
    box = inbox(subscription)
    box.expect()
    ids = [f"{number}" for number in range(2 * TOLD_MOST)]
    subscription.say(*(task_id.encode() for task_id in ids))
    settled(lambda: box.look(ids[:1]))

    assert sorted(heard(box, *ids)) == sorted(ids)
    box.close()


# What is kept


def ids(kept: Kept, among: Collection[str]) -> list[str]:
    return [task_id for task_id in among if kept.get(task_id) is not None]


def test_of_what_nobody_asks_for_the_oldest_go_first() -> None:
    kept = Kept(None, untold_most=2)

    for task_id in "abc":
        kept.put(record(task_id), 0.0)

    assert ids(kept, "abc") == ["b", "c"]
    assert kept.dropped == 1


def test_large_results_count_by_their_size() -> None:
    kept = Kept(None, untold_bytes=1000)

    for task_id in "abc":
        kept.put(record(task_id, value="x" * 400), 0.0)

    assert ids(kept, "abc") == ["c"]


def test_what_has_been_told_goes_sooner() -> None:
    kept = Kept(None)

    for number in range(TOLD_MOST + 1):
        kept.put(record(f"{number}"), 0.0)
        kept.tell(f"{number}", 0.0)

    assert len(kept) == TOLD_MOST
    assert kept.get("0") is None
    assert kept.dropped == 0


def test_what_is_kept_expires() -> None:
    kept = Kept(60.0)
    kept.put(record("a"), 0.0)
    kept.put(record("b"), 50.0)
    kept.tell("b", 50.0)

    kept.expire(70.0)
    assert ids(kept, "ab") == ["b"]

    kept.expire(120.0)
    assert len(kept) == 0


def test_a_process_that_never_asks_is_told_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    subscription = Scripted()
    box = inbox(subscription, kept=lambda: Kept(None, untold_most=2))
    box.expect()

    subscription.say(b"a", b"b", b"c", b"d")
    settled(lambda: "ignore_result=True" in caplog.text)

    assert caplog.text.count("ignore_result=True") == 1
    box.close()
