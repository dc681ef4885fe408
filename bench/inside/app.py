"""A contestant's app, made from its environment: the package's name and its settings. `-A bench.inside.app`."""

import json
import os
from importlib import import_module

from bench.inside import tasks

app = import_module(os.environ["BENCH_PACKAGE"]).Celery("bench")
app.conf.update(json.loads(os.environ["BENCH_SETTINGS"]))
tasks.define(app)
