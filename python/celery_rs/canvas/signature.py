"""Signature: a call written down, which can be kept, sent as an argument, linked to another call, and made.

It is a dict of Celery's six keys and nothing else, so JSON carries it as it is; what knows its app is an attribute
beside them. Chains, groups and chords are dicts of the same shape with a `subtask_type`: they are refused by name.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, cast

from celery_rs.context import AppLike, current_app
from celery_rs.errors import NotSupported
from celery_rs.results import AsyncResult
from celery_rs.wire import new_id

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

_KEYS = ("task", "args", "kwargs", "options", "subtask_type", "immutable")
_COMPOSITES = ("chain", "group", "chord", "chunks", "xmap", "xstarmap")
_NEXT = "call the next task with `link`, or from the task itself"


class Signature(dict[str, Any], Generic[R]):
    """`task.s(2, 2)`; for a task by name `signature("proj.add", (2, 2))`.

    Arguments given later stand before those kept here, unless it is `immutable`; options given later win.
    """

    TYPES: ClassVar[dict[str, type["Signature[Any]"]]] = {}

    def __init__(
        self,
        task: Any = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: AppLike | None = None,
        **more_options: Any,
    ) -> None:
        """`task` is a task, a name, or a dict of the six keys. Raises TypeError for anything else."""
        self._app = app
        self._type = type
        if isinstance(task, Mapping):
            super().__init__(_complete(task))
            return
        if not isinstance(task, str):
            self._type = task if type is None else type
            task = getattr(task, "name", task)
        if not isinstance(task, str):
            raise TypeError(f"a signature needs a task or its name, got {task!r}")
        super().__init__(
            task=task,
            args=tuple(args or ()),
            kwargs=dict(kwargs or {}),
            options=dict(options or {}, **more_options),
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @classmethod
    def of_task(
        cls, task: Any, app: AppLike | None, args: tuple[Any, ...], kwargs: dict[str, Any], *, immutable: bool = False
    ) -> "Signature[R]":
        """What the constructor makes of a task and its arguments, in a third of the time; they are not copied."""
        made = cls.__new__(cls)
        dict.__init__(
            made, task=task.name, args=args, kwargs=kwargs, options={}, subtask_type=None, immutable=immutable
        )
        made._app, made._type = app, task
        return made

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[[type["Signature[Any]"]], type["Signature[Any]"]]:
        """Make a class the one that dicts with this `subtask_type` become."""

        def register(kind: type["Signature[Any]"]) -> type["Signature[Any]"]:
            cls.TYPES[name or kind.__name__] = kind
            return kind

        return register

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], app: AppLike | None = None) -> "Signature[Any]":
        """Raises NotSupported for chains, groups and chords, TypeError for what is no signature."""
        kind = given.get("subtask_type")
        if kind:
            target = cls.TYPES.get(kind)
            if target is None:
                raise NotSupported(f"the workflow {kind!r}", _NEXT)
            if target is not cls:
                return target.from_dict(given, app=app)
        return Signature(given, app=app)

    # what it says

    @property
    def task(self) -> str:
        return cast("str", self["task"])

    name = task

    @property
    def args(self) -> tuple[Any, ...]:
        return tuple(self["args"])

    @property
    def kwargs(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self["kwargs"])

    @property
    def options(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self["options"])

    @property
    def subtask_type(self) -> str | None:
        return cast("str | None", self["subtask_type"])

    @property
    def immutable(self) -> bool:
        return bool(self["immutable"])

    @property
    def id(self) -> str | None:
        """The id of the call, once `freeze` has given it one."""
        return self.options.get("task_id")

    @property
    def parent_id(self) -> str | None:
        return self.options.get("parent_id")

    @property
    def root_id(self) -> str | None:
        return self.options.get("root_id")

    @property
    def app(self) -> AppLike:
        if self._app is None:
            self._app = getattr(self._type, "_app", None)
        return self._app or current_app()

    @property
    def type(self) -> Any:
        """The task. Raises KeyError where this process does not know it."""
        return self._type if self._type is not None else self.app.tasks[self.task]

    # calling

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Run the task here and now, as a plain function."""
        merged, more, _ = self._merge(args, kwargs, {})
        return cast("R", self.type(*merged, **more))

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        route_name: str | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """Send the call; the options are those of `Task.apply_async`."""
        if route_name is not None:
            raise NotSupported("route_name", "name the queue: apply_async(queue=...)")
        merged, more, chosen = self._merge(args or (), kwargs or {}, options)
        task = self.known_task()
        if task is None:
            return cast("AsyncResult[R]", self.app.send_task(self.task, merged, more, **chosen))
        return cast("AsyncResult[R]", task.apply_async(merged, more, **chosen))

    def apply(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[R]:
        """Run the task here and now, as a worker would; an EagerResult."""
        merged, more, chosen = self._merge(args or (), kwargs or {}, options)
        return cast("AsyncResult[R]", self.type.apply(merged, more, **chosen))

    def __invert__(self) -> R:
        """`~sig`: send it and wait for what it returns."""
        return self.apply_async().get()

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> AsyncResult[R]:
        """Give the call its id now, once; a handle of the result that it will have."""
        if chord is not None:
            raise NotSupported("a chord", _NEXT)
        options = self.options
        options.setdefault("task_id", _id or new_id())
        for name, value in (("root_id", root_id), ("parent_id", parent_id), ("group_id", group_id)):
            if value is not None:
                options.setdefault(name, value)
        if group_index is not None:
            options["group_index"] = group_index
        return AsyncResult(options["task_id"], app=self.app, task_name=self.task)

    def AsyncResult(self, id: str) -> AsyncResult[R]:  # noqa: N802  (Celery's name)
        return AsyncResult(id, app=self.app, task_name=self.task)

    # changing

    def clone(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> "Signature[R]":
        """A copy with more: arguments before its own, keywords and options over its own."""
        merged, more, chosen = self._merge(args or (), kwargs or {}, options)
        return self._copy(args=merged, kwargs=dict(more), options=deepcopy(dict(chosen)))

    partial = clone

    def replace(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> "Signature[R]":
        """A copy with other arguments, keywords or options altogether."""
        changed: dict[str, Any] = {} if args is None else {"args": tuple(args)}
        if kwargs is not None:
            changed["kwargs"] = dict(kwargs)
        if options is not None:
            changed["options"] = dict(options)
        return self._copy(**changed)

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Change options in place; returns itself."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Whether arguments that are given later are left out."""
        self["immutable"] = immutable

    def link(self, callback: "Signature[Any]") -> "Signature[Any]":
        """Send `callback`, with what the task returned as its first argument, when it has succeeded."""
        return self._append("link", callback)

    def link_error(self, errback: "Signature[Any]") -> "Signature[Any]":
        """Call `errback` when the task has failed."""
        return self._append("link_error", errback)

    def on_error(self, errback: "Signature[Any]") -> Self:
        """`link_error`, for writing calls in a row; returns itself."""
        self.link_error(errback)
        return self

    def flatten_links(self) -> "list[Signature[Any]]":
        """Itself and what is linked to it, and to that."""
        linked = [maybe_signature(item, self._app) for item in _listed(self.options.get("link"))]
        return [self, *(deeper for item in linked if item is not None for deeper in item.flatten_links())]

    # what is not there yet

    def __or__(self, other: Any) -> NoReturn:
        raise NotSupported("a chain (`|`)", _NEXT)

    __ror__ = __or__
    __ior__ = __or__

    def stamp(self, visitor: Any = None, append_stamps: bool = False, **headers: Any) -> NoReturn:
        raise NotSupported("stamping a signature", "send `headers` with the call")

    stamp_links = stamp

    def election(self) -> NoReturn:
        raise NotSupported("an election among workers", "send the call to a queue that one worker consumes")

    # itself

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """The call as one would write it."""
        merged, more, _ = self._merge(args, kwargs, {})
        parts = [*map(repr, merged), *(f"{name}={value!r}" for name, value in more.items())]
        return f"{self.task}({', '.join(parts)})"

    def __repr__(self) -> str:
        return self.reprcall()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Signature[R]":
        memo[id(self)] = copy = self._copy()
        for name in ("args", "kwargs", "options"):
            copy[name] = deepcopy(self[name], memo)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as a plain dict: the app is that of the process that reads it."""
        return Signature, (dict(self),)

    def merged(
        self, args: Sequence[Any], options: Mapping[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """Arguments, keywords and options of the call: these arguments before its own unless it is immutable, these
        options over its own.
        """
        if not args and not options:
            return self.args, self.kwargs, self.options
        return self._merge(args, {}, options or {})

    def known_task(self) -> Any:
        """The task; None where this process does not know it."""
        return self._type if self._type is not None else self.app.tasks.get(self.task)

    def _copy(self, **changed: Any) -> "Signature[R]":
        own = {name: self[name] for name in _KEYS} | changed
        own["kwargs"], own["options"] = dict(own["kwargs"]), dict(own["options"])
        return type(self)(own, type=self._type, app=self._app)

    def _merge(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """Arguments, keywords and options of a call that adds these."""
        own = self.options
        fixed = {"group_id", "stamped_headers", *(own.get("stamped_headers") or ())} & own.keys()
        new = {name: value for name, value in options.items() if value is not None and name not in fixed}
        chosen = own | new if new else own
        if self.immutable:
            return self.args, self.kwargs, chosen
        return (*args, *self.args), {**self.kwargs, **kwargs}, chosen

    def _append(self, option: str, linked: "Signature[Any]") -> "Signature[Any]":
        embedded(linked, option)
        known = self.options[option] = _listed(self.options.get(option))
        if linked not in known:
            known.append(linked)
        return linked


def signature(varies: Any, *args: Any, **kwargs: Any) -> Signature[Any]:
    """A signature of a task, a name or a dict; a copy of one that is given. `kwargs` are those of Signature."""
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, Mapping):
        return Signature.from_dict(varies, app=kwargs.get("app"))
    return Signature(varies, *args, **kwargs)


def maybe_signature(given: Any, app: AppLike | None = None, clone: bool = False) -> Signature[Any] | None:
    """A signature of what is one or a dict of one; with `app`, it belongs to that. None of None."""
    if given is None:
        return None
    if not isinstance(given, Signature):
        return Signature.from_dict(given, app=app)
    made = given.clone() if clone else given
    if app is not None:
        made._app = app
    return made


def embedded(given: Any, option: str) -> list[dict[str, Any]] | None:
    """What `link` or `link_error` was given, as a message carries it.

    Raises TypeError for what is no signature, NotSupported for a chain, group or chord.
    """
    found = [dict(_checked(item, option)) for item in _listed(given)]
    return found or None


def _checked(item: Any, option: str) -> Signature[Any]:
    if not isinstance(item, Mapping):
        raise TypeError(f"{option} must be a signature such as task.s(2), or a list of them, got {item!r}")
    made = item if isinstance(item, Signature) else Signature(item)
    if made.subtask_type in _COMPOSITES:
        raise NotSupported(f"the workflow {made.subtask_type!r} in {option}", _NEXT)
    return made


def _complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """The six keys, in order; Celery's own workers fail on a signature that lacks one."""
    task = given.get("task")
    if not isinstance(task, str):
        raise TypeError(f"a signature is a dict with a 'task', got {dict(given)!r}")
    return {
        "task": task,
        "args": tuple(given.get("args") or ()),
        "kwargs": dict(given.get("kwargs") or {}),
        "options": dict(given.get("options") or {}),
        "subtask_type": given.get("subtask_type"),
        "immutable": bool(given.get("immutable")),
    }


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
