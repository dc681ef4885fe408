"""Ids that a worker invents: the same crash repeated invents the same ids."""

from uuid import UUID, uuid5

_OURS = UUID("5c1f0a9e-6a57-5b8e-9d0a-0d0c5e1e57a5")


def invented_id(task_id: str, retries: int, position: int) -> str:
    """The id of the `position`-th message that follows this attempt of a task."""
    return str(uuid5(_OURS, f"{task_id}.{retries}.{position}"))
