"""The gate: where a delivery goes, and that it is always in exactly one place."""

import pytest

from celery_rs import _core
from celery_rs.transports import Features
from celery_rs.worker.dispatcher import NEAR_S, PARKED_MOST, Caps, Dispatcher, Moment
from celery_rs.worker.policy import Policy
from tests.messages import delivery

NOW = Moment(wall=1_800_000_000.0, mono=100.0)


def iso(epoch: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch, UTC).isoformat()


def later(seconds: float) -> Moment:
    return Moment(NOW.wall + seconds, NOW.mono + seconds)


def make(rate: str | None = None, **caps: int) -> Dispatcher:
    limiter = _core.RateLimiter()
    limiter.set("proj.add", rate, NOW.mono)
    policies = {"proj.add": Policy(rate=rate), "proj.other": Policy()}
    return Dispatcher(policies, limiter, Caps(**caps))


def test_a_plain_task_is_ready_at_once() -> None:
    dispatcher = make()

    rulings = dispatcher.admit([delivery()], NOW)

    assert (dispatcher.ready, len(rulings.received)) == (1, 1)


def test_bytes_that_are_no_envelope_become_a_dead_letter() -> None:
    dispatcher = make()
    (error,) = _core.open_envelopes([b"\xff garbage"])

    rulings = dispatcher.admit([delivery()._replace(envelope=error)], NOW)

    assert [dead.reason for dead in rulings.dead] == ["undecodable"]
    assert dispatcher.ready == 0


def test_an_unknown_task_becomes_a_dead_letter_whose_caller_is_told() -> None:
    dispatcher = make()

    (dead,) = dispatcher.admit([delivery("proj.gone")], NOW).dead

    assert dead.reason == "unknown-task"
    assert "'proj.gone' is not registered" in str(dead.error)


def test_a_message_that_killed_its_runner_too_often_is_buried() -> None:
    dispatcher = make(crashes=3)

    rulings = dispatcher.admit([delivery(crashes=2), delivery(crashes=3)], NOW)

    assert [dead.reason for dead in rulings.dead] == ["crashes"]
    assert dispatcher.ready == 1


def test_a_message_that_was_delivered_too_often_is_buried() -> None:
    dispatcher = make(deliveries=20)

    rulings = dispatcher.admit([delivery(deliveries=20), delivery(deliveries=21)], NOW)

    assert [dead.reason for dead in rulings.dead] == ["deliveries"]


def test_an_expired_task_is_not_run() -> None:
    dispatcher = make()

    rulings = dispatcher.admit([delivery(expires=iso(NOW.wall - 1))], NOW)

    assert len(rulings.expired) == 1
    assert (dispatcher.ready, dispatcher.in_hand) == (0, 1)


def test_a_far_eta_goes_back_to_the_broker() -> None:
    dispatcher = make()
    due = NOW.wall + NEAR_S + 60

    rulings = dispatcher.admit([delivery(tag="a.1.1", eta=iso(due))], NOW)

    assert rulings.deferred == {"a.1.1": due}
    assert dispatcher.parked == 0


def test_a_near_eta_is_parked_until_it_is_due() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(eta=iso(NOW.wall + 2))], NOW)

    assert (dispatcher.parked, dispatcher.ready, dispatcher.in_hand) == (1, 0, 0)

    dispatcher.release(later(2.1))

    assert (dispatcher.parked, dispatcher.ready) == (0, 1)


def test_an_expiry_that_passes_while_parked_is_noticed() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(eta=iso(NOW.wall + 2), expires=iso(NOW.wall + 1))], NOW)

    rulings = dispatcher.release(later(2.1))

    assert len(rulings.expired) == 1


