"""A contestant's app, made from its environment: the package's name and its settings. `-A bench.inside.app`."""

import json
import os
from importlib import import_module

from bench.inside import receivers, tasks

_PACKAGE = os.environ["BENCH_PACKAGE"]

app = import_module(_PACKAGE).Celery("bench")
app.conf.update(json.loads(os.environ["BENCH_SETTINGS"]))
tasks.define(app)
if os.environ.get("BENCH_RECEIVERS"):
    receivers.connect(_PACKAGE)

native = getattr(app, "native", None)
"""What the command line of a worker names that is not like Celery's: the queue, the consumer, the settings."""
