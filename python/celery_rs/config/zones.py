"""Time zones by name.

The standard library's `zoneinfo` is loaded by the first app that names a zone: it costs as much as a third of all
else that a client imports, and most apps stay with UTC.
"""

from datetime import tzinfo
from importlib import import_module


def zone(name: str) -> tzinfo:
    """Raises ValueError or OSError for a name that this machine does not know."""
    found: tzinfo = import_module("zoneinfo").ZoneInfo(name)
    return found
