"""What `rq worker-pool -c` reads. It has the app imported before workers are forked, as rq's documentation advises."""

from bench.inside.app import app

REDIS_URL = app.url
