"""Small durable truths that every worker sees."""

import time
from collections.abc import Iterable

from celery_rs.transports import Consumer, Fact
from tests.deadlines import DEADLINE_S


def facts(found: Iterable[Fact]) -> list[tuple[str, str, bytes | None]]:
    return [(fact.kind, fact.key, fact.value) for fact in found]


def hear_of(consumer: Consumer, version: int) -> None:
    """Within a second, it is promised; a busy machine may take longer."""
    until = time.monotonic() + DEADLINE_S
    while (heard := consumer.receive(1, 0.05).facts) != version:
        assert time.monotonic() < until, f"expected version {version}, heard of {heard}"


def test_a_fact_is_seen_by_other_transports(world, transport):
    transport.facts.put("revoked", "a", b"terminate")

    _, found = world.transport().facts.since(0)

    assert facts(found) == [("revoked", "a", b"terminate")]


def test_only_what_is_new_since_a_version_is_told(transport):
    transport.facts.put("pause", "q", b"1")
    version, _ = transport.facts.since(0)
    transport.facts.put("limit", "proj.add", b"10/m")

    newer, found = transport.facts.since(version)

    assert newer > version
    assert facts(found) == [("limit", "proj.add", b"10/m")]
    assert transport.facts.since(newer) == (newer, [])


def test_a_fact_put_again_is_told_again_with_its_new_value(transport):
    transport.facts.put("limit", "proj.add", b"1/s")
    transport.facts.put("pause", "q", b"1")
    transport.facts.put("limit", "proj.add", b"2/s")

    assert facts(transport.facts.since(0)[1]) == [("pause", "q", b"1"), ("limit", "proj.add", b"2/s")]


def test_a_dropped_fact_is_told_without_a_value(transport):
    transport.facts.put("pause", "q", b"1")
    version, _ = transport.facts.since(0)

    transport.facts.drop("pause", "q")

    assert facts(transport.facts.since(version)[1]) == [("pause", "q", None)]


def test_a_fact_whose_time_has_passed_is_not_told(world, transport):
    until = world.now() + world.moment
    transport.facts.put("revoked", "a", b"", until=until)
    (fact,) = transport.facts.since(0)[1]
    assert fact.until == until

    world.pass_time(1.1 * world.moment)

    assert facts(transport.facts.since(0)[1]) == []


def test_the_version_never_falls(world, transport):
    versions = [transport.facts.since(0)[0]]
    for step in range(3):
        transport.facts.put("kind", "key", b"value", until=world.now() + world.moment / 60)
        versions.append(transport.facts.since(0)[0])
        transport.facts.drop("kind", "key")
        versions.append(transport.facts.since(0)[0])
        world.pass_time(step * world.moment / 30)

    assert versions == sorted(set(versions))


def test_receive_says_how_new_the_facts_are(transport, consumer):
    hear_of(consumer, transport.facts.since(0)[0])

    transport.facts.put("pause", "q", b"1")

    hear_of(consumer, transport.facts.since(0)[0])
