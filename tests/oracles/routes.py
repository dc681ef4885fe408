"""Which rule a name falls under, and which topics match, by Python's own matchers."""

import fnmatch
import re
from collections.abc import Sequence


def lookup(rules: Sequence[tuple[str, str]], name: str) -> int | None:
    for place, (kind, pattern) in enumerate(rules):
        if kind == "exact" and pattern == name:
            return place
    for place, (kind, pattern) in enumerate(rules):
        if kind == "glob" and fnmatch.fnmatchcase(name, pattern):
            return place
        if kind == "regex" and re.match(pattern, name):
            return place
    return None


def topic_matches(pattern: str, routing_key: str) -> bool:
    return words_match(words(pattern), words(routing_key))


def words(text: str) -> list[str]:
    return text.split(".") if text else []


def words_match(pattern: list[str], key: list[str]) -> bool:
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(words_match(pattern[1:], key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and words_match(pattern[1:], key[1:])
