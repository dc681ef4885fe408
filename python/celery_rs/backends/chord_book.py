"""Chords in a store that has no lists: all of a chord is one value, changed by comparing and setting.

The value is a page: the size, the parts so far, and who has claimed it. It stays until it expires, also when the body
is published: a part that is reported again must not reopen the chord. Claims lapse by the clocks of the claimants.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from celery_rs.errors import BackendError, ContentError
from celery_rs.serializers import JSON
from celery_rs.wire import ChordPart

Step = Callable[[bytes | None], bytes | None]
"""From the value that is there (None: none) to the one that shall be; None leaves it. May be called repeatedly."""
Change = Callable[[str, Step], None]
"""Take such a step with the page of a group, so that nobody changes it in between."""


class ChordBook:
    """`open_chord` and `claim_chords` of a `ResultBackend`. Any thread; raises what `change` raises."""

    def __init__(self, change: Change, clock: Callable[[], float] = time.time) -> None:
        self._change = change
        self._clock = clock

    def open_chord(self, group: str, size: int) -> None:
        self._turn(group, lambda page: page._replace(size=size))

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> list["BookedClaim"]:
        claims = (self._claim(group, some, claim_s) for group, some in _by_group(parts).items())
        return [claim for claim in claims if claim is not None]

    def _claim(self, group: str, parts: Sequence[ChordPart], claim_s: float) -> "BookedClaim | None":
        token = secrets.token_hex(8)
        page = self._turn(group, lambda page: page.counting(parts).claimed(token, self._clock(), claim_s))
        return BookedClaim(self, group, page.in_order(), token) if page.claim == token else None

    def renew(self, group: str, token: str, claim_s: float) -> bool:
        return self._turn(group, lambda page: page.renewed(token, self._clock() + claim_s)).claim == token

    def close(self, group: str, token: str, published: bool) -> None:
        self._turn(group, lambda page: page.closed(token, published))

    def _turn(self, group: str, change: Callable[["Page"], "Page"]) -> "Page":
        """The page after the change."""
        after = Page()

        def step(old: bytes | None) -> bytes | None:
            nonlocal after
            page = Page() if old is None else _read(group, old)
            after = change(page)
            return None if after == page else after.written()

        self._change(group, step)
        return after


class BookedClaim:
    """See `backends.base.ChordClaim`. `token` tells this claim from a later one."""

    def __init__(self, book: ChordBook, group: str, parts: Sequence[ChordPart], token: str) -> None:
        self.group = group
        self.parts = parts
        self._book = book
        self._token = token

    def renew(self, claim_s: float) -> bool:
        return self._book.renew(self.group, self._token, claim_s)

    def close(self, published: bool) -> None:
        self._book.close(self.group, self._token, published)


class Page(NamedTuple):
    """A chord so far. `size` is None until it is opened; parts may be counted before that. Pure."""

    size: int | None = None
    parts: Mapping[str, ChordPart] = MappingProxyType({})
    claim: str = ""
    claimed_until: float = 0.0
    published: bool = False

    def counting(self, parts: Sequence[ChordPart]) -> "Page":
        """With these as well; the first report of a member stands."""
        if self.published:
            return self
        counted = dict(self.parts)
        for part in parts:
            counted.setdefault(part.task_id, part)
        return self._replace(parts=counted)

    def claimed(self, token: str, now: float, claim_s: float) -> "Page":
        """By this token, if the chord is complete and nobody else's."""
        complete = self.size is not None and len(self.parts) >= self.size
        if not complete or self.published or self.claimed_until > now:
            return self
        return self._replace(claim=token, claimed_until=now + claim_s)

    def renewed(self, token: str, until: float) -> "Page":
        return self._replace(claimed_until=until) if self.claim == token else self

    def closed(self, token: str, published: bool) -> "Page":
        if self.claim != token:
            return self
        parts = {} if published else self.parts
        return self._replace(parts=parts, claim="", claimed_until=0.0, published=published)

    def in_order(self) -> list[ChordPart]:
        """The header's order."""
        return sorted(self.parts.values(), key=lambda part: (part.index is None, part.index or 0))

    def written(self) -> bytes:
        parts = [[part.task_id, part.index, part.state, part.result.decode("latin-1")] for part in self.parts.values()]
        return JSON.dumps([self.size, parts, self.claim, self.claimed_until, self.published])


def _read(group: str, raw: bytes) -> Page:
    try:
        size, parts, claim, claimed_until, published = JSON.loads(raw)
        return Page(size, dict(_parts(group, parts)), claim, claimed_until, published)
    except (ContentError, TypeError, ValueError, AttributeError):
        raise BackendError(
            f"expected what celery-rs has counted of the chord {group!r}, got {raw[:80]!r}; "
            "delete it: the chord is lost"
        ) from None


def _parts(group: str, written: Any) -> Iterator[tuple[str, ChordPart]]:
    for task_id, index, state, result in written:
        yield task_id, ChordPart(group, task_id, index, state, result.encode("latin-1"))


def _by_group(parts: Sequence[ChordPart]) -> dict[str, list[ChordPart]]:
    groups: dict[str, list[ChordPart]] = {}
    for part in parts:
        groups.setdefault(part.group, []).append(part)
    return groups
