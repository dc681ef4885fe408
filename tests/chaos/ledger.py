"""The books of a chaos run: what became of every task that was acknowledged to its caller (pure).

    enqueued = finished + failed + revoked + dead + queued

*finished* comes from the journal alone; *failed* (a stored WorkerLostError, early acknowledgement only), *revoked*
(and asked for), *dead* and *queued* are asked of broker and result store. A task that ran more often than once is
explained by the death of the process that ran it before, or by a stop of its worker: what that holds others take over,
and it starts what it still thinks its own once it goes on. Else it counts as unexplained. One that starts after REVOKED
was seen in the store has risen from the dead. One that succeeded and whose follow-up is nowhere is unfollowed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

UNAWARE_S = 10.0
"""A worker that was stopped learns what it has lost within so many seconds, on a slow machine too."""
UNWRITTEN_S = 1.0
"""What had ended so shortly before the stop may not have been written."""


@dataclass(slots=True)
class Run:
    """One start of a task: by which process, when, and when it ended, if it did."""

    pid: int
    started: float
    ended: float | None = None


@dataclass(slots=True)
class Journal:
    """What the tasks and the monkey wrote down; times are monotonic seconds."""

    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    killed: dict[int, float] = field(default_factory=dict)
    stops: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By process: from when to when its worker was stopped."""
    followed: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    buried: dict[str, float] = field(default_factory=dict)
    """When REVOKED was first seen in the store."""

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Journal":
        journal = cls()
        for line in lines:
            if len(line.split()) != 4:
                continue  # empty, or torn by the death of its writer: it has not happened
            kind, subject, pid, when = line.split()
            if kind == "start":
                journal.runs[subject].append(Run(int(pid), float(when)))
            elif kind == "end":
                open_run = next(run for run in reversed(journal.runs[subject]) if run.pid == int(pid))
                open_run.ended = float(when)
            elif kind == "followed":
                journal.followed.add(subject)
            elif kind == "revoked":
                journal.revoked.add(subject)
            elif kind == "stopped":
                journal.stops[int(subject)].append((float(when), float("inf")))
            elif kind == "resumed":
                journal.stops[int(subject)][-1] = (journal.stops[int(subject)][-1][0], float(when))
            elif kind == "buried":
                journal.buried[subject] = float(when)
            else:
                journal.killed[int(subject)] = float(when)
        return journal

    def finished(self) -> set[str]:
        return {id for id, runs in self.runs.items() if any(run.ended is not None for run in runs)}

    def repeated(self) -> set[str]:
        return {id for id, runs in self.runs.items() if len(runs) > 1}

    def risen(self) -> set[str]:
        """Tasks that started although the store had said that they are revoked."""
        return {id for id, when in self.buried.items() if any(run.started > when for run in self.runs.get(id, ()))}

    def unexplained(self) -> set[str]:
        """Tasks that ran again although the process of an earlier run was never killed after that run began.

        A run around a stop of its worker counts neither way.
        """
        return {
            id
            for id, runs in self.runs.items()
            if any(
                self.killed.get(run.pid, -1.0) < run.started
                for run in sorted(filter(self._undisturbed, runs), key=lambda run: run.started)[:-1]
            )
        }

    def story(self, id: str) -> str:
        """What is known of a task's runs, for people."""
        return f"{id}: " + "; ".join(
            f"process {run.pid} began it at {run.started:.3f}, "
            f"{'did not end it' if run.ended is None else f'ended it at {run.ended:.3f}'}, "
            f"was killed at {self.killed.get(run.pid)}, stopped {self.stops.get(run.pid, [])}"
            for run in self.runs[id]
        )

    def _undisturbed(self, run: Run) -> bool:
        return not any(
            run.started < resumed + UNAWARE_S and (run.ended is None or run.ended > stopped - UNWRITTEN_S)
            for stopped, resumed in self.stops.get(run.pid, ())
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The balance; `lost` and `unexplained` must be empty."""

    enqueued: int
    finished: int
    failed: int
    revoked: int
    dead: int
    queued: int
    repeated: int
    kills: int
    lost: Collection[str]
    unexplained: Collection[str]
    risen: Collection[str]
    unfollowed: Collection[str]
    stories: Collection[str] = ()
    """Of those that are unexplained or have risen."""

    @property
    def balanced(self) -> bool:
        return not (self.lost or self.unexplained or self.risen or self.unfollowed)

    def __str__(self) -> str:
        return (
            f"enqueued {self.enqueued} = finished {self.finished} + failed {self.failed} + revoked {self.revoked} "
            f"+ dead {self.dead} + queued {self.queued}; lost {len(self.lost)}; "
            f"ran again {self.repeated}, unexplained {len(self.unexplained)}; risen {len(self.risen)}; "
            f"unfollowed {len(self.unfollowed)}; processes killed {self.kills}"
        ) + "".join(f"\n{story}" for story in self.stories)


def balance(
    enqueued: Collection[str], journal: Journal, whereabouts: Mapping[str, str], unfollowed: Collection[str] = ()
) -> Ledger:
    """`whereabouts` tells of every task that did not finish: failed, revoked, dead, queued, or nothing known."""
    finished = journal.finished()
    places = {place: set[str]() for place in ("failed", "revoked", "dead", "queued")}
    lost = []
    for id in enqueued:
        if id in finished:
            continue
        if whereabouts.get(id) in places:
            places[whereabouts[id]].add(id)
        else:
            lost.append(id)
    unexplained, risen = journal.unexplained(), journal.risen()
    return Ledger(
        enqueued=len(enqueued),
        finished=sum(id in finished for id in enqueued),
        failed=len(places["failed"]),
        revoked=len(places["revoked"]),
        dead=len(places["dead"]),
        queued=len(places["queued"]),
        repeated=len(journal.repeated()),
        kills=len(journal.killed),
        lost=lost,
        unexplained=unexplained,
        risen=risen,
        unfollowed=unfollowed,
        stories=[journal.story(id) for id in sorted(unexplained | risen)],
    )
