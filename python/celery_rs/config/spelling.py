"""The known name nearest to a misspelt one, for error messages. Pure."""

from collections.abc import Iterable


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`; `limit + 1` when they are more."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    previous: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, previous, row = previous, row, [i]
        for j, y in enumerate(b, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
            if before and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
    return min(row[-1], limit + 1)


def nearest(name: str, known: Iterable[str], limit: int | None = None) -> str | None:
    """The known name closest to `name`, if it is within `limit` edits (default: a third of its length, 2 at least)."""
    most = max(2, len(name) // 3) if limit is None else limit
    best, best_distance = None, most + 1
    for candidate in known:
        found = distance(name, candidate, best_distance - 1)
        if found < best_distance:
            best, best_distance = candidate, found
    return best


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""
