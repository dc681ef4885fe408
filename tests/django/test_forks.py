"""Forked children and the connections of their parents."""

import json
from pathlib import Path

from tests.django.postgres import postgres_database
from tests.django.running import OURS, DjangoProject

SCRIPT = """
import os
from celery import current_app as app
from django.apps import apps
from django.db import connection
from celery_rs.wire import TaskResult, encode_meta

def session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

store = app.backend
store.store([TaskResult("parent's", "SUCCESS", 0, encode_meta("parent's", "SUCCESS", 1, now=0.0))])
before = session()
reading, writing = os.pipe()
child = os.fork()
if not child:
    store.store([TaskResult("child's", "SUCCESS", 0, encode_meta("child's", "SUCCESS", 2, now=0.0))])
    os.write(writing, json.dumps([session(), sorted(store.fetch(["parent's", "child's"]))]).encode())
    connection.close()
    os._exit(0)
os.waitpid(child, 0)
other, found = json.loads(os.read(reading, 1000))
say({"kept": session() == before, "other": other != before, "found": found, "here": sorted(store.fetch(["child's"]))})
"""


def test_a_child_never_touches_its_parents_connection(tmp_path: Path) -> None:
    with (
        postgres_database() as described,
        DjangoProject(tmp_path / "project", OURS, "memory://", database=json.dumps(described)) as project,
    ):
        project.manage("migrate", "-v0")

        seen = project.script(SCRIPT)

    assert seen == {"kept": True, "other": True, "found": ["child's", "parent's"], "here": ["child's"]}
