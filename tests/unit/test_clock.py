"""The logical clock of control messages."""

from celery_rs.control import Control
from celery_rs.wire import LamportClock, exchanges, open_request
from tests.apps import make_app
from tests.fake_worker import fake_workers


def test_what_is_said_is_later_than_all_that_was_heard_before() -> None:
    clock = LamportClock()

    assert [clock.forward(), clock.adjust(10), clock.adjust(3), clock.forward()] == [1, 11, 12, 13]


def test_requests_carry_the_clock_and_replies_move_it() -> None:
    app = make_app()
    app.clock.adjust(40)

    with fake_workers(app.transport, "w1@h") as (worker,):
        Control(app).ping(destination=["w1@h"])

    assert worker.heard[0].clock == 42
    assert app.clock.value == 43


def test_a_time_out_of_all_proportion_is_no_time() -> None:
    app = make_app()
    subscription = app.transport.subscribe(exchanges("celery")[0], "#")
    app.clock.value = 2**60

    app.control.broadcast("ping")

    (raw,) = subscription.receive(10)
    request = open_request(raw)
    assert getattr(request, "clock", None) == 0
