"""Old names of settings in a file: which are changed, and into what."""

import pytest

from celery_rs.cli.rename import in_lower_case, in_namespace, rename


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CELERY_TIMEZONE = 'UTC'\n", "timezone = 'UTC'\n"),
        ("app.conf.CELERYD_CONCURRENCY = 3", "app.conf.worker_concurrency = 3"),
        ("app.conf.update(CELERY_ACKS_LATE=True)", "app.conf.update(task_acks_late=True)"),
        ("conf['BROKER_URL'] = 'x'", "conf['broker_url'] = 'x'"),
        ("c = {'CELERY_ROUTES': {}, 'other': 1}", "c = {'task_routes': {}, 'other': 1}"),
        ("BROKER_URL = 'é'; CELERYD_POOL = BROKER_URL", "broker_url = 'é'; worker_pool = broker_url"),
        ("é = 1; BROKER_URL = é\r\n", "é = 1; broker_url = é\r\n"),
        ("BROKER_TRANSPORT = 1\nBROKER_TRANSPORT_OPTIONS = {}", "broker_transport = 1\nbroker_transport_options = {}"),
        ("BROKER_URL = os.environ['BROKER_URL']", "broker_url = os.environ['BROKER_URL']"),
        ("BROKER_URL = os.getenv('BROKER_URL')", "broker_url = os.getenv('BROKER_URL')"),
        ("# CELERY_TIMEZONE is old\nx = 'CELERY_TIMEZONE'", "# CELERY_TIMEZONE is old\nx = 'CELERY_TIMEZONE'"),
        ("S3_BUCKET = DATABASE_URL = 1", "S3_BUCKET = DATABASE_URL = 1"),
        ("task_serializer = 'json'", "task_serializer = 'json'"),
    ],
)
def test_names_of_settings_get_their_present_form(old: str, new: str) -> None:
    assert rename(old, in_lower_case).text == new


def test_what_was_changed_is_told_once() -> None:
    found = rename("BROKER_URL = 1\nprint(BROKER_URL)\nCELERY_TIMEZONE = 2", in_lower_case)

    assert found.names == (("BROKER_URL", "broker_url"), ("CELERY_TIMEZONE", "timezone"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BROKER_URL = 1", "CELERY_BROKER_URL = 1"),
        ("CELERYD_CONCURRENCY = 1", "CELERY_WORKER_CONCURRENCY = 1"),
        ("CELERY_TASK_SERIALIZER = 1", "CELERY_TASK_SERIALIZER = 1"),
    ],
)
def test_a_project_with_a_namespace_gets_names_inside_it(old: str, new: str) -> None:
    found = rename(old, in_namespace)

    assert found.text == new
    assert (found.names == ()) == (old == new)


def test_a_second_run_changes_nothing() -> None:
    once = rename("BROKER_URL = 1; CELERYD_POOL = 'solo'", in_namespace).text

    assert rename(once, in_namespace).text == once


def test_what_is_no_python_is_an_error() -> None:
    with pytest.raises(SyntaxError):
        rename("BROKER_URL = = 1", in_lower_case)
