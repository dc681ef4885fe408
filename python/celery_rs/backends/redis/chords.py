"""The right to publish a chord's body: Celery's key `.c`, which holds the token of who has it, and then `done`."""

import json
import re
from collections.abc import Sequence

from celery_rs.backends.redis.client import Client
from celery_rs.transports.redis import ResultKeys, Script
from celery_rs.wire import ChordPart

DONE_MS = 300_000
"""How long at least a chord that is over stays known, as in Celery: no part that comes again reopens it."""

_PLAIN_PART = re.compile(rb'\[1, "([^"\\]*)", "([^"\\]*)", (.*)\]', re.DOTALL)


class RedisChordClaim:
    """See `backends.base.ChordClaim`. `token` tells this claim from a later one."""

    def __init__(
        self, client: Client, keys: ResultKeys, group: str, parts: Sequence[ChordPart], token: str, claim_s: float
    ) -> None:
        self.group = group
        self.parts = parts
        self._client = client
        self._key = keys.group(group)
        self._token = token
        self._done_ms = max(DONE_MS, round(2000 * claim_s))

    def renew(self, claim_s: float) -> bool:
        lasting = round(claim_s * 1000)
        renewed = self._client.ask(lambda link: Script.RENEW_CLAIM.run(link, (), 0, self._key, self._token, lasting))
        return bool(renewed == b"1")

    def close(self, published: bool) -> None:
        known = self._done_ms if published else 0
        self._client.ask(lambda link: Script.CLOSE_CLAIM.run(link, (), 0, self._key, self._token, known))


def read_part(group: str, member: bytes, score: bytes) -> ChordPart:
    """A counted part as it was given to the store, or as Celery has counted it."""
    index = None if score == b"inf" else int(float(score))
    plain = _PLAIN_PART.fullmatch(member)
    if plain is not None:
        task_id, state, result = plain.groups()
        return ChordPart(group, task_id.decode(), index, state.decode(), result)
    _, told, ended, value = json.loads(member)
    return ChordPart(group, told, index, ended, json.dumps(value).encode())
