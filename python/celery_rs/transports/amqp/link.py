"""A connection to a RabbitMQ: frames in, frames out, and no thread of its own.

pika has the protocol's methods; the socket is ours, because pika's blocking connection belongs to one thread and
waits for every confirm. Any thread may send. Of those who wait for something one reads, and hands what comes to whom
it is for: a thread that waits alone is told without a hand-off between threads.
"""

import reprlib
import select
import socket
import ssl
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NoReturn

from pika import frame, spec
from pika.exceptions import AMQPError

from celery_rs._core import FrameReader
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.amqp.errors import LinkLost, Refused, refusal, words_of
from celery_rs.transports.amqp.location import Place

Item = tuple[Any, ...]
"""What `FrameReader` makes of frames: its kind, then its parts."""

_READ = 64 * 1024
"""For more than twice as much the allocator asks the kernel, at every reading."""
_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_SUCCESS = 200
_CLOSED_THERE = getattr(select, "POLLRDHUP", 0)
"""Where the system tells; an error is told in any case."""
CONTROL = 0
"""The channel on which a connection itself is spoken of."""


class Link:
    """An open connection. Raises LinkLost once it is not."""

    def __init__(self, sock: socket.socket, place: Place) -> None:
        """`sock` is connected, and not yet greeted (`handshake.open_link`)."""
        sock.setblocking(False)
        self.place = place
        self.frame_max = 4096
        self.heartbeat = 0.0
        """Seconds between signs of life that either side expects of the other; 0 for none."""
        self.beats = 3.0
        """How many of them are given in that time where nothing else is sent."""
        self.blocked: str | None = None
        """Why the broker takes no messages now."""
        self.server: dict[str, Any] = {}
        self.lost: Exception | None = None
        self._sock = sock
        self._encrypted = isinstance(sock, ssl.SSLSocket)
        self._reader = FrameReader()
        self._channels: dict[int, Channel] = {}
        self._turn = threading.Condition()
        self._reading = False
        self._writing = threading.Lock()
        self._touching = threading.Lock()
        self._heard = self._sent = monotonic()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        # Not before nobody polls or reads it any more; and before the sockets themselves are found to be garbage.
        weakref.finalize(self, _close, sock, self._bell, self._ringer).atexit = False
        self.control = Channel(self, CONTROL)

    # Channels

    def channel(self, number: int, deadline: float) -> "Channel":
        """Open a channel; `deadline` is seconds from now."""
        channel = Channel(self, number)
        channel.call(spec.Channel.Open(), deadline)
        return channel

    def attach(self, channel: "Channel") -> None:
        with self._turn:
            self._channels[channel.number] = channel

    # Out

    def send(self, data: bytes, deadline: float = 10.0) -> None:
        """Returns once the kernel has it all; `deadline` is seconds from now. Raises LinkLost."""
        with self._writing:
            self.check()
            view = memoryview(data)
            until = monotonic() + deadline
            while view:
                view = view[self._send_some(view, until) :]
            self._sent = monotonic()

    def _send_some(self, view: memoryview, until: float) -> int:
        try:
            with self._touching:
                return self._sock.send(view)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            left = until - monotonic()
            if left <= 0:
                self.fail(
                    LinkLost(f"{self.place.words()} took nothing for too long: it is overloaded, or out of reach")
                )
            # A broker that waits for us to read does not read either.
            if not self._writable(min(left, 0.05)):
                self.pump()
            return 0
        except OSError as error:
            self._fail_as(error)

    def _writable(self, timeout: float) -> bool:
        self.check()
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        return bool(poll.poll(timeout * 1000))

    def beat(self, now: float) -> None:
        """Give a sign of life if one is due, and look for the other side's; `now` is monotonic."""
        if not self.heartbeat or self.lost is not None:
            return
        if now - self._sent >= self.heartbeat / self.beats:
            self.send(_HEARTBEAT)
        self.pump()
        if now - self._heard > 2 * self.heartbeat:
            self.fail(LinkLost(f"{self.place.words()} gave no sign of life for {2 * self.heartbeat:.0f} seconds"))

    # In

    def pump(self) -> None:
        """Read what there is, unless somebody else does; never waits. Raises LinkLost, also for what it has read."""
        if self._turn.acquire(blocking=False):
            try:
                self.check()
                if not self._reading:
                    self._read_for_all(0.0)
                    self.check()
            finally:
                self._turn.release()

    def wait(self, done: Callable[[], object], timeout: float) -> bool:
        """Read until `done()`, which is asked again whenever something came; False after `timeout` seconds.

        Raises LinkLost.
        """
        until = monotonic() + timeout
        with self._turn:
            while not done():
                self.check()
                left = until - monotonic()
                if self._reading:
                    if left <= 0:
                        return False
                    self._turn.wait(left)
                    continue
                self._read_for_all(max(left, 0.0))
                if left <= 0:
                    return bool(done())
            return True

    def _read_for_all(self, timeout: float) -> None:
        """Let go of the turn while nothing comes, and hand out what does."""
        self._reading = True
        self._turn.release()
        items: list[Item] = []
        failed: Exception | None = None
        try:
            items = self._read(timeout)
        except LinkLost as error:
            failed = error
        finally:
            self._turn.acquire()
            self._reading = False
            for item in items:
                self._hand_out(item)
            self._turn.notify_all()
            if self.lost is not None:
                self._close_files()
        if failed is not None:
            raise failed

    def _read(self, timeout: float) -> list[Item]:
        if timeout > 0 and not (self._encrypted and self._pending()):
            ready = self._poll.poll(timeout * 1000)
            if any(fd == self._bell.fileno() for fd, _ in ready):
                self._silence()
            if not any(fd == self._sock.fileno() for fd, _ in ready):
                return []
        try:
            with self._touching:
                data = self._sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return []
        except OSError as error:
            self._fail_as(error)
        if not data:
            self.fail(LinkLost(f"{self.place.words()} closed the connection"))
        self._heard = monotonic()
        try:
            return self._reader.feed(data)
        except ValueError as error:
            self.fail(LinkLost(f"{self.place.words()}: {error}"))

    def _pending(self) -> bool:
        assert isinstance(self._sock, ssl.SSLSocket)
        with self._touching:
            return self._sock.pending() > 0

    def _silence(self) -> None:
        try:
            while self._bell.recv(1024):
                pass
        except OSError:
            pass

    def fileno(self) -> int:
        """Readable when something has come."""
        return self._sock.fileno()

    def seems_lost(self) -> bool:
        """Whether it is lost, or the other side has closed it and nobody has read so yet. Any thread; asks nobody."""
        if self.lost is not None:
            return True
        poll = select.poll()
        poll.register(self._sock, _CLOSED_THERE)
        return bool(poll.poll(0))

    def wake(self) -> None:
        """Have everybody who waits look again."""
        try:
            self._ringer.send(b".")
        except OSError:
            pass

    def _hand_out(self, item: Item) -> None:
        if item[0] == "heartbeat":
            return
        channel = self._channels.get(item[1])
        if channel is not None:
            channel.hear(item)

    # The end

    def check(self) -> None:
        """Raises what ended this connection, if anything has."""
        if self.lost is not None:
            raise LinkLost(str(self.lost))

    def fail(self, error: Exception) -> NoReturn:
        """This connection is of no more use."""
        if self.lost is None:
            self.lost = error
            self._shut()
        raise error

    def ended_by(self, error: Exception) -> None:
        """The broker has ended it."""
        if self.lost is None:
            self.lost = error
            self._shut()

    def _fail_as(self, error: OSError) -> NoReturn:
        self.fail(LinkLost(f"lost {self.place.words()}: {error.strerror or error}"))

    def close(self) -> None:
        """Say goodbye, and wait a moment for the answer: what was sent before has been read then."""
        if self.lost is None:
            try:
                self.control.call(spec.Connection.Close(_SUCCESS, "bye", 0, 0), 1.0)
            except (LinkLost, Refused):
                pass
        self.forget()

    def forget(self) -> None:
        """Close the socket without a word, as when the process dies."""
        if self.lost is None:
            self.lost = LinkLost(f"the connection to {self.place.words()} was closed here")
        self._shut()
        with self._turn:
            if not self._reading:  # else who reads does it
                self._close_files()

    def _shut(self) -> None:
        self.wake()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _close_files(self) -> None:
        """Nobody polls them; who still writes finds them closed."""
        with self._touching:
            for each in (self._sock, self._bell, self._ringer):
                each.close()


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()


