"""What can be wrong with an app, one rule each. Pure: facts in, findings out.

A finding is a line that says what is wrong and a line to change. Rules judge what is certain from the settings and the
tasks; what depends on a call's arguments, as routes by function do, is left alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs.config import BY_NAME, NOT_YET, WORKS, check_rate, nearest
from celery_rs.errors import ImproperlyConfigured

_EXCLUSIVE_PAIRS = ("control_queue", "event_queue")
_OF_RESULTS = ("result_expires", "result_extended", "result_serializer", "task_track_started")


class Finding(NamedTuple):
    """`rule` names the kind of mistake, for programs."""

    rule: str
    what: str
    change: str


class TaskFacts(NamedTuple):
    """A task as a worker will treat it; limits are seconds. `queue` is None where only a call can tell."""

    name: str
    queue: str | None = None
    soft_limit: float | None = None
    hard_limit: float | None = None
    late: bool = False
    rejects_when_lost: bool = False
    wants_result: bool = False
    """It says ignore_result=False itself."""


class Facts(NamedTuple):
    """What is known of an app. `settings` are those somebody set, by present name."""

    settings: Mapping[str, Any] = {}
    complaints: Sequence[tuple[str, str]] = ()
    """What reading the settings warned of, each with the line to change."""
    errors: Sequence[str] = ()
    """What did not let settings or tasks be read at all."""
    old_names: Sequence[str] = ()
    failed_imports: Sequence[tuple[str, str]] = ()
    """(module, error)"""
    tasks: Sequence[TaskFacts] = ()
    queues: Sequence[str] = ()
    """What is consumed: by the workers that answered, else by one that is told nothing."""
    workers: Sequence[str] = ()
    """Those that answered."""
    results_off: bool = False
    lease: float | None = None
    """Seconds after which a broker delivers again what nobody acknowledged; None is never."""


def unreadable(facts: Facts) -> Iterator[Finding]:
    for error in facts.errors:
        yield Finding("unreadable", error, "correct that setting")


def settings_that_do_not_work(facts: Facts) -> Iterator[Finding]:
    """What reading them complained of, and what was set where complaints are for later."""
    said = set()
    for what, change in facts.complaints:
        said.add(what.partition(" ")[0])
        yield Finding("setting", what, change)
    for name, value in facts.settings.items():
        row = BY_NAME.get(name)
        if row is None or name in said or row.state == WORKS or value is None or value == row.default:
            continue
        yet = " yet" if row.state == NOT_YET else ""
        yield Finding("setting", f"{name} is not supported{yet}: {row.why}", f"delete {name}")


def old_names(facts: Facts) -> Iterator[Finding]:
    if facts.old_names:
        yield Finding(
            "old name",
            f"names of settings from before Celery 4: {', '.join(facts.old_names)}",
            "celery-rs upgrade settings FILE",
        )


def imports_that_fail(facts: Facts) -> Iterator[Finding]:
    for module, error in facts.failed_imports:
        yield Finding(
            "import", f"importing the task module {module!r} fails with {error}", f"correct {module} or imports"
        )


def conflicts(facts: Facts) -> Iterator[Finding]:
    """Settings that contradict each other."""
    set_ = facts.settings
    for pair in _EXCLUSIVE_PAIRS:
        if set_.get(f"{pair}_exclusive", True) and set_.get(f"{pair}_durable"):
            yield Finding(
                "conflict", f"{pair}_exclusive and {pair}_durable exclude each other", f"{pair}_durable = False"
            )
    if set_.get("worker_enable_soft_shutdown_on_idle") and not set_.get("worker_soft_shutdown_timeout"):
        yield Finding(
            "conflict",
            "worker_enable_soft_shutdown_on_idle does nothing without worker_soft_shutdown_timeout",
            "worker_soft_shutdown_timeout = 10",
        )


def soft_above_hard(facts: Facts) -> Iterator[Finding]:
    for task in facts.tasks:
        if task.soft_limit is not None and task.hard_limit is not None and task.soft_limit > task.hard_limit:
            yield Finding(
                "limit",
                f"task {task.name!r}: the soft limit of {task.soft_limit:g} s is above the hard one of "
                f"{task.hard_limit:g} s, and never comes",
                f"@app.task(soft_time_limit={task.hard_limit * 0.9:g}, time_limit={task.hard_limit:g})",
            )


def limits_above_the_lease(facts: Facts) -> Iterator[Finding]:
    """What is not acknowledged in time runs twice: a long late task, and what waits behind a long one."""
    if facts.lease is None:
        return
    for task in facts.tasks:
        longest = task.hard_limit if task.hard_limit is not None else task.soft_limit
        if longest is not None and longest > facts.lease:
            what = "its message is" if task.late else "messages that wait behind it are"
            yield Finding(
                "lease",
                f"task {task.name!r} may run for {longest:g} s, and after {facts.lease:g} s {what} delivered again",
                f"broker_transport_options = {{'visibility_timeout': {longest * 2:g}}}",
            )


def lost_without_late(facts: Facts) -> Iterator[Finding]:
    for task in facts.tasks:
        if task.rejects_when_lost and not task.late:
            yield Finding(
                "conflict",
                f"task {task.name!r}: reject_on_worker_lost does nothing without acks_late",
                "@app.task(acks_late=True, reject_on_worker_lost=True)",
            )


def queues_nobody_consumes(facts: Facts) -> Iterator[Finding]:
    queues = ",".join(facts.queues)
    who = "none of the workers that answered consumes" if facts.workers else "a worker without -Q does not consume"
    for task in facts.tasks:
        if task.queue is not None and task.queue not in facts.queues:
            wanted = ",".join(part for part in (queues, task.queue) if part)
            yield Finding(
                "queue",
                f"task {task.name!r} goes to the queue {task.queue!r}, which {who}",
                f"celery-rs -A ... worker -Q {wanted}",
            )


def names_that_are_no_task(facts: Facts) -> Iterator[Finding]:
    """Exact names in annotations and routes; patterns may be for tasks of other programs."""
    tasks = [task.name for task in facts.tasks]
    for setting in ("task_annotations", "task_routes"):
        for name in _names_in(facts.settings.get(setting)):
            if name in tasks or any(sign in name for sign in "*?[@"):
                continue
            meant = nearest(name, tasks)
            if setting == "task_annotations" or meant is not None:
                yield Finding(
                    "name",
                    f"{setting} names {name!r}, which is no task here"
                    + (f"; did you mean {meant!r}?" if meant else ""),
                    f"{setting} = {{{(meant or '*')!r}: ...}}",
                )


def rates_that_make_no_sense(facts: Facts) -> Iterator[Finding]:
    for name, attributes in _annotations(facts.settings.get("task_annotations")):
        try:
            check_rate(f"task_annotations: rate_limit of {name!r}", attributes.get("rate_limit"))
        except ImproperlyConfigured as error:
            yield Finding("rate", str(error), f"task_annotations = {{{name!r}: {{'rate_limit': '10/m'}}}}")


def results_that_are_off(facts: Facts) -> Iterator[Finding]:
    if not facts.results_off:
        return
    change = "result_backend = 'sqlite:///results.sqlite3'"
    for name in _OF_RESULTS:
        if facts.settings.get(name):
            yield Finding("results", f"{name} does nothing: no result_backend is set, so results are not kept", change)
    if facts.settings.get("task_ignore_result") is False:
        yield Finding("results", "task_ignore_result = False, and no result_backend is set to keep results", change)
    for task in facts.tasks:
        if task.wants_result:
            yield Finding(
                "results", f"task {task.name!r} has ignore_result=False, and no result_backend is set", change
            )


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    unreadable,
    settings_that_do_not_work,
    old_names,
    imports_that_fail,
    conflicts,
    soft_above_hard,
    limits_above_the_lease,
    lost_without_late,
    queues_nobody_consumes,
    names_that_are_no_task,
    rates_that_make_no_sense,
    results_that_are_off,
)


def judge(facts: Facts) -> list[Finding]:
    """All that is wrong, in the order of the rules."""
    return [finding for rule in RULES for finding in rule(facts)]


def _names_in(given: Any) -> Iterator[str]:
    if isinstance(given, Mapping):
        yield from (name for name in given if isinstance(name, str))
    elif isinstance(given, list | tuple):
        for item in given:
            if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str):
                yield item[0]
            else:
                yield from _names_in(item)


def _annotations(given: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for annotation in given if isinstance(given, list | tuple) else [given]:
        if isinstance(annotation, Mapping):
            yield from ((str(name), found) for name, found in annotation.items() if isinstance(found, Mapping))
