"""What a real Celery 5.7 wrote for known calls and ends: tests/fixtures/recorded_calls.json."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

_PATH = Path(__file__).parent / "fixtures" / "recorded_calls.json"
_NAMES = {"UTC": UTC, "date": date, "datetime": datetime, "time": time, "Decimal": Decimal, "UUID": UUID}


class Call(NamedTuple):
    """Arguments, and the texts that Celery made of them."""

    name: str
    args: Any
    kwargs: Any
    argsrepr: str
    kwargsrepr: str
    body: str


def calls() -> list[Call]:
    recorded = json.loads(_PATH.read_text(encoding="utf-8"))
    found = []
    for preview, body in zip(recorded["previews"], recorded["bodies"], strict=True):
        args, kwargs = eval(preview["call"], dict(_NAMES))
        found.append(Call(preview["from"], args, kwargs, preview["argsrepr"], preview["kwargsrepr"], body["body"]))
    return found


def metas() -> dict[str, str]:
    """Stored records by the situation that made them."""
    recorded = json.loads(_PATH.read_text(encoding="utf-8"))
    return {entry["from"]: entry["meta"] for entry in recorded["metas"]}
