"""Settings as they stand in many projects: plain names in a module, some of them nobody's."""

import os
from datetime import timedelta

from kombu import Exchange, Queue

broker_url = os.environ["PROJ_BROKER"]
result_backend = os.environ["PROJ_RESULTS"]
result_expires = timedelta(hours=1)
result_extended = True

task_serializer = "json"
result_serializer = "json"
accept_content = ["json", "shop"]
timezone = "Europe/Berlin"
enable_utc = True

imports = ("proj.handlers",)
task_track_started = True
task_annotations = {"proj.shop.tasks.limited": {"rate_limit": "50/s"}}
worker_prefetch_multiplier = 1
worker_concurrency = 2

media = Exchange("media", type="direct")
task_default_queue = "default"
task_default_exchange = "default"
task_default_routing_key = "default"
task_queues = (
    Queue("default", Exchange("default"), routing_key="default"),
    Queue("reports", media, routing_key="media.report"),
    Queue("urgent", media, routing_key="media.urgent"),
)
task_routes = {
    "proj.reports.tasks.*": {"queue": "reports"},
    "proj.shop.tasks.ring": {"queue": "urgent", "routing_key": "media.urgent"},
}

CURRENCY = "EUR"
