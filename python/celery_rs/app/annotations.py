"""task_annotations: attributes that the settings give to tasks, by name or for all (`*`).

It is a dict, an object with `annotate(task)` and `annotate_any()`, the path of a class of such objects, or a list of
these. Each task takes the first answer for itself and then the first one for all, which is the stronger.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from celery_rs.app.classes import resolve


def attributes_of(task: Any, annotations: Any) -> list[tuple[str, Any]]:
    """(name, value), in the order in which they are to be set; a name such as `@run` means a decorator of that method.

    Raises ImproperlyConfigured for a path that leads nowhere.
    """
    sources = [_source(one) for one in (annotations if isinstance(annotations, list | tuple) else [annotations])]
    own = (_own(source, task) for source in sources)
    of_all = (_of_all(source) for source in sources)
    return [*_first(own).items(), *_first(of_all).items()]


def _source(given: Any) -> Any:
    found = resolve(given, "task_annotations")
    return found() if isinstance(found, type) else found


def _own(source: Any, task: Any) -> Any:
    if isinstance(source, Mapping):
        return source.get(task.name)
    annotate = getattr(source, "annotate", None)
    return None if annotate is None else annotate(task)


def _of_all(source: Any) -> Any:
    if isinstance(source, Mapping):
        return source.get("*")
    annotate = getattr(source, "annotate_any", None)
    return None if annotate is None else annotate()


def _first(answers: Iterator[Any]) -> Mapping[str, Any]:
    return next((answer for answer in answers if answer is not None), {})
