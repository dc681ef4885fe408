"""What every contestant is given. Nothing but the standard library: Celery's environment imports it, too."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BATCH = 100

ENVELOPE: bytes = json.loads((ROOT / "tests/fixtures/envelopes.json").read_text())["task-simple"].encode()
BODY = b'[[2, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
CALL: Any = ((2, 2), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
ROWS = [{"id": i, "name": f"user {i}", "score": i * 1.37, "tags": ["a", "b"], "ok": True} for i in range(50)]
ROWS_TEXT = json.dumps(ROWS).encode()
LARGE = json.dumps([["x" * 100_000], {}, {}]).encode()

TASK = "proj.tasks.add"
TASK_ID = "46a5672a-4062-4db6-b837-4896819bd1a9"
TIME = "2026-11-22T12:56:51.774076+00:00"
RATE = "10/m"
THREE_RULES = [("exact", "proj.tasks.mul"), ("glob", "proj.*.send"), ("glob", "proj.tasks.*")]
GLOBS = [("glob", f"proj.part{n}.*") for n in range(1000)]
LAST_GLOB = "proj.part999.add"
TOPIC, KEY = "logs.*.#", "logs.web.error"
