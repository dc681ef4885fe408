"""GroupResult: the results of a group, under an id by which they can be saved and found again."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from celery_rs.context import AppLike, current_app
from celery_rs.errors import BackendGetMetaError, ContentError
from celery_rs.results.async_result import AsyncResult, reader_of_results, result_from_tuple
from celery_rs.results.result_set import ResultSet
from celery_rs.wire import ResultCodec, decode_group, encode_group

if TYPE_CHECKING:
    from celery_rs.backends import ResultBackend


class GroupResult(ResultSet):
    """Results in the order of the group. Equal to a group of the same id, members and parent, and to the id itself."""

    bound_app: AppLike | None = None
    """The app of `app.GroupResult`."""

    def __init__(
        self,
        id: str | None = None,
        results: "Iterable[AsyncResult[Any] | GroupResult] | None" = None,
        parent: "AsyncResult[Any] | GroupResult | None" = None,
        app: AppLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__((), app=app or self.bound_app, **options)
        self.id = id
        self.parent = parent
        self.results = list(results or ())

    # in the result store

    def save(self, backend: "ResultBackend | None" = None) -> None:
        """Keep which tasks these are, to be found by `restore`. Raises ValueError for a group without an id."""
        store = backend or self.app.asked_backend
        store.save_group(_id_of(self), encode_group(self.as_tuple(), ResultCodec.of(self.app.conf)))

    def delete(self, backend: "ResultBackend | None" = None) -> None:
        """Undo `save`; the results of the tasks stay. Harmless for a group that was not saved."""
        (backend or self.app.asked_backend).forget_group(_id_of(self))

    @classmethod
    def restore(
        cls, id: str, backend: "ResultBackend | None" = None, app: AppLike | None = None
    ) -> "GroupResult | None":
        """The group that was saved under that id; None when there is none."""
        app = app or cls.bound_app or current_app()
        store = backend or app.asked_backend
        raw = store.fetch_group(id)
        if raw is None:
            return None
        try:
            found = result_from_tuple(decode_group(raw, reader_of_results(app)), app)
        except (ContentError, ValueError) as error:
            raise BackendGetMetaError(
                f"the group {id} in {store.describe()} cannot be read: {error}; "
                "was it saved with another result_serializer?",
                task_id=id,
            ) from None
        if not isinstance(found, GroupResult):
            raise BackendGetMetaError(f"expected a group in {store.describe()}, got the task {found.id}", task_id=id)
        return found

    # who it is

    @property
    def children(self) -> "list[Any]":
        """The results in it."""
        return self.results

    def as_tuple(self) -> tuple[Any, list[Any]]:
        """((id, parent), [members]): how a record names it."""
        parent = None if self.parent is None else self.parent.as_tuple()
        return (self.id, parent), [result.as_tuple() for result in self.results]

    def as_list(self) -> list[Any]:
        """Its id and those of its parents."""
        return [self.id, *([] if self.parent is None else self.parent.as_list())]

    def parents(self) -> "Iterator[AsyncResult[Any] | GroupResult]":
        """From the first to the nearest."""
        if self.parent is not None:
            yield from self.parent.parents()
            yield self.parent

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return (self.id, self.results, self.parent) == (other.id, other.results, other.parent)
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id} [{', '.join(str(result) for result in self.results)}]>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its app: that is the one of the process that reads it."""
        return GroupResult, (self.id, self.results, self.parent)


def _id_of(group: GroupResult) -> str:
    if not group.id:
        raise ValueError(f"a group is saved under its id, got {group.id!r}")
    return group.id
