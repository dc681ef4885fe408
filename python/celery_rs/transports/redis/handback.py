"""The way back: everything that only workers of ours know of goes to plain queues, and our keys go.

It works as a consumer that takes over from all others, who must be gone; what had begun when its worker died becomes a
dead letter, since running it again is not ours to decide.
"""

from celery_rs.errors import OperationalError
from celery_rs.transports.base import Burial, HandedBack
from celery_rs.transports.redis.consumer import RedisConsumer
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.letters import RedisDeadLetters
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew

_BEGUN = Burial("lost", "its worker died while it ran, and no other worker of celery-rs has told its caller")
_PAGE = 500


def hand_back(
    server: Server, keys: Keys, skew: Skew, consumer: RedisConsumer, letters: RedisDeadLetters, *, dead: bool
) -> HandedBack:
    """`consumer` consumes nothing, and is closed in the end. Raises OperationalError while another one lives."""
    try:
        _refuse_while_others_live(server, keys, skew, consumer)
        recovered = consumer.take_over_all()
        if recovered.orphans:
            consumer.bury({orphan.tag: _BEGUN for orphan in recovered.orphans})
        deferred = _release(server, keys, skew)
        returned = _revive(letters) if dead else 0
    finally:
        consumer.close()
    with server.borrowed() as link:
        left = int(link.call(b"HLEN", keys.dead))
        _forget(link, keys, keep_letters=left > 0)
    return HandedBack(deferred, recovered.returned, returned, left)


def _refuse_while_others_live(server: Server, keys: Keys, skew: Skew, consumer: RedisConsumer) -> None:
    with server.borrowed() as link:
        _, *over = Script.SWEEP.run(link, keys.fixed, skew(), consumer.name)
        everybody = {name.decode() for name in link.call(b"ZRANGE", keys.alive, 0, -1)}
    living = sorted(everybody - {name.decode() for name in over[::2]} - {consumer.name})
    if living:
        raise OperationalError(
            f"{server.words()}: expected no worker of celery-rs, {len(living)} run ({', '.join(living)}); "
            "stop them and try again; one that was killed counts for some seconds more"
        )


def _release(server: Server, keys: Keys, skew: Skew) -> int:
    moved = 0
    with server.borrowed() as link:
        left, before = 1, 0
        while left and left != before:  # what belongs to a key that is no list stays
            before = left
            some, left = Script.RELEASE.run(link, keys.fixed, skew())
            moved += some
    return moved


def _revive(letters: RedisDeadLetters) -> int:
    returned = 0
    while ids := [letter.id for letter in letters.page(limit=_PAGE).letters]:
        some = letters.retry(ids)
        if not some:
            break  # what is left cannot be put back
        returned += some
    return returned


def _forget(link: Link, keys: Keys, *, keep_letters: bool) -> None:
    """All keys of ours that hold no task."""
    kept = {keys.dead, keys.dead_order, keys.dead_serial} if keep_letters else set()
    cursor = b"0"
    while True:
        cursor, found = link.call(b"SCAN", cursor, b"MATCH", keys.pattern_of_ours, b"COUNT", 1000)
        for key in found:
            _empty(link, keys, key)
        gone = [key for key in found if key not in kept]
        if gone:
            link.call(b"UNLINK", *gone)
        if cursor == b"0":
            return


def _empty(link: Link, keys: Keys, key: bytes) -> None:
    """What was moved to a consumer of which nothing else is known any more is a task all the same."""
    if key.startswith(keys.wait_of):
        _, _, queue = key.removeprefix(keys.wait_of).partition(b".")  # a consumer's name has no dots
        while link.call(b"LMOVE", key, keys.queue(queue.decode()), b"LEFT", b"RIGHT") is not None:
            pass
