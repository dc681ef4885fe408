"""Task states, and which of two states wins.

The words are Celery's and travel on the wire. `precedence` ranks them for merging: a lower number
wins, and any state that is not listed (a custom one) ranks between FAILURE and REVOKED.
"""

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
RETRY = "RETRY"
IGNORED = "IGNORED"

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
ALL_STATES = frozenset({PENDING, RECEIVED, STARTED, SUCCESS, FAILURE, RETRY, REVOKED})

_RANKS = {
    SUCCESS: 0,
    FAILURE: 1,
    # a custom state: 2
    REVOKED: 3,
    STARTED: 4,
    RECEIVED: 5,
    REJECTED: 6,
    RETRY: 7,
    PENDING: 8,
}
_CUSTOM_RANK = 2


def precedence(state: str) -> int:
    """Rank of `state`: 0 (SUCCESS) wins over everything, 8 (PENDING) over nothing."""
    return _RANKS.get(state, _CUSTOM_RANK)
