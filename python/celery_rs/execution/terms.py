"""What the settings say to every run: looked up once, and again when a setting or a serializer has changed."""

from dataclasses import dataclass
from typing import NamedTuple
from weakref import ref

from celery_rs import serializers
from celery_rs.context import AppLike
from celery_rs.wire import ResultCodec


@dataclass(frozen=True, slots=True)
class Terms:
    """`accepted` are content types; `extended` is `result_extended`."""

    accepted: frozenset[str]
    codec: ResultCodec
    extended: bool
    keeps_results: bool


class _Read(NamedTuple):
    """When whose settings were read."""

    app: "ref[AppLike]"
    version: int
    registered: int
    terms: Terms


_last: _Read | None = None


def terms_of(app: AppLike) -> Terms:
    """Those of the app that was asked for last are at hand: a process that runs tasks has one app."""
    global _last
    last, version, registered = _last, app.conf.version, serializers.changes()
    if last is not None and last[1] == version and last[2] == registered and last[0]() is app:
        return last[3]
    conf = app.conf
    accepted = serializers.content_types(conf.accept_content)
    terms = Terms(accepted, ResultCodec.of(conf), bool(conf.result_extended), app.keeps_results)
    _last = _Read(ref(app), conf.version, registered, terms)
    return terms
