"""What `celery-rs check` finds: one rule at a time, on facts made by hand."""

import pytest

from celery_rs.cli.check_rules import RULES, Facts, Finding, TaskFacts, judge

RATE = "must be a rate such as '10/m' (s, m, h or d), or a number per second"


def one(facts: Facts) -> Finding:
    (finding,) = judge(facts)
    return finding


def test_an_app_without_mistakes_has_no_findings() -> None:
    facts = Facts({"broker_url": "sqlite:///x"}, tasks=[TaskFacts("proj.add", "celery")], queues=["celery"])

    assert judge(facts) == []


@pytest.mark.parametrize(
    ("facts", "rule", "what", "change"),
    [
        (
            Facts(errors=["task_routes must be a dict"]),
            "unreadable",
            "task_routes must be a dict",
            "correct that setting",
        ),
        (
            Facts(complaints=[("'task_sexializer' is not a setting", "rename task_sexializer to task_serializer")]),
            "setting",
            "'task_sexializer' is not a setting",
            "rename task_sexializer to task_serializer",
        ),
        (
            Facts({"worker_timer": "x"}),
            "setting",
            "worker_timer is not supported: the worker has no timer; leave it out",
            "delete worker_timer",
        ),
        (
            Facts({"task_allow_error_cb_on_chord_header": True}),
            "setting",
            "task_allow_error_cb_on_chord_header is not supported yet: there are no chords",
            "delete task_allow_error_cb_on_chord_header",
        ),
        (
            Facts(old_names=["CELERY_TIMEZONE"]),
            "old name",
            "names of settings from before Celery 4: CELERY_TIMEZONE",
            "celery-rs upgrade settings FILE",
        ),
        (
            Facts(failed_imports=[("proj.tasks", "ImportError: no")]),
            "import",
            "importing the task module 'proj.tasks' fails with ImportError: no",
            "correct proj.tasks or imports",
        ),
        (
            Facts(tasks=[TaskFacts("a", soft_limit=20, hard_limit=10)]),
            "limit",
            "task 'a': the soft limit of 20 s is above the hard one of 10 s, and never comes",
            "@app.task(soft_time_limit=9, time_limit=10)",
        ),
        (
            Facts(tasks=[TaskFacts("a", hard_limit=7200, late=True)], lease=3600),
            "lease",
            "task 'a' may run for 7200 s, and after 3600 s its message is delivered again",
            "broker_transport_options = {'visibility_timeout': 14400}",
        ),
        (
            Facts(tasks=[TaskFacts("a", soft_limit=7200)], lease=3600),
            "lease",
            "task 'a' may run for 7200 s, and after 3600 s messages that wait behind it are delivered again",
            "broker_transport_options = {'visibility_timeout': 14400}",
        ),
        (
            Facts(tasks=[TaskFacts("a", rejects_when_lost=True)]),
            "conflict",
            "task 'a': reject_on_worker_lost does nothing without acks_late",
            "@app.task(acks_late=True, reject_on_worker_lost=True)",
        ),
        (
            Facts(tasks=[TaskFacts("a", "low")], queues=["celery"]),
            "queue",
            "task 'a' goes to the queue 'low', which a worker without -Q does not consume",
            "celery-rs -A ... worker -Q celery,low",
        ),
        (
            Facts(tasks=[TaskFacts("a", "celery")], queues=["low"], workers=["w1@h"]),
            "queue",
            "task 'a' goes to the queue 'celery', which none of the workers that answered consumes",
            "celery-rs -A ... worker -Q low,celery",
        ),
        (
            Facts({"task_annotations": {"proj.ad": {"rate_limit": "1/s"}}}, tasks=[TaskFacts("proj.add")]),
            "name",
            "task_annotations names 'proj.ad', which is no task here; did you mean 'proj.add'?",
            "task_annotations = {'proj.add': ...}",
        ),
        (
            Facts({"task_routes": [("proj.ad", "low")]}, tasks=[TaskFacts("proj.add")]),
            "name",
            "task_routes names 'proj.ad', which is no task here; did you mean 'proj.add'?",
            "task_routes = {'proj.add': ...}",
        ),
        (
            Facts({"task_annotations": [{"*": {"rate_limit": "10/y"}}]}),
            "rate",
            f"task_annotations: rate_limit of '*' {RATE}, got '10/y'",
            "task_annotations = {'*': {'rate_limit': '10/m'}}",
        ),
        (
            Facts({"result_extended": True}, results_off=True),
            "results",
            "result_extended does nothing: no result_backend is set, so results are not kept",
            "result_backend = 'sqlite:///results.sqlite3'",
        ),
        (
            Facts({"task_ignore_result": False}, results_off=True),
            "results",
            "task_ignore_result = False, and no result_backend is set to keep results",
            "result_backend = 'sqlite:///results.sqlite3'",
        ),
        (
            Facts(tasks=[TaskFacts("a", wants_result=True)], results_off=True),
            "results",
            "task 'a' has ignore_result=False, and no result_backend is set",
            "result_backend = 'sqlite:///results.sqlite3'",
        ),
    ],
)
def test_a_mistake_is_found_with_the_line_to_change(facts: Facts, rule: str, what: str, change: str) -> None:
    assert Finding(rule, what, change) in judge(facts)


@pytest.mark.parametrize(
    "facts",
    [
        Facts({"worker_timer": None, "task_allow_error_cb_on_chord_header": False}),
        Facts({"task_routes": {"proj.*": "low", "elsewhere.task": "low"}}, tasks=[TaskFacts("proj.add")]),
        Facts({"task_annotations": {"*": {"rate_limit": "10/m"}, "proj.add": {}}}, tasks=[TaskFacts("proj.add")]),
        Facts({"result_extended": True}),
        Facts({"task_eager_propagates": True}),
        Facts(tasks=[TaskFacts("a", hard_limit=7200)]),
        Facts(tasks=[TaskFacts("a", None)], queues=["celery"]),
        Facts(tasks=[TaskFacts("a", soft_limit=5, hard_limit=10, late=True, rejects_when_lost=True)]),
    ],
)
def test_what_is_right_is_left_alone(facts: Facts) -> None:
    assert judge(facts) == []


def test_a_setting_is_complained_of_once() -> None:
    complaint = ("task_allow_error_cb_on_chord_header is not supported yet: it is not", "delete it")

    assert one(Facts({"task_allow_error_cb_on_chord_header": True}, complaints=[complaint])).what == complaint[0]


def test_findings_are_lines() -> None:
    facts = Facts(
        {"task_annotations": {"x": {"rate_limit": "many"}}},
        errors=["a"],
        tasks=[TaskFacts("a", "q", 2, 1, True, True, True)],
        results_off=True,
        lease=0.5,
    )

    findings = judge(facts)

    assert len(findings) > len(RULES) / 2
    assert not any("\n" in line for finding in findings for line in finding)
