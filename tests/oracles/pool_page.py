"""What a pool page says, without memory, atomics or a second process."""

from dataclasses import dataclass, field

RING_WORDS = 16384


@dataclass
class PoolPage:
    limit: int = 0
    starts: dict[int, float] = field(default_factory=dict)
    void_up_to: float = 0
    finished: int = 0
    named: int = 0
    ring: list[bytes] = field(default_factory=list)

    def started(self) -> int:
        return max(self.starts, default=0)

    def running(self) -> tuple[int, float] | None:
        job = self.started()
        return (job, self.starts[job]) if job > self.finished else None

    def start(self, job: int, now: float) -> bool:
        may_start = self.started() < job <= self.limit and job > self.void_up_to
        if may_start:
            self.starts[job] = now
        return may_start

    def finish(self, job: int) -> None:
        self.finished = job

    def allow(self, limit: int) -> None:
        self.limit = max(self.limit, limit)

    def recall(self, sent: float) -> int:
        self.void_up_to = max(self.void_up_to, sent)
        return self.started()

    def freeze(self) -> int:
        return self.recall(float("inf"))

    def runs(self, job: int) -> bool:
        return job == self.started() and job > self.finished

    def target(self, job: int) -> bool:
        self.named = job
        return self.runs(job)

    def targeted(self) -> bool:
        return self.runs(self.named)

    def push(self, outcome: bytes) -> bool:
        fits = sum(map(words, self.ring)) + words(outcome) <= RING_WORDS
        if fits:
            self.ring.append(outcome)
        return fits

    def drain(self) -> list[bytes]:
        taken, self.ring = self.ring, []
        return taken


def words(outcome: bytes) -> int:
    """How many words a record takes: its length, then its bytes."""
    return 1 + (len(outcome) + 7) // 8
