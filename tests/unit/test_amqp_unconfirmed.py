"""What is published and not confirmed: by the numbers that a broker counts with."""

from celery_rs.transports.amqp.unconfirmed import Publish, Unconfirmed
from celery_rs.transports.base import Route


def publishes(count: int) -> list[Publish]:
    return [Publish(b"frames of %d" % number, Route("", "celery"), "celery") for number in range(count)]


def test_a_confirm_is_for_one_or_for_all_up_to_it():
    unconfirmed = Unconfirmed()
    first, second, third, fourth = written = publishes(4)
    unconfirmed.add(written, 1.0)

    assert unconfirmed.confirm(2, False, 2.0) == [second]
    assert unconfirmed.confirm(3, True, 2.0) == [first, third]
    assert unconfirmed.confirm(3, True, 2.0) == []
    assert unconfirmed.take_all() == [fourth]


def test_a_broker_that_confirms_slowly_is_not_silent():
    unconfirmed = Unconfirmed()
    unconfirmed.add(publishes(3), 1.0)
    assert unconfirmed.silent_since() == 1.0

    unconfirmed.confirm(1, False, 5.5)
    assert unconfirmed.silent_since() == 5.5

    unconfirmed.add(publishes(1), 7.0)
    assert unconfirmed.silent_since() == 5.5


def test_a_broker_that_owes_no_confirm_is_not_silent():
    unconfirmed = Unconfirmed()
    assert unconfirmed.silent_since() is None

    unconfirmed.add(publishes(1), 1.0)
    unconfirmed.confirm(1, False, 2.0)
    assert unconfirmed.silent_since() is None

    unconfirmed.add(publishes(1), 60.0)
    assert unconfirmed.silent_since() == 60.0
