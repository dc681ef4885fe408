"""What a worker that reads pickle says when it starts, and that root does not start one."""

import os

import pytest

from celery_rs.cli.output import Failure
from celery_rs.cli.root import refuse_pickle_as_root, warn_of_risks
from tests.apps import make_app

NAMES = ("pickle", "application/x-python-serialize")


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_that_reads_pickle_warns_once_of_what_it_means(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_risks(make_app(accept_content=["json", name]))

    assert capsys.readouterr().err.count("whoever can write to the broker can run any code in this worker") == 1


def test_a_worker_that_reads_none_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_risks(make_app(task_serializer="pickle", result_accept_content=["pickle"]))

    assert "pickle" not in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_root_reads_no_pickle_unless_told_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("C_FORCE_ROOT", raising=False)
    app = make_app(accept_content=[name])

    with pytest.raises(Failure, match="set C_FORCE_ROOT=1 if you must"):
        refuse_pickle_as_root(app)

    monkeypatch.setenv("C_FORCE_ROOT", "1")
    refuse_pickle_as_root(app)


def test_others_than_root_may_read_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    refuse_pickle_as_root(make_app(accept_content=["pickle"]))
