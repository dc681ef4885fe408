"""DjangoTask: a task that can be sent when the transaction commits, and is not when it is rolled back."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from celery_rs.app import Task

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    # Defaults, so that a subclass may be written `class MyTask(DjangoTask)` in strictly checked programs
    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


class DjangoTask(Task[P, R]):
    """What `@app.task` and `@shared_task` make in a Django project.

    Who waits for a commit gets no result's handle: there is no call yet. Arguments are kept until then, not copied.
    """

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """`delay`, once the transaction has committed; at once where there is none, never where it is rolled back."""
        transaction.on_commit(partial(self.delay, *args, **kwargs))

    def apply_async_on_commit(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """`apply_async` in the same way, with its options."""
        transaction.on_commit(partial(self.apply_async, args, kwargs, **options))