def test_a_rate_limit_lets_one_through_and_parks_the_rest_a_token_apart() -> None:
    dispatcher = make(rate="10/m")
    dispatcher.admit([delivery() for _ in range(3)], NOW)

    assert (dispatcher.ready, dispatcher.parked) == (1, 2)

    dispatcher.release(later(6.01))
    assert (dispatcher.ready, dispatcher.parked) == (2, 1)

    dispatcher.release(later(12.01))
    assert (dispatcher.ready, dispatcher.parked) == (3, 0)


def test_parked_jobs_do_not_use_the_window() -> None:
    dispatcher = make(rate="1/h")

    dispatcher.admit([delivery() for _ in range(50)], NOW)

    assert (dispatcher.in_hand, dispatcher.parked) == (1, 49)


def test_a_rate_limited_task_does_not_hold_up_another() -> None:
    dispatcher = make(rate="1/h")
    dispatcher.admit([delivery(), delivery(), delivery("proj.other")], NOW)

    assert dispatcher.ready == 2


def test_what_does_not_fit_into_the_parking_is_deferred_and_pays_its_token_once() -> None:
    dispatcher = make(rate="100/s")
    dispatcher.admit([delivery() for _ in range(PARKED_MOST + 1)], NOW)
    overflow = delivery(id="overflow")
    dispatcher.admit([overflow], NOW)

    back = dispatcher.admit([overflow._replace(tag="test.2.1")], later(PARKED_MOST / 100 + 0.02))

    assert not back.deferred
    assert dispatcher.ready == 2


def test_what_is_deferred_for_its_token_comes_back_before_its_turn_and_waits_for_that_here() -> None:
    dispatcher = make(rate="100/s")
    dispatcher.admit([delivery() for _ in range(PARKED_MOST + 1)], NOW)
    far = delivery(id="far")
    (due,) = dispatcher.admit([far], NOW).deferred.values()
    back = later(due - NOW.wall)
    dispatcher.release(back)

    assert not dispatcher.admit([far._replace(tag="test.2.1")], back).deferred

    dispatcher.release(later(10.005))
    assert dispatcher.parked == 1
    dispatcher.release(later(10.015))
    assert dispatcher.parked == 0


def test_places_that_become_free_are_kept_for_those_whose_turn_is_next() -> None:
    dispatcher = make(rate="100/s")
    dispatcher.admit([delivery() for _ in range(2 * PARKED_MOST)], NOW)
    dispatcher.release(later(5))

    late = dispatcher.admit([delivery(id="late")], later(5))

    assert (dispatcher.parked, len(late.deferred)) == (PARKED_MOST // 2, 1)


def test_a_fast_limit_lets_no_more_in_than_may_be_parked_instead_of_sending_them_around() -> None:
    dispatcher = make(rate="1000/s")

    rulings = dispatcher.admit([delivery() for _ in range(PARKED_MOST + 201)], NOW)

    assert (dispatcher.parked, dispatcher.in_hand, rulings.deferred) == (PARKED_MOST + 200, 201, {})
    dispatcher.release(later(0.2005))
    assert dispatcher.in_hand == dispatcher.ready


def test_a_crowd_whose_limit_becomes_slow_is_deferred_with_its_tokens() -> None:
    dispatcher = make(rate="1000/s")
    crowd = [delivery(id=f"id-{number}") for number in range(PARKED_MOST + 2)]
    dispatcher.admit(crowd, NOW)

    dispatcher.rate_changed("proj.add", 1000.0, 100.0, NOW.mono)
    rulings = dispatcher.release(NOW)
    dispatcher.settled(rulings.deferred)

    assert list(rulings.deferred) == [crowd[-1].tag]
    assert rulings.deferred[crowd[-1].tag] == pytest.approx(NOW.wall + (PARKED_MOST + 1) / 100, rel=0, abs=0.01)
    assert (dispatcher.parked, dispatcher.in_hand) == (PARKED_MOST, 1)


def test_a_faster_rate_brings_parked_jobs_forward() -> None:
    dispatcher = make(rate="10/m")
    dispatcher.admit([delivery() for _ in range(3)], NOW)

    dispatcher.rate_changed("proj.add", 10 / 60, 1.0, NOW.mono)
    dispatcher.release(later(2.01))

    assert dispatcher.ready == 3


def test_lifting_a_rate_limit_frees_everything_parked() -> None:
    dispatcher = make(rate="10/m")
    dispatcher.admit([delivery() for _ in range(3)], NOW)

    dispatcher.rate_changed("proj.add", 10 / 60, 0.0, NOW.mono)
    dispatcher.release(NOW)

    assert (dispatcher.ready, dispatcher.parked) == (3, 0)


def test_where_low_priorities_come_first_they_do_so_here_as_well_by_steps() -> None:
    features = Features(delays=True, facts=True, browse=True, once=True, ages=True, lowest_first=(0, 3, 6, 9))
    dispatcher = Dispatcher({"proj.add": Policy()}, _core.RateLimiter(), Caps(), urgency=features.urgency)
    sent = [("a", 9), ("b", 5), ("c", 3), ("d", 0), ("e", 20), ("f", -1)]
    dispatcher.admit([delivery(id=id, priority=priority) for id, priority in sent], NOW)

    taken = dispatcher.take(10, "proj.add")

    assert [entry.envelope.id for entry in taken] == ["d", "f", "b", "c", "a", "e"]


def test_higher_priority_first_then_order_of_arrival() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id=id, priority=p) for id, p in [("a", 0), ("b", 9), ("c", 0), ("d", 9)]], NOW)

    taken = [dispatcher.take(1, "proj.add")[0].envelope.id for _ in range(4)]

    assert taken == ["b", "d", "a", "c"]


