from celery import Celery

from proj import money  # noqa: F401  (its serializer is named in the settings)

app = Celery("proj")
app.config_from_object("proj.celeryconfig")
app.autodiscover_tasks(["proj.shop", "proj.reports"])
