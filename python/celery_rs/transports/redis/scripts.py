"""The Lua scripts: each file in `lua/` is a part, a script is the prelude and its parts.

All get the same keys in the same order (`Keys.fixed`) and the skew of the clock as their first argument, so that
every file can name them alike.
"""

import hashlib
from enum import Enum
from pathlib import Path
from typing import Any

from celery_rs._core import pack_command
from celery_rs.transports.redis.errors import Refused
from celery_rs.transports.redis.link import Argument, Link

_LUA = Path(__file__).parent / "lua"


class Script(Enum):
    """By what it does; the value names the parts it is made of."""

    JOIN = ("join",)
    RESERVE = ("delaying", "reserve")
    PUBLISH = ("delaying", "publishing", "publish")
    BEGIN = ("begin",)
    HOLDS = ("holds",)
    FINISH = ("delaying", "publishing", "results", "finish")
    GIVE_BACK = ("give_back",)
    DEFER = ("delaying", "defer")
    BURY = ("results", "bury")
    RENEW = ("renew",)
    SWEEP = ("sweep",)
    RELEASE = ("delaying", "release")
    ADOPT = ("adopt",)
    RECLAIM = ("reclaim",)
    LEAVE = ("leave",)
    OVERDUE = ("overdue",)
    RESTORE = ("delaying", "publishing", "restore")
    PURGE = ("purge",)
    FACT = ("fact",)
    REVIVE = ("revive",)
    STORE = ("results", "store")
    REPLACE = ("results", "replace")
    CLAIM = ("results", "claim")
    RENEW_CLAIM = ("renew_claim",)
    CLOSE_CLAIM = ("close_claim",)

    def __init__(self, *parts: str) -> None:
        self.source = "\n".join((_LUA / f"{part}.lua").read_text() for part in ("prelude", *parts)).encode()
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def packed(self, keys: tuple[bytes, ...], *arguments: Argument) -> bytes:
        """As a command, for servers that know the script."""
        return pack_command(b"EVALSHA", self.sha, len(keys), *keys, *arguments)

    def run(self, link: Link, keys: tuple[bytes, ...], *arguments: Argument) -> Any:
        """Raises LinkLost, Refused. A server that does not know the script has done nothing: it is asked again."""
        try:
            return link.replies(self.packed(keys, *arguments), 1)[0]
        except Refused as refused:
            if "NOSCRIPT" not in str(refused):
                raise
        try:
            link.call(b"SCRIPT", b"LOAD", self.source)
        except Refused:  # a user who may not do that may run it all the same
            return link.call(b"EVAL", self.source, len(keys), *keys, *arguments)
        return link.replies(self.packed(keys, *arguments), 1)[0]
