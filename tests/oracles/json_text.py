"""The JSON writer in plain Python: the standard library's encoder, and type tags spelled out."""

import base64
import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID


def dumps(value: object) -> bytes:
    """Raises TypeError, ValueError and RecursionError for what cannot be written."""
    return json.JSONEncoder(default=_default).encode(value).encode("ascii")


def _default(value: Any) -> object:
    if hasattr(value, "__json__"):
        return value.__json__()
    match value:
        case datetime():
            return {"__type__": "datetime", "__value__": datetime.isoformat(value)}
        case date():
            return {"__type__": "date", "__value__": value.isoformat()}
        case time():
            return {"__type__": "time", "__value__": value.isoformat()}
        case Decimal():
            return {"__type__": "decimal", "__value__": str(value)}
        case UUID():
            return {"__type__": "uuid", "__value__": {"hex": value.hex}}
        case bytes():
            try:
                return {"__type__": "bytes", "__value__": str(value, "utf-8")}
            except UnicodeDecodeError:
                return {"__type__": "base64", "__value__": str(base64.b64encode(value), "ascii")}
    raise TypeError(type(value).__name__)
