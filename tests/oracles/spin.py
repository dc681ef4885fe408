"""When a wait begins awake, written for people: the oracle of `celery_rs._core.SpinWait`."""


class Spin:
    def __init__(self) -> None:
        self.failed = 0
        """Waits in a row that were spent awake for nothing."""
        self.asleep = 0
        """How many waits have slept since the last of them."""

    @property
    def is_awake(self) -> bool:
        return not self.failed or self.asleep >= min(2**self.failed, 64)

    def wait(self, *, in_time: bool) -> None:
        if not self.is_awake:
            self.asleep += 1
        elif in_time:
            self.failed = 0
        else:
            self.failed += 1
            self.asleep = 0
