"""What a running task sees of its own message: `self.request`, Celery's Context.

Every header of the message is an attribute, also those nobody here knows. Headers and properties are read from their
bytes only when they are asked for, since most tasks never look.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery_rs.errors import ContentError
from celery_rs.execution.said import Said
from celery_rs.execution.work import Work
from celery_rs.results import AsyncResult
from celery_rs.serializers import JSON
from celery_rs.wire import TaskResult

if TYPE_CHECKING:
    from celery_rs.transports import Outgoing

Tell = Callable[[TaskResult | Said], None]
"""Have a record stored, or an event sent, while the task runs."""

_PROTOCOL = frozenset(
    {
        "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit",
        "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting",
        "stamped_headers", "stamps", "compression",
    }
)  # fmt: skip
"""Headers of the protocol: all others are the user's."""

_OF_THE_BROKER = frozenset(
    {
        "x-death", "redelivered",
        *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason")),
    }
)  # fmt: skip
"""Headers that a broker or a redelivery added: a retry must not carry them on."""


class _Attributes:
    """Where a request keeps its attributes: `_attributes(request)` are those that it has so far."""


_attributes: Callable[[Any], dict[str, Any]] = vars(_Attributes)["__dict__"].__get__


class Request(_Attributes):
    """One run of a task. Outside a worker `id` is None and `called_directly` is True."""

    lang: str = "py"
    task: str | None = None
    id: str | None = None
    shadow: str | None = None
    eta: str | None = None
    expires: str | None = None
    group: str | None = None
    group_index: int | None = None
    retries: int = 0
    timelimit: Sequence[float | None] | None = None
    root_id: str | None = None
    parent_id: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    origin: str | None = None
    ignore_result: bool | None = None
    replaced_task_nesting: int = 0
    stamped_headers: Sequence[str] | None = None
    stamps: Mapping[str, Any] = {}
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    callbacks: Sequence[Any] | None = None
    errbacks: Sequence[Any] | None = None
    chain: Sequence[Any] | None = None
    chord: Any = None
    hostname: str | None = None
    is_eager: bool = False
    called_directly: bool = True
    utc: bool = True
    compression: str | None = None
    logfile: str | None = None
    loglevel: int | None = None
    override_max_retries: int | None = None
    """What `retry(max_retries=...)` said in this run, for an autoretry that comes after it."""

    _tell: "Tell | None" = None
    _work: Work | None = None
    _unread = False
    _properties: dict[str, Any] | None = None
    _user_headers: dict[str, Any] | None = None
    _entered = False

    def __init__(self, **values: Any) -> None:
        self.children: list[AsyncResult[Any]] = []
        self.followups: list[Outgoing] = []
        if values:
            _attributes(self).update(values)

    @classmethod
    def open(cls, work: Work, hostname: str, tell: Tell) -> "Request":
        """The request of a delivery, its body not read yet. Raises ContentError when the headers are no object."""
        headers, id, root_id = work.headers, work.id, work.root_id
        if headers and not headers.startswith(b"{"):
            raise ContentError(f"expected message headers as a JSON object, got {headers[:80]!r}")
        request = cls()
        request._tell = tell
        request._work = work
        request._unread = True
        request.hostname = hostname
        request.called_directly = request.is_eager = False
        request.id = id
        request.task = work.task
        request.retries = work.retries
        request.root_id = id if root_id is None else root_id
        request.parent_id = work.parent_id
        request.group = work.group
        request.ignore_result = work.ignore_result
        request.callbacks = request.errbacks = None
        return request

    @property
    def headers(self) -> dict[str, Any]:
        """The user's own headers."""
        if self._user_headers is None:
            if "headers" in _attributes(self):
                return _attributes(self)["headers"] or {}
            said = _object(self._work.headers) if self._work is not None else {}
            self._user_headers = {name: value for name, value in said.items() if name not in _PROTOCOL}
        return self._user_headers

    @property
    def properties(self) -> dict[str, Any]:
        """Empty where they cannot be read."""
        if self._properties is None:
            self._properties = _object(self._work.properties) if self._work is not None else {}
        return self._properties

    @property
    def delivery_info(self) -> dict[str, Any]:
        """exchange, routing_key, priority, redelivered."""
        if "delivery_info" in _attributes(self):
            return _attributes(self)["delivery_info"] or {}
        where = self.properties.get("delivery_info")
        if not isinstance(where, dict):
            where = {}
        return {
            "exchange": where.get("exchange", ""),
            "routing_key": where.get("routing_key"),
            "priority": self.properties.get("priority"),
            "redelivered": self._work.redelivered if self._work is not None else False,
        }

    @property
    def reply_to(self) -> str | None:
        return _attributes(self).get("reply_to") or self.properties.get("reply_to")

    @property
    def correlation_id(self) -> str | None:
        return _attributes(self).get("correlation_id") or self.properties.get("correlation_id")

    @property
    def time_limit(self) -> float | None:
        return self.timelimit[0] if self.timelimit else None

    @property
    def soft_time_limit(self) -> float | None:
        return self.timelimit[1] if self.timelimit else None

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)

    def update(self, *args: Any, **values: Any) -> None:
        _attributes(self).update(*args, **values)

    def clear(self) -> None:
        """Forget everything, as if no task ran here."""
        _attributes(self).clear()
        self.__init__()  # type: ignore[misc]  # as new

    def as_execution_options(self) -> dict[str, Any]:
        """The options of `apply_async` that send this very call again, to where it came from."""
        where = self.delivery_info
        exchange, key = where.get("exchange"), where.get("routing_key")
        route = {"queue": key} if not exchange else {"exchange": exchange, "routing_key": key}
        return {
            "task_id": self.id,
            "root_id": self.root_id,
            "parent_id": self.id,
            "group_id": self.group,
            "group_index": self.group_index,
            "shadow": self.shadow,
            "expires": self.expires,
            "time_limit": self.time_limit,
            "soft_time_limit": self.soft_time_limit,
            "headers": {name: value for name, value in self.headers.items() if name not in _OF_THE_BROKER},
            "retries": self.retries,
            "reply_to": self.reply_to,
            "origin": self.origin,
            "ignore_result": self.ignore_result,
            "replaced_task_nesting": self.replaced_task_nesting,
            "stamped_headers": self.stamped_headers,
            "stamps": self.stamps,
            "priority": where.get("priority"),
            "compression": self.compression,
            "link": self.callbacks,
            "link_error": self.errbacks,
            **(route if key is not None else {}),
        }

    def tell(self, news: TaskResult | Said) -> bool:
        """Have a record stored or an event sent while the task runs; False when nobody listens (outside a worker)."""
        if self._tell is None:
            return False
        self._tell(news)
        return True

    def enter(self, task: str) -> bool:
        """Whether a call of `task` is this run itself, whose body has not begun yet; True once."""
        if self.called_directly or self._entered or task != self.task:
            return False
        self._entered = True
        return True

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # as `vars` shows it: the message's too
        self._read_headers()
        return _attributes(self)

    def _read_headers(self) -> None:
        if self._unread and self._work is not None:
            self._unread = False
            own = _attributes(self)
            for name, value in _object(self._work.headers).items():
                if name not in _RESERVED:
                    own.setdefault(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _RESERVED and self._unread:
            self._read_headers()
            return getattr(self, name)
        try:
            return _UNSAID[name]
        except KeyError:
            # Absent, as Celery's Context has it, is an error.
            raise AttributeError(f"the request of task {self.task!r} has no {name!r}") from None

    def __repr__(self) -> str:
        return f"<Request: task={self.task!r} id={self.id!r} retries={self.retries}>"


_UNSAID = {
    name: value for name, value in vars(Request).items() if name in Request.__annotations__ and not name.startswith("_")
}
"""What attributes are where neither the run nor its message says anything. The class itself has none of them, so that
Python asks `__getattr__` for what the message may say."""
for _name in _UNSAID:
    delattr(Request, _name)


def _object(raw: bytes) -> dict[str, Any]:
    """Empty where it cannot be read: a task can run without it."""
    try:
        read = JSON.loads(raw) if raw else {}
    except ContentError:
        return {}
    return read if isinstance(read, dict) else {}


_RESERVED = (
    frozenset(
        name
        for name, value in vars(Request).items()
        if name.startswith("_") or callable(value) or isinstance(value, property | classmethod)
    )
    | {"args", "kwargs", "callbacks", "errbacks", "chain", "chord", "is_eager", "override_max_retries"}
    | vars(Request()).keys()
)
"""Headers by these names would stand in the way of the request itself; they are found in `headers`."""
