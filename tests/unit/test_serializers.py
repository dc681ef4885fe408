"""Serializers other than JSON: the same bytes as Celery's, accepted by name only."""

import datetime
import os
import pickle
import pickletools
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from celery_rs import Celery, errors
from celery_rs.execution import tell_failure
from celery_rs.serializers import compress, content_types, decompress, reader, register, serializer, unregister
from tests.apps import envelope_of, make_app, run, work_of
from tests.serialized import envelope

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NAMES = ("pickle", "yaml", "msgpack")
PICKLE = "application/x-python-serialize"
METHODS = ("brotli", "bzip2", "gzip", "lzma", "zstd")


def echoing(**settings: Any) -> Celery:
    app = make_app(**settings)

    @app.task(name="wr_app.echo")
    def echo(*args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs]

    return app


def stable(raw: bytes) -> list[Any]:
    """A pickle's meaning without where it keeps what it may need again."""
    return [(op.name, arg) for op, arg, _ in pickletools.genops(raw) if op.name not in ("MEMOIZE", "FRAME")]


@pytest.mark.parametrize("name", NAMES)
def test_a_body_of_celerys_is_run(name: str) -> None:
    app = echoing(accept_content=[name])
    sent = envelope(f"task-{name}")

    body = decoded(app, sent)

    assert list(body[0]) == [1, "a", [1, 2]]
    assert body[1:] == ({"k": None}, EMBED) or body[1:] == [{"k": None}, EMBED]


def decoded(app: Celery, sent: Any) -> Any:
    return reader(sent.content_type, content_types(app.conf.accept_content), sent.content_encoding).loads(sent.body)


@pytest.mark.parametrize("name", NAMES)
def test_a_body_is_what_celery_sends(name: str) -> None:
    sent = envelope_of(echoing().compose("wr_app.echo", (1, "a", [1, 2]), {"k": None}, serializer=name))
    celerys = envelope(f"task-{name}")

    assert (sent.content_type, sent.content_encoding) == (celerys.content_type, celerys.content_encoding)
    assert sent.body == celerys.body or stable(sent.body) == stable(celerys.body)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_runs_where_its_content_is_accepted_and_is_refused_elsewhere(name: str) -> None:
    outgoing = echoing().compose("wr_app.echo", (1,), {"a": "é"}, serializer=name)

    assert run(echoing(accept_content=[name]), outgoing).end == "success"
    refused = run(echoing(), outgoing)
    assert refused.end == "reject"
    assert "is refused, accept_content allows application/json" in refused.text


def test_a_worker_reads_what_the_setting_accepts_and_nothing_else() -> None:
    as_json = echoing().compose("wr_app.echo", (), {})

    assert run(echoing(accept_content=["application/json"]), as_json).end == "success"
    assert run(echoing(accept_content=["yaml"]), as_json).end == "reject"
    assert run(echoing(accept_content=[]), as_json).end == "reject"


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_a_pickle_that_is_not_accepted_is_not_even_opened(tmp_path: Any) -> None:
    trap = tmp_path / "sprung"
    body = pickle.dumps(((Trap(str(trap)),), {}, EMBED))

    outcome = run(echoing(), echoing().compose("wr_app.echo", (), {}), content_type=PICKLE, body=body)

    assert outcome.end == "reject"
    assert not trap.exists()


def test_the_setting_serializes_and_a_task_or_a_call_may_say_otherwise() -> None:
    app = make_app(task_serializer="yaml")

    @app.task(serializer="msgpack")
    def own() -> None: ...

    @app.task
    def plain() -> None: ...

    assert app.compose(plain.name, (), {}).message.content_type == "application/x-yaml"
    assert app.compose(own.name, (), {}).message.content_type == "application/x-msgpack"
    assert app.compose(own.name, (), {}, serializer="pickle").message.content_type == PICKLE


@pytest.mark.parametrize(("name", "value"), [("yaml", 1j), ("msgpack", 1j), ("bson", 1j), ("pickle", lambda: 1)])
def test_what_cannot_be_written_is_named(name: str, value: object) -> None:
    with pytest.raises(errors.EncodeError, match=r"^args cannot be "):
        echoing().compose("wr_app.echo", (value,), {}, serializer=name)


