import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs._core import SpinWait
from tests.oracles.spin import Spin

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def outcomes() -> st.SearchStrategy[list[bool]]:
    """Whether something is there, wait by wait; long enough runs for the longest rest."""
    runs = st.lists(st.tuples(st.booleans(), st.integers(1, 150)), max_size=6)
    return runs.map(lambda found: [there for there, times in found for _ in range(times)])


@given(outcomes())
def test_rests_as_its_oracle_does(outcomes: list[bool]) -> None:
    spin, oracle = SpinWait(1e-9), Spin()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for there in outcomes:
            assert spin.is_awake == oracle.is_awake
            if there:
                theirs.send(b"x")
            oracle.wait(in_time=there)

            assert spin.readable(ours.fileno()) == there

            if there:
                ours.recv(1)


@given(outcomes())
def test_never_awake_with_a_limit_of_nothing(outcomes: list[bool]) -> None:
    spin = SpinWait(0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for there in outcomes[:5]:
            if there:
                theirs.send(b"x")

            assert spin.readable(ours.fileno()) == there
            assert not spin.is_awake

            if there:
                ours.recv(1)


@pytest.mark.parametrize("limit", [0.0, 1e-4])
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=200_000), st.integers(1, 100_000)), max_size=4))
def test_exchanges_whatever_fits_or_does_not_fit_into_buffers(limit: float, said: list[tuple[bytes, int]]) -> None:
    spin = SpinWait(limit)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        echo = threading.Thread(target=_echo, args=(theirs,))
        echo.start()
        try:
            for data, size in said:
                answer = spin.exchange(ours.fileno(), data[:50_000], size)
                while len(answer) < len(data[:50_000]):
                    part = spin.recv(ours.fileno(), size)
                    assert 0 < len(part) <= size
                    answer += part
                assert answer == data[:50_000]
        finally:
            ours.shutdown(socket.SHUT_WR)
            echo.join()


def test_writes_all_of_what_a_slow_reader_takes_in_parts(pair: Pair) -> None:
    ours, theirs = pair
    data = bytes(5_000_000)
    taken: list[int] = []
    reader = threading.Thread(target=_take, args=(theirs, len(data), taken))
    reader.start()

    answer = SpinWait().exchange(ours.fileno(), data)

    reader.join()
    assert answer == b"all"
    assert sum(taken) == len(data)


def test_reads_nothing_at_the_end_of_the_connection(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()

    assert SpinWait().recv(ours.fileno()) == b""
    assert SpinWait().readable(ours.fileno())


def test_says_when_the_patience_of_the_socket_is_over(pair: Pair) -> None:
    ours, _ = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20_000))

    with pytest.raises(BlockingIOError):
        SpinWait().recv(ours.fileno())


def test_raises_what_writing_to_a_closed_connection_raises(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()

    with pytest.raises(BrokenPipeError):
        SpinWait().exchange(ours.fileno(), b"hello")


def test_signals_are_handled_in_mid_wait(pair: Pair) -> None:
    ours, theirs = pair
    before = signal.signal(signal.SIGALRM, lambda *_: theirs.send(b"rung"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)

        assert SpinWait().recv(ours.fileno()) == b"rung"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_a_signal_raises_ends_the_wait(pair: Pair) -> None:
    ours, theirs = pair
    spin = SpinWait()
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyError):
            spin.recv(ours.fileno())
    finally:
        signal.signal(signal.SIGALRM, before)
    theirs.send(b"later")

    assert spin.recv(ours.fileno()) == b"later"


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("inf")])
def test_limits_that_make_no_sense_are_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit must be seconds, 0 or more, got"):
        SpinWait(limit)


@pytest.mark.parametrize("call", ["recv", "readable"])
def test_a_number_that_no_file_has_is_refused(call: str) -> None:
    with pytest.raises(ValueError, match="a file's number is 0 or more, got -1"):
        getattr(SpinWait(), call)(-1)


def test_a_number_that_is_not_open_raises(pair: Pair) -> None:
    ours, _ = pair
    number = ours.detach()
    socket.close(number)

    with pytest.raises(OSError, match="Bad file descriptor"):
        SpinWait().recv(number)


def _echo(end: socket.socket) -> None:
    while data := end.recv(1 << 16):
        end.sendall(data)


def _take(end: socket.socket, most: int, taken: list[int]) -> None:
    while sum(taken) < most:
        taken.append(len(end.recv(1 << 16)))
    end.sendall(b"all")


def _raise(*_: Any) -> None:
    raise KeyError
