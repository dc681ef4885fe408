"""How fast is the embedded broker by itself? No worker, no tasks: publish, reserve and finish, wake.

    python -m bench.micro sqlite [--count 20000]

One process publishes and drains; for the wake-up a second one waits in `receive` and tells when it had the message. The
file lies in a temporary directory (`TMPDIR`).
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from celery_rs.backends import open_backend
from celery_rs.transports import Completion, Outgoing, Route, Transport, open_transport
from celery_rs.wire import Message, TaskResult

BATCH = 100
WAKES = 300
ROUTE = Route("", "bench")


def call() -> Outgoing:
    id = str(uuid.uuid4())
    return Outgoing(Message(task="bench.noop", id=id, body=b"[[1, 2], {}, {}]", delivery_tag=id), ROUTE)


def rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def publish_each(transport: Transport, calls: list[Outgoing]) -> None:
    for outgoing in calls:
        transport.publish([outgoing])


def publish_batches(transport: Transport, calls: list[Outgoing]) -> None:
    for start in range(0, len(calls), BATCH):
        transport.publish(calls[start : start + BATCH])


def drain(url: str, transport: Transport, *, whole: bool) -> None:
    backend = open_backend(url, {}, expires=86_400.0)
    consumer = transport.consume([ROUTE.routing_key])
    assert consumer.commits(backend)
    while deliveries := consumer.receive(BATCH, 0).deliveries:
        if whole:
            consumer.begin([delivery.tag for delivery in deliveries])
        records = [TaskResult(delivery.envelope.id, "SUCCESS", 0, b"x" * 200) for delivery in deliveries]  # type: ignore[union-attr]
        consumer.finish(
            [
                Completion(delivery.tag, record=record if whole else None)
                for delivery, record in zip(deliveries, records, strict=True)
            ]
        )
    consumer.close()
    backend.close()


def wait_for_messages(url: str, heard: Connection) -> None:
    transport = open_transport(url, {})
    consumer = transport.consume([ROUTE.routing_key])
    for _ in range(WAKES):
        heard.send(None)
        while not (deliveries := consumer.receive(1, 5).deliveries):
            pass
        heard.send(time.perf_counter())
        consumer.finish([Completion(delivery.tag) for delivery in deliveries])


def wake_latencies(url: str, transport: Transport) -> list[float]:
    ours, theirs = multiprocessing.Pipe()
    waiter = multiprocessing.get_context("spawn").Process(target=wait_for_messages, args=(url, theirs))
    waiter.start()
    latencies = []
    for _ in range(WAKES):
        ours.recv()
        time.sleep(0.01)  # it goes to wait
        started = time.perf_counter()
        transport.publish([call()])
        latencies.append(ours.recv() - started)
    waiter.join()
    return sorted(latencies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="messages per measurement")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'bench.sqlite3'}"
        transport = open_transport(url, {})
        calls = [call() for _ in range(count)]
        for name, work in {
            "publish, one by one": lambda: publish_each(transport, calls),
            "reserve and finish": lambda: drain(url, transport, whole=False),
            f"publish, {BATCH} at a time": lambda: publish_batches(transport, calls),
            "reserve, begin, finish with results": lambda: drain(url, transport, whole=True),
        }.items():
            print(f"{name:<36} {rate(count, work):>10,.0f} /s")
        latencies = wake_latencies(url, transport)
        p50, p99 = statistics.median(latencies) * 1e6, latencies[int(len(latencies) * 0.99)] * 1e6
        print(f"{'wake, publish to receive':<36} p50 {p50:,.0f} us, p99 {p99:,.0f} us")
        transport.close()


if __name__ == "__main__":
    main()