def test_only_a_run_of_one_task_is_taken_at_once() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(), delivery(), delivery("proj.other"), delivery()], NOW)

    assert [len(dispatcher.take(10, name)) for name in ("proj.add", "proj.other", "proj.add")] == [2, 1, 1]


def test_returned_jobs_are_next_in_their_old_order() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id=id) for id in "abcd"], NOW)
    taken = dispatcher.take(3, "proj.add")

    dispatcher.returned([entry.key for entry in taken[1:]], 0.0)

    assert [entry.envelope.id for entry in dispatcher.take(9, "proj.add")] == ["b", "c", "d"]


def test_a_job_that_was_on_record_as_begun_and_came_back_unstarted_is_not_begun() -> None:
    dispatcher = make()
    dispatcher.admit([delivery()], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    dispatcher.begin(entry)

    dispatcher.returned([entry.key], 0.0)
    dispatcher.take(1, "proj.add")

    assert (entry.begun, dispatcher.unbegun) == (False, 1)


def test_an_ended_job_counts_as_in_hand_until_it_is_settled() -> None:
    dispatcher = make()
    dispatcher.admit([delivery()], NOW)
    (entry,) = dispatcher.take(1, "proj.add")

    dispatcher.ended(entry.key)
    assert dispatcher.in_hand == 1

    dispatcher.settled([entry.tag])
    assert dispatcher.in_hand == 0


def test_a_dispatcher_with_nothing_to_run_is_idle_whatever_is_still_unsettled() -> None:
    dispatcher = make()
    dispatcher.admit([delivery()], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    assert not dispatcher.idle

    dispatcher.ended(entry.key)

    assert dispatcher.idle


def test_a_redelivery_of_what_still_runs_here_is_adopted() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="x", tag="a.1.1")], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    dispatcher.lose(["a.1.1"])

    rulings = dispatcher.admit([delivery(id="x", tag="a.2.1")], NOW)

    assert not rulings.received
    assert (entry.key, entry.tag, dispatcher.ready) == ("a.1.1", "a.2.1", 0)


