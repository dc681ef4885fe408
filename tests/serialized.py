"""What a real Celery 5.7 sent and stored by other serializers and compressions: tests/fixtures/serialized.json."""

import base64
import json
from pathlib import Path
from typing import Any

from celery_rs._core import Envelope, open_envelopes

_PATH = Path(__file__).parent / "fixtures" / "serialized.json"
_KEPT: dict[str, Any] = json.loads(_PATH.read_text(encoding="utf-8"))


def envelope(name: str) -> Envelope:
    (opened,) = open_envelopes([_KEPT["envelopes"][name]["envelope"].encode()])
    assert isinstance(opened, Envelope)
    return opened


def result(name: str) -> tuple[bytes, bytes]:
    """The record of a success and of a failure."""
    success, failure = (base64.b64decode(raw) for raw in _KEPT["results"][name])
    return success, failure
