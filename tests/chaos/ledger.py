"""The books of a chaos run: what became of every task that was acknowledged to its caller (pure).

    enqueued = finished + failed + dead + queued

*finished* comes from the journal alone; *failed* (a stored WorkerLostError, early acknowledgement only),
*dead* and *queued* are asked of broker and result store. A task that ran more often than once is explained by
the death of the process that ran it before, or it counts as unexplained.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


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
            else:
                journal.killed[int(subject)] = float(when)
        return journal

    def finished(self) -> set[str]:
        return {id for id, runs in self.runs.items() if any(run.ended is not None for run in runs)}

    def repeated(self) -> set[str]:
        return {id for id, runs in self.runs.items() if len(runs) > 1}

    def unexplained(self) -> set[str]:
        """Tasks that ran again although the process of an earlier run was never killed after that run began."""
        return {
            id
            for id, runs in self.runs.items()
            if any(
                self.killed.get(run.pid, -1.0) < run.started for run in sorted(runs, key=lambda run: run.started)[:-1]
            )
        }


@dataclass(frozen=True, slots=True)
class Ledger:
    """The balance; `lost` and `unexplained` must be empty."""

    enqueued: int
    finished: int
    failed: int
    dead: int
    queued: int
    repeated: int
    kills: int
    lost: Collection[str]
    unexplained: Collection[str]

    @property
    def balanced(self) -> bool:
        return not self.lost and not self.unexplained

    def __str__(self) -> str:
        return (
            f"enqueued {self.enqueued} = finished {self.finished} + failed {self.failed} + dead {self.dead} "
            f"+ queued {self.queued}; lost {len(self.lost)}; "
            f"ran again {self.repeated}, unexplained {len(self.unexplained)}; processes killed {self.kills}"
        )


def balance(enqueued: Collection[str], journal: Journal, whereabouts: Mapping[str, str]) -> Ledger:
    """`whereabouts` tells of every task that did not finish: failed, dead, queued, or nothing known."""
    finished = journal.finished()
    places = {place: set[str]() for place in ("failed", "dead", "queued")}
    lost = []
    for id in enqueued:
        if id in finished:
            continue
        if whereabouts.get(id) in places:
            places[whereabouts[id]].add(id)
        else:
            lost.append(id)
    return Ledger(
        enqueued=len(enqueued),
        finished=sum(id in finished for id in enqueued),
        failed=len(places["failed"]),
        dead=len(places["dead"]),
        queued=len(places["queued"]),
        repeated=len(journal.repeated()),
        kills=len(journal.killed),
        lost=lost,
        unexplained=journal.unexplained(),
    )
