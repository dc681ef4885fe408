"""A worker finds the tasks of packages, and tells the loader of its life."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.deadlines import DEADLINE_S, eventually

PROJECT = {
    "__init__.py": "",
    "app.py": (
        "from celery_rs import Celery\n"
        "app = Celery('proj', loader='proj.loader:Noting', autofinalize=False, set_as_current=False)\n"
        "app.autodiscover_tasks(lambda: ['proj.orders', 'proj.empty'])\n"
    ),
    "loader.py": (
        "from celery_rs.app import Loader\n"
        "def note(line):\n"
        "    with open('notes', 'a') as file: file.write(line + '\\n')\n"
        "class Noting(Loader):\n"
        "    def on_worker_init(self): note('worker')\n"
        "    def on_worker_process_init(self): note('process')\n"
        "    def on_task_init(self, task_id, task): note(f'before {task.name} {len(task_id)}')\n"
        "    def on_process_cleanup(self): note('after')\n"
        "    def on_worker_shutdown(self): note('shutdown')\n"
    ),
    "empty/__init__.py": "",
    "orders/__init__.py": "",
    "orders/tasks.py": (
        "from celery_rs import current_app, shared_task\n"
        "@shared_task\n"
        "def ship(order):\n"
        "    from proj.loader import note\n"
        "    note(f'ship {order} {current_app.main}')\n"
    ),
}


def test_packages_are_searched_and_the_loader_hears_of_everything(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        file = tmp_path / "proj" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    notes = tmp_path / "notes"
    command = [sys.executable, "-m", "celery_rs", "-A", "proj.app"]
    clean = {name: value for name, value in os.environ.items() if "CELERY" not in name}

    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen([*command, "worker", "-c", "1"], cwd=tmp_path, env=clean, stdout=log, stderr=log)
    try:
        eventually(lambda: worker.poll() is not None or (notes.exists() and "process" in notes.read_text()))
        call = [*command, "call", "proj.orders.tasks.ship", "-a", "[7]"]
        subprocess.run(call, cwd=tmp_path, env=clean, check=True, capture_output=True, timeout=DEADLINE_S)
        eventually(lambda: worker.poll() is not None or "after" in notes.read_text())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(DEADLINE_S) == 0, (tmp_path / "log").read_text()
    finally:
        worker.kill()
        worker.wait()

    assert notes.read_text().splitlines() == [
        "worker",
        "process",
        "before proj.orders.tasks.ship 36",
        "ship 7 proj",
        "after",
        "shutdown",
    ]