def test_an_adopted_job_is_put_on_record_as_begun_again() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="x", tag="a.1.1")], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    dispatcher.begin(entry)
    assert dispatcher.unbegun == 0

    dispatcher.lose(["a.1.1"])
    dispatcher.admit([delivery(id="x", tag="a.2.1")], NOW)

    assert dispatcher.unbegun == 1
    dispatcher.ended(entry.key)
    assert dispatcher.unbegun == 0


def test_a_second_message_with_the_same_id_is_not_mistaken_for_a_redelivery() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="x")], NOW)
    dispatcher.take(1, "proj.add")

    dispatcher.admit([delivery(id="x")], NOW)

    assert dispatcher.ready == 1


def test_lost_tags_that_have_not_started_are_forgotten() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(tag="a.1.1"), delivery(tag="a.1.2")], NOW)

    dispatcher.lose(["a.1.1"])

    assert [entry.tag for entry in dispatcher.take(9, "proj.add")] == ["a.1.2"]


def test_letting_go_returns_ready_and_parked_but_not_what_runs() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(), delivery(), delivery(eta=iso(NOW.wall + 1))], NOW)
    dispatcher.take(1, "proj.add")

    entries = dispatcher.let_go()

    assert (len(entries), len(dispatcher.out), dispatcher.parked) == (2, 1, 0)


def test_what_is_lost_while_parked_is_forgotten() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(tag="a.1.1", eta=iso(NOW.wall + 1)), delivery(tag="a.1.2", eta=iso(NOW.wall + 1))], NOW)

    dispatcher.lose(["a.1.1"])
    dispatcher.release(later(1.1))

    assert [entry.tag for entry in dispatcher.take(9, "proj.add")] == ["a.1.2"]


def test_what_is_lost_while_parked_for_its_token_has_it_when_it_comes_again() -> None:
    dispatcher = make(rate="1/h")
    waiting = delivery(id="waiting", tag="a.1.2")
    dispatcher.admit([delivery(tag="a.1.1"), waiting], NOW)

    dispatcher.lose(["a.1.2"])
    dispatcher.admit([waiting._replace(tag="a.2.1")], later(1800.0))
    dispatcher.release(later(3600.01))

    assert [entry.tag for entry in dispatcher.take(9, "proj.add")] == ["a.1.1", "a.2.1"]


def test_what_was_lost_before_it_started_does_not_start_when_the_pool_returns_it() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="x", tag="a.1.1")], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    dispatcher.lose(["a.1.1"])

    dispatcher.returned([entry.key], 0.0)

    assert (dispatcher.ready, dispatcher.unbegun, dispatcher.idle) == (0, 0, True)


def test_nothing_is_adopted_by_a_job_that_was_returned() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="x", tag="a.1.1")], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    dispatcher.lose(["a.1.1"])
    dispatcher.returned([entry.key], 0.0)
    dispatcher.let_go()

    dispatcher.admit([delivery(id="x", tag="a.2.1")], NOW)

    assert [entry.tag for entry in dispatcher.take(9, "proj.add")] == ["a.2.1"]


def test_what_still_runs_here_is_adopted_however_often_it_was_delivered() -> None:
    dispatcher = make(crashes=3)
    dispatcher.admit([delivery(id="x", tag="a.1.1")], NOW)
    dispatcher.take(1, "proj.add")
    dispatcher.lose(["a.1.1"])

    rulings = dispatcher.admit([delivery(id="x", tag="a.2.1", crashes=3)], NOW)

    assert not rulings.dead


def test_what_is_let_go_and_comes_back_does_not_pay_for_its_token_again() -> None:
    dispatcher = make(rate="1/h")
    paid = delivery(id="x", tag="a.1.1")
    dispatcher.admit([paid], NOW)
    dispatcher.let_go()

    dispatcher.admit([paid._replace(tag="a.2.1")], later(1))

    assert (dispatcher.ready, dispatcher.parked) == (1, 0)


