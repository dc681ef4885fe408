"""The one function that ends deliveries, whatever the broker and the result store are.

The order is fixed: publish what follows, store the record, count the chord part, settle the delivery. It all
happens only while the tag is still held. Where broker and store are one, the consumer does it in one step;
elsewhere each step is repeat-safe (invented ids, `supersedes`, counted parts), so a failure in the middle is
repeated from the start.
"""

from collections.abc import Collection, Mapping, Sequence

from celery_rs.backends import ResultWriter
from celery_rs.errors import Unroutable
from celery_rs.transports import Burial, Completion, Consumer, Outgoing, Tag, Transport, Verdict

CHORD_CLAIM_S = 30.0
PUBLISH_S = 10.0
"""Long enough for a broker that does not answer to be found out, and for another try."""


def finish(
    batch: Sequence[Completion],
    *,
    transport: Transport,
    consumer: Consumer,
    backend: ResultWriter,
    elsewhere: Transport | None = None,
) -> Sequence[Verdict]:
    """Complete these deliveries; `lost` ones left no trace. Raises OperationalError, BackendError.

    `elsewhere` is where calls are written to, if that is not where messages are read from (broker_write_url).
    """
    if elsewhere is None and (not _concern_a_store(batch) or consumer.commits(backend)):
        return consumer.finish(batch)
    held = set(consumer.holds([completion.tag for completion in batch]))
    ours = [completion for completion in batch if completion.tag in held]
    strays = _publish([outgoing for completion in ours for outgoing in completion.followups], elsewhere or transport)
    records = [completion.record for completion in ours if completion.record is not None]
    if records:
        backend.store(records)
    parts = [completion.part for completion in ours if completion.part is not None]
    if parts:
        backend.claim_chords(parts, CHORD_CLAIM_S)
    verdicts = dict(
        zip(
            (completion.tag for completion in ours),
            consumer.finish([_rest(completion, strays) for completion in ours]),
            strict=True,
        )
    )
    return [verdicts.get(completion.tag, "lost") for completion in batch]


def _concern_a_store(batch: Sequence[Completion]) -> bool:
    return any(completion.record is not None or completion.part is not None for completion in batch)


def _publish(followups: Sequence[Outgoing], transport: Transport) -> set[int]:
    """Publish them; returns the `id()`s of those that no queue takes."""
    strays: set[int] = set()
    try:
        if followups:
            transport.publish(followups, wait="stored", deadline=PUBLISH_S)
    except Unroutable:
        for outgoing in followups:
            try:
                transport.publish([outgoing], wait="stored", deadline=PUBLISH_S)
            except Unroutable:
                strays.add(id(outgoing))
    return strays


def _rest(completion: Completion, strays: Collection[int]) -> Completion:
    """What is left to do for the broker: settle, and make dead letters of the strays."""
    return Completion(
        completion.tag, completion.how, [outgoing for outgoing in completion.followups if id(outgoing) in strays]
    )


def bury(letters: Mapping[Tag, Burial], *, consumer: Consumer, backend: ResultWriter) -> None:
    """Make dead letters of these, their records stored first. Raises OperationalError, BackendError."""
    if consumer.commits(backend):
        consumer.bury(letters)
        return
    held = {tag: letters[tag] for tag in consumer.holds(list(letters))}
    records = [burial.record for burial in held.values() if burial.record is not None]
    if records:
        backend.store(records)
    consumer.bury({tag: burial._replace(record=None) for tag, burial in held.items()})