class Channel:
    """One conversation on a link. What is not an answer goes to `on_item`, which is called by whoever reads."""

    def __init__(self, link: Link, number: int, on_item: Callable[[Item], None] | None = None) -> None:
        self.link = link
        self.number = number
        self.on_item = on_item
        self.closed: Refused | None = None
        self._calling = threading.Lock()
        self.answers: deque[Any] = deque()
        """What came for who calls; in the handshake, also what the broker asks."""
        self.unawaited = 0
        """How many answers are still to come that nobody waits for."""
        link.attach(self)

    def post(self, *methods: Any) -> None:
        """Send methods that are not answered."""
        self.link.send(b"".join(_marshalled(self.number, method) for method in methods))

    def call(self, method: Any, deadline: float) -> Any:
        """Send a method and wait for its answer; `deadline` is seconds from now. Raises LinkLost, Refused."""
        return self.call_all([method], deadline)[0]

    def call_all(self, methods: Sequence[Any], deadline: float) -> list[Any]:
        """As `call`, for many in one trip. The first that is refused ends the channel, and with it the rest."""
        with self._calling:
            self._check()
            self.answers.clear()
            self.post(*methods)
            answered = self.link.wait(lambda: self.closed or len(self.answers) >= len(methods), deadline)
            self._check()
            if not answered:
                words = f"{self.link.place.words()} did not answer within {deadline:.0f} seconds"
                self.link.fail(LinkLost(words))
            return list(self.answers)

    def ask(self, *methods: Any, answers: int) -> None:
        """Send methods of which so many are answered, and wait for none of them. Raises LinkLost, Refused.

        A channel answers in order, so that those are the next that come.
        """
        data = b"".join(_marshalled(self.number, method) for method in methods)
        with self._calling:
            self._check()
            self.unawaited += answers
            self.link.send(data)

    def close(self) -> None:
        """End it, if it still lives: the broker takes back what is not acknowledged."""
        if self.closed is None and self.link.lost is None:
            self.call(spec.Channel.Close(_SUCCESS, "bye", 0, 0), 5.0)

    def _check(self) -> None:
        self.link.check()
        if self.closed is not None:
            raise self.closed

    def hear(self, item: Item) -> None:
        """Called by the link, which holds its turn."""
        if item[0] != "method":
            if item[0] == "get":
                self.answers.append(item)
            elif self.on_item is not None:
                self.on_item(item)
            return
        _, _, class_id, method_id, arguments = item
        kind = spec.methods.get(class_id << 16 | method_id)
        if kind is None:
            return
        method = kind()
        method.decode(arguments)
        self._answer(method)

    def _answer(self, method: Any) -> None:
        link = self.link
        match method:
            case spec.Connection.Close():
                words = words_of(method.reply_code, method.reply_text, link.place)
                ended = LinkLost(words)
                ended.code = method.reply_code
                link.ended_by(ended)
            case spec.Channel.Close():
                self.closed = refusal(method.reply_code, method.reply_text, link.place)
                _reply(link, self.number, spec.Channel.CloseOk())
            case spec.Connection.Blocked():
                link.blocked = method.reason or "short of something"
            case spec.Connection.Unblocked():
                link.blocked = None
            case spec.Basic.Cancel():
                if self.on_item is not None:
                    self.on_item(("cancelled", self.number, method.consumer_tag))
            case _ if self.unawaited:
                self.unawaited -= 1
            case _:
                self.answers.append(method)


def _marshalled(channel: int, method: Any) -> bytes:
    """Raises ImproperlyConfigured for what has no place in AMQP: only names and arguments of users may be such."""
    try:
        return bytes(frame.Method(channel, method).marshal())
    except (AMQPError, struct.error, ValueError) as error:
        given = getattr(method, "queue", None) or getattr(method, "exchange", "")
        raise ImproperlyConfigured(
            f"{reprlib.repr(given)}: expected names of 255 bytes at most, and arguments that are texts, whole numbers, "
            f"booleans, lists and dicts of them, got what cannot be sent ({type(error).__name__})"
        ) from None


def _reply(link: Link, channel: int, method: Any) -> None:
    """Answer from within the reading: a broker that cannot take it is lost in any case."""
    try:
        link.send(frame.Method(channel, method).marshal(), 1.0)
    except LinkLost:
        pass
