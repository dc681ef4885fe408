"""Chords in a SQL database: of many workers that bring parts at once, one at a time publishes the body."""

import threading

from celery_rs.backends.base import ChordClaim
from celery_rs.wire import ChordPart
from tests.backends.sql_opened import Open, open_sql, store, url
from tests.deadlines import DEADLINE_S

__all__ = ["open_sql", "store", "url"]

WORKERS, PARTS, CHORDS = 4, 12, 5


def part(chord: int, index: int) -> ChordPart:
    return ChordPart(f"chord-{chord}", f"task-{chord}-{index}", index, "SUCCESS", b"%d" % index)


def test_each_chord_is_claimed_once_by_whoever_brings_its_last_part(open_sql: Open) -> None:
    for chord in range(CHORDS):
        open_sql().open_chord(f"chord-{chord}", PARTS)
    claims: list[ChordClaim] = []
    failed: list[Exception] = []
    together = threading.Barrier(WORKERS)

    def work(number: int) -> None:
        try:
            mine = open_sql()
            together.wait(DEADLINE_S)
            for index in range(number, PARTS, WORKERS):
                claims.extend(mine.claim_chords([part(chord, index) for chord in range(CHORDS)], 60.0))
        except Exception as error:  # noqa: BLE001 - it is told
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert not failed
    assert sorted(claim.group for claim in claims) == [f"chord-{chord}" for chord in range(CHORDS)]
    assert all([each.index for each in claim.parts] == list(range(PARTS)) for claim in claims)


def test_chords_that_have_expired_are_deleted(open_sql: Open) -> None:
    store = open_sql(expires=-1.0)
    store.open_chord("chord", 2)
    store.claim_chords([part(0, 0)], 60.0)

    store.cleanup()

    tables = store.tables.of_chords
    rows = store.database.ask(lambda connection: [connection.execute(table.select()).all() for table in tables])
    assert rows == [[], []]
