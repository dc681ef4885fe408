"""Bodies that travel compressed."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from celery_rs import errors
from celery_rs.serializers import compress, compression_type, decompress
from tests.apps import call, envelope_of, make_app, run

EMPTY = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def echoing(**settings: Any) -> Any:
    app = make_app(**settings)

    @app.task(name="proj.echo")
    def echo(text: str) -> str:
        return text

    return app


@pytest.mark.parametrize(
    ("name", "header", "read"),
    [
        ("zlib", "application/x-gzip", zlib.decompress),
        ("gzip", "application/x-gzip", zlib.decompress),
        ("bzip2", "application/x-bz2", bz2.decompress),
        ("lzma", "application/x-lzma", lzma.decompress),
        ("xz", "application/x-lzma", lzma.decompress),
    ],
)
def test_a_compressed_body_is_what_celery_sends_and_runs(
    name: str, header: str, read: Callable[[bytes], bytes]
) -> None:
    app = echoing()
    outgoing = app.compose("proj.echo", ("a" * 999,), {}, compression=name)

    envelope = envelope_of(outgoing)
    outcome = run(app, outgoing)

    assert envelope.compression == header
    assert json.loads(read(envelope.body)) == [["a" * 999], {}, EMPTY]
    assert outcome.end == "success"


def test_the_setting_compresses_and_a_call_may_say_otherwise() -> None:
    app = echoing(task_compression="bzip2")

    by_setting = app.compose("proj.echo", ("a",), {})
    by_call = app.compose("proj.echo", ("a",), {}, compression="zlib")

    assert by_setting.message.compression == "application/x-bz2"
    assert by_call.message.compression == "application/x-gzip"


def test_a_tasks_own_compression_wins_over_the_setting() -> None:
    app = make_app(task_compression="bzip2")

    @app.task(compression="zlib")
    def own() -> None: ...

    assert app.compose(own.name, (), {}).message.compression == "application/x-gzip"


def test_a_task_or_a_setting_that_names_no_method_is_refused_where_it_is_made() -> None:
    with pytest.raises(
        errors.ImproperlyConfigured, match=r"^task 'proj.t': unknown compression 'zip', expected one of"
    ):

        @make_app().task(name="proj.t", compression="zip")
        def t() -> None: ...

    with pytest.raises(errors.ImproperlyConfigured, match="task_compression"):
        make_app(task_compression="zip")


def test_a_retry_is_compressed_as_its_call_was() -> None:
    app = make_app()

    @app.task(bind=True)
    def again(self: Any) -> None:
        raise self.retry(countdown=1)

    outcome = call(app, again, compression="zlib")

    assert outcome.followups[0].message.compression == "application/x-gzip"


def test_a_body_that_is_not_what_its_header_says_is_refused() -> None:
    app = echoing()

    outcome = run(app, app.compose("proj.echo", ("a",), {}, compression="zlib"), body=b"[]")

    assert outcome.end == "reject"
    assert outcome.text.startswith("the body is not application/x-gzip: error: Error -3")


def test_a_method_nobody_knows_is_refused_on_both_ends() -> None:
    with pytest.raises(errors.ImproperlyConfigured, match="unknown compression 'zip', expected one of 'gzip', "):
        compression_type("zip")
    with pytest.raises(errors.ContentError, match="a body compressed by 'zip' cannot be read, expected one of app"):
        decompress(b"", "zip")


def test_a_method_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "brotli", None)

    with pytest.raises(
        errors.ImproperlyConfigured,
        match=r"^compression 'brotli' needs the module 'brotli'; pip install 'celery-rs\[brotli\]'$",
    ):
        compression_type("brotli")
    with pytest.raises(errors.ContentError, match="compression 'brotli' needs the module 'brotli'"):
        decompress(b"", "application/x-brotli")


def test_names_and_content_types_mean_the_same() -> None:
    assert compression_type("application/x-bz2") == compression_type("bzip") == "application/x-bz2"
    assert decompress(compress(b"a", "application/x-bz2"), "bzip2") == b"a"
