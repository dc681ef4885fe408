"""A forked child speaks to the database over connections of its own, and leaves its parent's as they are."""

import os
import threading

from tests.backends.sql_opened import Open, open_sql, record, url
from tests.deadlines import DEADLINE_S

__all__ = ["open_sql", "url"]


def in_child(act: object) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_parent_and_child_use_connections_of_their_own(open_sql: Open) -> None:
    store = open_sql()
    store.store([record("a")])
    assert list(store.watch(["a", "b"], 0.1)) == [record("a")]

    def in_the_child() -> None:
        assert store.fetch(["a"]) == {"a": record("a")}
        store.store([record("b")])
        assert len(list(store.watch(["a", "b"], DEADLINE_S))) == 2
        store.close()

    in_child(in_the_child)

    assert store.fetch(["a", "b"]) == {"a": record("a"), "b": record("b")}
    waiter = threading.Timer(0.1, store.store, [[record("c")]])
    waiter.start()
    assert list(store.watch(["c"], DEADLINE_S)) == [record("c")]
    waiter.join()


def test_a_child_that_is_told_of_the_fork_may_close_what_it_has(open_sql: Open) -> None:
    store = open_sql()
    store.store([record("a")])

    def in_the_child() -> None:
        store.after_fork()
        store.close()

    in_child(in_the_child)

    assert store.fetch(["a"]) == {"a": record("a")}