def test_others_may_have_what_is_ready_but_not_what_has_paid_for_its_token() -> None:
    limited, free = make(rate="1/h"), make()
    limited.admit([delivery(id="paid", tag="a.1.1")], NOW)
    free.admit([delivery(id="low", tag="b.1.1", priority=1), delivery(id="high", tag="b.1.2", priority=5)], NOW)

    assert limited.let_others_have() == []
    assert (limited.ready, limited.longest_wait(later(9).mono)) == (1, 0.0)
    assert [entry.envelope.id for entry in free.let_others_have()] == ["high", "low"]
    assert free.ready == 0


def test_an_expiry_that_passes_while_ready_is_noticed() -> None:
    dispatcher = make()
    dispatcher.admit(
        [delivery(id="old", expires=iso(NOW.wall + 1)), delivery(id="new", expires=iso(NOW.wall + 9))], NOW
    )

    rulings = dispatcher.release(later(2))

    assert [expired.entry.envelope.id for expired in rulings.expired] == ["old"]
    assert [entry.envelope.id for entry in dispatcher.take(9, "proj.add")] == ["new"]


def test_an_expiry_that_passes_after_the_pool_returned_the_job_is_noticed() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(expires=iso(NOW.wall + 2)), delivery(expires=iso(NOW.wall + 1))], NOW)
    (entry,) = dispatcher.take(1, "proj.add")
    assert len(dispatcher.release(later(1)).expired) == 1

    dispatcher.returned([entry.key], 0.0)

    assert len(dispatcher.release(later(2)).expired) == 1


def test_more_near_etas_than_the_limit_wait_in_the_broker() -> None:
    dispatcher = make(etas=1)

    rulings = dispatcher.admit([delivery(eta=iso(NOW.wall + 1)) for _ in range(3)], NOW)

    assert (dispatcher.parked, len(rulings.deferred)) == (1, 2)


def test_a_revoked_task_goes_no_further_than_the_gate() -> None:
    dispatcher = make()
    dispatcher.revokes.add(["gone"], NOW.wall)

    rulings = dispatcher.admit([delivery(id="gone", eta=iso(NOW.wall + 60)), delivery()], NOW)

    assert [revoked.entry.envelope.id for revoked in rulings.revoked] == ["gone"]
    assert (dispatcher.ready, dispatcher.in_hand, rulings.deferred) == (1, 2, {})


def test_what_is_ready_or_parked_is_dropped_once_revoked() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="ready"), delivery(id="parked", eta=iso(NOW.wall + 1)), delivery(id="kept")], NOW)

    dispatcher.revokes.add(["ready", "parked"], NOW.wall)
    dispatcher.recheck(NOW.wall)
    rulings = dispatcher.release(NOW)

    assert {revoked.entry.envelope.id for revoked in rulings.revoked} == {"ready", "parked"}
    assert (dispatcher.ready, dispatcher.parked) == (1, 0)
    assert dispatcher.release(NOW).revoked == []


def test_a_recalled_task_that_was_revoked_meanwhile_is_not_ready_again() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(id="a"), delivery(id="b")], NOW)
    taken = dispatcher.take(2, "proj.add")

    dispatcher.revokes.add(["a"], NOW.wall)
    dispatcher.returned([entry.key for entry in taken], NOW.wall)

    assert [revoked.entry.envelope.id for revoked in dispatcher.release(NOW).revoked] == ["a"]
    assert (dispatcher.ready, len(dispatcher.out)) == (1, 0)


def test_new_time_limits_are_for_what_waits_and_what_comes() -> None:
    dispatcher = make()
    dispatcher.admit([delivery(), delivery(hard_limit=9.0)], NOW)

    dispatcher.set_time_limits("proj.add", 1.0, 2.0)
    dispatcher.admit([delivery()], NOW)

    limits = [(entry.soft_limit, entry.hard_limit) for entry in dispatcher.take(3, "proj.add")]
    assert limits == [(1.0, 2.0), (1.0, 9.0), (1.0, 2.0)]