@pytest.mark.parametrize(
    ("name", "raw"), [("yaml", b"[1,"), ("msgpack", b"\xc1"), ("bson", b"x"), ("pickle", b"\x80\x04"), ("pickle", b"")]
)
def test_what_cannot_be_read_is_one_error(name: str, raw: bytes) -> None:
    with pytest.raises(errors.ContentError) as caught:
        serializer(name).loads(raw)

    assert "\n" not in str(caught.value)


def test_yaml_builds_plain_data_only(tmp_path: Any) -> None:
    trap = tmp_path / "sprung"

    with pytest.raises(errors.ContentError):
        serializer("yaml").loads(f"!!python/object/apply:os.mkdir ['{trap}']".encode())
    assert not trap.exists()
    assert serializer("yaml").loads(b"2026-01-02") == datetime.date(2026, 1, 2)


@pytest.mark.parametrize(("name", "extra"), [("yaml", "yaml"), ("msgpack", "msgpack"), ("bson", "mongodb")])
def test_a_serializer_without_its_library_says_what_to_install(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    complaint = rf"^serializer '{name}' needs the module '{name}'; pip install 'celery-rs\[{extra}\]'$"

    with pytest.raises(errors.ImproperlyConfigured, match=complaint):
        serializer(name).dumps(1)
    with pytest.raises(errors.ContentError, match=complaint):
        serializer(name).loads(b"1")


def test_content_without_a_type_is_data_and_never_refused() -> None:
    nothing = content_types(())

    assert reader("", nothing, "binary").loads(b"\xff") == b"\xff"
    assert reader("application/data", nothing, "utf-8").loads(b"a") == "a"
    assert reader("application/text", nothing, "latin-1").loads(b"\xe9") == "é"
    with pytest.raises(errors.ContentError, match="is not text in 'utf-8'"):
        reader("application/text", nothing).loads(b"\xff")
    with pytest.raises(errors.ContentDisallowed, match="'text/plain' is refused"):
        reader("text/plain", nothing)
    assert reader("text/plain", content_types(("text/plain",))).loads(b"a") == "a"


def test_data_that_is_no_call_is_rejected() -> None:
    outcome = run(echoing(), echoing().compose("wr_app.echo", (), {}), content_type="application/data")

    assert outcome.end == "reject"
    assert "expected a body [args, kwargs, options]" in outcome.text


@pytest.fixture
def shouting() -> Iterator[str]:
    register("shout", lambda value: repr(value).upper(), lambda raw: ((), {}, None), "application/x-shout")
    yield "shout"
    unregister("shout")


def test_a_registered_serializer_is_like_any_other(shouting: str) -> None:
    app = echoing(task_serializer=shouting, accept_content=[shouting])

    outgoing = app.compose("wr_app.echo", ("a",), {})

    assert outgoing.message.body.startswith(b"(('A',), {}, {'CALLBACKS': NONE")
    assert (outgoing.message.content_type, outgoing.message.content_encoding) == ("application/x-shout", "utf-8")
    assert run(app, outgoing).end == "success"
    assert run(echoing(), outgoing).end == "reject"


def test_a_serializer_may_only_read_or_only_write(shouting: str) -> None:
    register(shouting, None, None, "application/x-shout")

    with pytest.raises(errors.EncodeError, match="'shout' was registered without an encoder: it only reads"):
        serializer(shouting).dumps(1)
    assert serializer(shouting).loads(b"a") == "a"


def test_a_serializer_that_fails_is_one_error(shouting: str) -> None:
    register(shouting, lambda value: 1 / 0, lambda raw: 1 / 0, "application/x-shout")  # type: ignore[arg-type,return-value]  # it fails first

    with pytest.raises(errors.EncodeError, match=r"^value cannot be written by serializer 'shout': division by zero"):
        serializer(shouting).dumps(1)
    with pytest.raises(errors.ContentError, match=r"^serializer 'shout' cannot read the content: division by zero"):
        serializer(shouting).loads(b"a")
    register(shouting, lambda value: value, None, "application/x-shout")
    with pytest.raises(errors.EncodeError, match="must return text or bytes, it returned a int"):
        serializer(shouting).dumps(1)


def test_what_is_unregistered_is_unknown(shouting: str) -> None:
    unregister(shouting)

    with pytest.raises(errors.ImproperlyConfigured, match="unknown serializer 'shout', expected one of 'json', "):
        serializer(shouting)
    with pytest.raises(errors.ImproperlyConfigured, match="unknown serializer 'shout'"):
        unregister(shouting)
    with pytest.raises(errors.ContentDisallowed, match="unknown serializer 'application/x-shout'"):
        reader("application/x-shout", {"application/x-shout"})
    register(shouting, repr, None, "application/x-shout")


def test_signatures_are_pickled_as_plain_dicts() -> None:
    app = echoing(accept_content=["pickle"])
    linked = app.tasks["wr_app.echo"].s(1)

    outgoing = app.compose("wr_app.echo", (linked,), {}, serializer="pickle", link=linked)
    (args, _, embed) = pickle.loads(outgoing.message.body)

    assert b"celery_rs" not in outgoing.message.body
    assert type(args[0]) is dict
    assert args[0]["task"] == embed["callbacks"][0]["task"] == "wr_app.echo"


def test_classes_of_celerys_are_read_as_ours() -> None:
    def names(module: str, name: str, *args: Any) -> bytes:
        """The pickle of a call of something that is not installed here."""
        written = b"\x80\x04" + pickle.dumps(module, 4)[2:-1] + pickle.dumps(name, 4)[2:-1] + b"\x93"
        return written + pickle.dumps(args, 4)[2:-1] + b"R."

    loads = serializer("pickle").loads

    assert isinstance(loads(names("celery.exceptions", "NotRegistered", "t")), errors.NotRegistered)
    assert isinstance(loads(names("billiard.exceptions", "WorkerLostError", "t")), errors.WorkerLostError)
    assert loads(names("celery.canvas", "signature", {"task": "t"})) == {"task": "t"}
    with pytest.raises(errors.ContentError, match="the pickle cannot be read: ModuleNotFoundError"):
        loads(names("no_such_module", "f"))


@pytest.mark.parametrize("method", METHODS)
def test_a_compressed_body_of_celerys_is_read_and_ours_is_alike(method: str) -> None:
    app = make_app()

    @app.task(name="wr_app.add")
    def add(x: int, y: int) -> int:
        return x + y

    theirs = envelope(f"task-compressed-{method}")
    ours = app.compose("wr_app.add", (1, 2), {}, compression=method)

    assert theirs.compression is not None
    plain = decompress(theirs.body, theirs.compression)
    assert ours.message.compression == theirs.compression
    assert decompress(ours.message.body, theirs.compression) == plain
    assert decompress(compress(plain, theirs.compression), method) == plain
    assert run(app, app.compose("wr_app.add", (), {}, compression=method), body=theirs.body).end == "success"


def test_the_work_of_a_message_says_how_it_is_encoded() -> None:
    outgoing = echoing().compose("wr_app.echo", (1,), {}, serializer="msgpack")

    assert work_of(outgoing).content_encoding == "binary"


def test_the_main_process_opens_no_pickle_to_tell_of_a_death(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    trap, app = tmp_path / "sprung", echoing(accept_content=["json", "pickle"])
    body = pickle.dumps(((Trap(str(trap)),), {}, EMBED))
    work = work_of(app.compose("wr_app.echo", (), {}, task_id="id"), content_type=PICKLE, body=body)

    assert list(tell_failure(app, work, errors.WorkerLostError("gone"), hostname="w1@host")) == []

    assert not trap.exists()
    assert (
        f"on_failure of task wr_app.echo[id] is not called: only the processes that run tasks read {PICKLE}"
        in caplog.text
    )
