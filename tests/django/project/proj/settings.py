import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "not a secret"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", os.environ["PROJ_RESULTS_APP"], "shop"]
DATABASES = {
    "default": json.loads(os.environ.get("PROJ_DATABASE", "null"))
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3", "OPTIONS": {"timeout": 20}}
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "results": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": os.environ.get("PROJ_CACHE", BASE_DIR / "cache"),
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Berlin"
USE_TZ = True

CELERY_BROKER_URL = os.environ["PROJ_BROKER"]
CELERY_RESULT_BACKEND = os.environ.get("PROJ_RESULTS", "django-db")
CELERY_CACHE_BACKEND = "results"
CELERY_RESULT_EXTENDED = True
CELERY_TASK_TRACK_STARTED = True
globals().update(json.loads(os.environ.get("PROJ_MORE", "{}")))
