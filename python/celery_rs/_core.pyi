"""The typed face of the Rust extension. Every function is safe on any input and never panics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, final

from typing_extensions import Buffer

from celery_rs.wire.message import Message

__all__ = [
    "DecodeError",
    "Envelope",
    "FrameReader",
    "NotJson",
    "PoolPage",
    "RELEASE",
    "RateLimiter",
    "RouteTable",
    "SpinWait",
    "amqp_changed",
    "amqp_content",
    "amqp_headers",
    "amqp_of_envelope",
    "amqp_publishes",
    "die_with_parent",
    "is_plain_json",
    "messages_like",
    "new_id",
    "open_amqp",
    "open_envelopes",
    "pack_command",
    "pack_jobs",
    "pack_pushes",
    "parse_rate",
    "parse_timestamp",
    "seal_envelopes",
    "topic_matches",
    "write_json",
    "write_timestamp",
]

RELEASE: str
"""The version of this build, such as `1.2.3`."""

class DecodeError(ValueError):
    """An envelope that cannot be read. `reason` says where and why, in one line; `raw` is what came."""

    reason: str
    raw: bytes

@final
class Envelope:
    """An opened broker envelope: the header fields a worker decides on; the rest stays bytes.

    Times are epoch seconds, limits are seconds. A protocol-1 body is not read here; `is_mapping` says that the body
    begins like one, as a JSON object.
    """

    id: str
    task: str
    eta: float | None
    expires: float | None
    retries: int
    soft_limit: float | None
    hard_limit: float | None
    priority: int
    is_mapping: bool
    has_past: bool
    is_timed: bool
    """Whether it names a time or a limit: `eta`, `expires`, `soft_limit` or `hard_limit`."""
    ignore_result: bool | None
    group: str | None
    root_id: str | None
    parent_id: str | None
    shadow: str | None
    argsrepr: str
    kwargsrepr: str
    reply_to: str | None
    content_type: str
    content_encoding: str
    compression: str | None
    exchange: str
    routing_key: str
    @property
    def raw(self) -> bytes:
        """The envelope as it came."""

    @property
    def headers(self) -> bytes:
        """The message headers: a JSON object as bytes."""

    @property
    def properties(self) -> bytes:
        """The message properties: a JSON object as bytes."""

    @property
    def body(self) -> bytes:
        """The body, with the transfer encoding (base64) undone; still serialized and compressed."""

def open_envelopes(raw: Sequence[bytes]) -> list[Envelope | DecodeError]:
    """Open a batch with the interpreter lock released. A bad one yields an error in its place."""

def seal_envelopes(messages: Sequence[Message], routes: Sequence[tuple[str, str]]) -> list[bytes]:
    """Whole protocol-2 envelopes in Celery's JSON; `routes` are (exchange, routing key).

    Raises ValueError when `headers` or `stamps` is not a JSON object, or the lengths differ.
    """

def messages_like(
    like: Message,
    calls: Sequence[tuple[object, object]],
    embed: str,
    replace: Callable[[object], object],
    show: Callable[[object], str],
    /,
    *,
    ids: Sequence[str | None] | None = None,
    bodies: Sequence[bytes] | None = None,
) -> list[Message]:
    """Messages like `like`, one for each (args, kwargs), with random ids and delivery tags.

    The body is that of `bodies`, else `[args, kwargs, embed]` as `write_json` writes it; `embed` is JSON. The id is
    that of `ids` where that has one. Where `like` leaves them empty, `root_id` is the id, and `argsrepr` and
    `kwargsrepr` are what `show` shows; the plainest values are shown without it. Raises NotJson.
    """

def new_id() -> str:
    """A random UUID (version 4) as text."""

def pack_command(*words: bytes | str | int | float) -> bytes:
    """One command for a Redis; numbers are written as Python shows them. Raises TypeError for anything else."""

def pack_jobs(first: int, jobs: Sequence[tuple[str, Envelope, str, bool, bool, bool]]) -> bytes:
    """`marshal` of `(first, works)`: jobs are (tag, envelope, queue, redelivered, announce, late), works the fields of
    `execution.Work`. Raises TypeError for what is no job."""

def pack_pushes(
    messages: Sequence[Message], routes: Sequence[tuple[str, str]], lists: Sequence[bytes]
) -> tuple[bytes, int]:
    """Seal a batch and push each envelope to its list: what to write to a Redis, and how many replies that brings.

    What goes to one list in a row is one command; more than one command is a transaction, whose last reply is that of
    all. Raises ValueError as `seal_envelopes` does.
    """

@final
class SpinWait:
    """Waits for what the peer of a connection sends: awake for a short while, then asleep. One per connection.

    Putting a core to sleep and waking it costs more than many a reply takes. So for up to `limit` seconds the socket is
    looked at again and again, and between two looks the core is offered to whoever else wants it; other threads of the
    interpreter run meanwhile. After waits that brought nothing so soon it sleeps at once, for 2, 4 … 64 waits, and then
    tries again. A `limit` of 0 always sleeps. One thread at a time; the numbers are those of open files.
    """

    def __new__(cls, limit: float = 100e-6) -> Self: ...
    @property
    def is_awake(self) -> bool:
        """Whether the next wait begins awake."""

    def recv(self, fd: int, size: int = ..., /) -> bytes:
        """What has come, at most `size` bytes; empty at the end of the connection.

        The socket is one that blocks, without TLS. Raises OSError, of which BlockingIOError when SO_RCVTIMEO is over,
        and what the handler of a signal raises.
        """

    def exchange(self, fd: int, data: bytes, size: int = ..., /) -> bytes:
        """Write all of `data`, then `recv`, in one call. Raises BlockingIOError also when SO_SNDTIMEO is over."""

    def readable(self, *fds: int) -> bool:
        """Look at these while it is worth it, at least once; whether one of them can be read, or has ended.

        For those who then wait for several files by a poll of their own.
        """

@final
class FrameReader:
    """Splits what an AMQP server sends into methods and whole messages. One per connection.

    Items are tuples that begin with their kind, then the channel:
    `("deliver", channel, consumer_tag, delivery_tag, redelivered, exchange, routing_key, properties, body)`,
    `("get", …)` likewise with an empty consumer tag,
    `("return", channel, reply_code, reply_text, exchange, routing_key, properties, body)`,
    `("ack" | "nack", channel, delivery_tag, multiple)`, `("method", channel, class_id, method_id, arguments)`
    and `("heartbeat",)`.
    `properties` are as they stand in a content header, from their flags on.
    """

    def __new__(cls, most: int = ...) -> Self:
        """Messages with a body of more than `most` bytes are refused."""

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """What is complete by now, in its order. Raises ValueError for what is not AMQP 0-9-1."""

def amqp_publishes(
    messages: Sequence[Message], routes: Sequence[tuple[str, str]], channel: int, frame_max: int, mandatory: bool
) -> list[bytes]:
    """The frames that publish each message, as Celery's client writes them.

    Raises ValueError as `seal_envelopes` does, and for a name longer than 255 bytes.
    """

def amqp_content(
    channel: int, frame_max: int, exchange: str, routing_key: str, mandatory: bool, properties: bytes, body: bytes
) -> bytes:
    """The frames that publish any content. Raises ValueError for a name longer than 255 bytes."""

def amqp_changed(
    properties: bytes,
    *,
    headers: Mapping[str, str | float | bool | None] | None = None,
    without: Sequence[str] = ...,
    expiration: str | None = None,
    delivery_mode: int | None = None,
) -> bytes:
    """The properties with these headers set, and those taken off.

    None keeps what there is, an empty `expiration` takes it off. Raises ValueError for what cannot be read.
    """

def amqp_headers(properties: bytes) -> dict[str, Any]:
    """The header table; a timestamp is epoch seconds, a decimal a float. Raises ValueError for what cannot be read."""

def open_amqp(contents: Sequence[tuple[str, str, bool, bytes, bytes]]) -> list[Envelope | DecodeError]:
    """Open (exchange, routing key, redelivered, properties, body) as `open_envelopes` does; `raw` is the envelope that
    says the same, in which a header value that JSON lacks is the text or number nearest to it."""

def amqp_of_envelope(raw: bytes) -> tuple[bytes, bytes]:
    """An envelope as AMQP carries it: (properties, body). Raises ValueError for what is no envelope."""

def parse_timestamp(text: str) -> float:
    """ISO 8601 → epoch seconds; without an offset it is UTC. Raises ValueError."""

def write_timestamp(seconds: float, /) -> str:
    """Epoch seconds → ISO 8601 in UTC, as datetime writes it; what its calendar lacks is a day from its end."""

def parse_rate(rate: str | float | None) -> float:
    """`"10/m"`, `"2/s"`, `"5/h"`, `"1/d"`, a number per second → tokens per second; None, 0, "" → 0.0, no limit.

    Raises ValueError naming the text and what was expected.
    """

@final
class RateLimiter:
    """Token buckets by task name: capacity 1, start full. `now` is monotonic seconds."""

    def __new__(cls) -> Self: ...
    def set(self, task: str, rate: str | float | None, now: float) -> None:
        """Change the rate; tokens already taken or booked stay owed. Raises ValueError."""

    def rate(self, task: str) -> float:
        """Tokens per second; 0.0 means no limit."""

    def take(self, task: str, now: float) -> float:
        """Take a token: 0.0 when taken, else seconds until there is one (nothing taken)."""

    def book(self, task: str, now: float) -> float:
        """Take the next free token, if need be a future one; returns the time at which it is due."""

@final
class RouteTable:
    """Task name → index of the first matching rule: exact names first, then patterns in order.

    A rule is (kind, pattern): kind `exact`, `glob` (`*` any run, `?` any one, `[...]` a set) or `regex`
    (searched like `re.match`). Raises ValueError on a regex that Rust cannot compile or might read
    differently; the caller keeps such a rule in Python.
    """

    def __new__(cls, rules: Sequence[tuple[str, str]]) -> Self: ...
    def lookup(self, task: str) -> int | None: ...

def topic_matches(pattern: str, routing_key: str) -> bool:
    """AMQP topic match: `*` one word, `#` any number of words."""

def is_plain_json(data: bytes, /) -> bool:
    """Whether orjson reads these bytes exactly as Python's json and Kombu's type tags would.

    False for a run of 19 digits (perhaps an integer beyond 64 bits) and for the string `__type__`.
    """

class NotJson(ValueError):
    """A value that JSON cannot carry.

    Its text goes right behind the name of the whole: `[1]['when']: complex is not JSON`. Its cause
    is what a container of the user's own raised when it was read.
    """

def write_json(value: object, default: Callable[[Any], object], /) -> bytes:
    """A value as Kombu's JSON; `default` says what to write for one that JSON lacks, or raises.

    Raises NotJson, and what user code raises that is no Exception. Values nested more than 900 deep are refused.
    """

@final
class PoolPage:
    """One child's page of shared memory: which job runs, how far it may go, and a ring of outcomes.

    Made by the parent over an anonymous shared mapping before the fork; both processes use the same
    object. Job numbers rise by one per job and page and start at 1. Each method says whose it is.
    """

    SIZE: int
    """Bytes of shared memory that a page takes."""

    def __new__(cls, memory: Buffer, offset: int = 0) -> Self:
        """Raises ValueError when the memory is read-only, misaligned or too small."""

    def reset(self) -> None:
        """Parent, before a (new) child starts: forget everything."""

    # the child's
    def start(self, job: int, now: float) -> bool:
        """Start `job`, unless it was recalled or lies beyond the limit: then False, and it must be dropped."""

    def finish(self, job: int) -> None:
        """`job` no longer runs; its outcome is in the ring (or on its way by the socket)."""

    def push(self, outcome: bytes) -> bool:
        """Append to the ring; False when it does not fit now."""

    def targeted(self) -> bool:
        """Whether the signal that just came means the job that runs now."""

    # the parent's
    def allow(self, limit: int) -> None:
        """Jobs up to `limit` may start. A limit is only ever raised; `recall` and `freeze` are what stops jobs."""

    def recall(self, sent: int) -> int:
        """Void every job up to `sent` that has not started; returns the last one that has."""

    def freeze(self) -> int:
        """Let nothing start until the reset (before a kill); returns the last job that started."""

    def target(self, job: int) -> bool:
        """Name the job that the next signal means; False when it does not run now."""

    def running(self) -> tuple[int, float] | None:
        """The job that runs now, and when it began by the clock that all processes of a machine share."""

    def started(self) -> int:
        """The last job that started; 0 = none."""

    def drain(self) -> list[bytes]:
        """Take every outcome out of the ring, oldest first; also after the child's death."""

def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux); elsewhere does nothing."""
