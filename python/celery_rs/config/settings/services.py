"""Settings of what stands beside tasks and workers: remote control, events, signed messages, schedules."""

from celery_rs.config import checks
from celery_rs.config.settings.row import NOT_YET, Setting, flag, mapping, refused, seconds, text, whole

_EVENTS_ARE_JSON = "events are sent as JSON, which every monitor reads; leave it out"
_NO_EVENT_QUEUES = "the queues of those who hear events are as Celery's defaults make them; leave it out"
_NO_QUEUES = "the queues of remote control are as Celery's defaults make them; leave it out"
_NO_SIGNING = "messages are not signed; keep the broker to yourself"
_NO_BEAT = "there is no beat; call `celery-rs call` from cron"

CONTROL = (
    text(
        "control_exchange",
        "celery",
        "=",
        "base name of the exchanges of remote control",
        proof="tests/settings/test_worker_effects.py::test_commands_go_through_the_exchange_of_the_settings",
    ),
    seconds("control_queue_ttl", 300.0, "=", "how long a command waits for its worker", state=NOT_YET, why=_NO_QUEUES),
    seconds("control_queue_expires", 10.0, "=", "how long an unused queue lives", state=NOT_YET, why=_NO_QUEUES),
    flag("control_queue_exclusive", True, "=", "exclusive queues", state=NOT_YET, why=_NO_QUEUES),
    flag("control_queue_durable", False, "=", "durable queues", state=NOT_YET, why=_NO_QUEUES),
)

EVENTS = (
    text("event_serializer", "json", "CELERY_EVENT_SERIALIZER", "serializer", state=NOT_YET, why=_EVENTS_ARE_JSON),
    text(
        "event_exchange",
        "celeryev",
        "CELERY_EVENT_EXCHANGE",
        "exchange",
        proof="tests/settings/test_event_effects.py::test_events_go_through_the_exchange_of_the_settings",
    ),
    text(
        "event_queue_prefix",
        "celeryev",
        "CELERY_EVENT_QUEUE_PREFIX",
        "how the names of their queues begin",
        state=NOT_YET,
        why=_NO_EVENT_QUEUES,
    ),
    seconds(
        "event_queue_ttl", 5.0, "CELERY_EVENT_QUEUE_TTL", "how long one waits", state=NOT_YET, why=_NO_EVENT_QUEUES
    ),
    seconds(
        "event_queue_expires",
        60.0,
        "CELERY_EVENT_QUEUE_EXPIRES",
        "how long an unused queue lives",
        state=NOT_YET,
        why=_NO_EVENT_QUEUES,
    ),
    flag(
        "event_queue_exclusive",
        True,
        "CELERY_EVENT_QUEUE_EXCLUSIVE",
        "exclusive queues",
        state=NOT_YET,
        why=_NO_EVENT_QUEUES,
    ),
    flag(
        "event_queue_durable",
        False,
        "CELERY_EVENT_QUEUE_DURABLE",
        "durable queues",
        state=NOT_YET,
        why=_NO_EVENT_QUEUES,
    ),
)

SECURITY = (
    text("security_key", None, "CELERY_SECURITY_KEY", "file of the private key", state=NOT_YET, why=_NO_SIGNING),
    Setting(
        "security_key_password",
        "bytes",
        checks.anything,
        None,
        "CELERY_SECURITY_KEY_PASSWORD",
        "its password",
        NOT_YET,
        why=_NO_SIGNING,
    ),
    text(
        "security_certificate",
        None,
        "CELERY_SECURITY_CERTIFICATE",
        "file of the certificate",
        state=NOT_YET,
        why=_NO_SIGNING,
    ),
    text(
        "security_cert_store",
        None,
        "CELERY_SECURITY_CERT_STORE",
        "files of trusted certificates",
        state=NOT_YET,
        why=_NO_SIGNING,
    ),
    text("security_digest", "sha256", "CELERY_SECURITY_DIGEST", "hash", state=NOT_YET, why=_NO_SIGNING),
)

BEAT = (
    mapping("beat_schedule", {}, "CELERYBEAT_SCHEDULE", "what is sent when", state=NOT_YET, why=_NO_BEAT),
    text(
        "beat_scheduler",
        "celery.beat:PersistentScheduler",
        "CELERYBEAT_SCHEDULER",
        "class that decides when",
        state=NOT_YET,
        why=_NO_BEAT,
    ),
    text(
        "beat_schedule_filename",
        "celerybeat-schedule",
        "CELERYBEAT_SCHEDULE_FILENAME",
        "file of the last runs",
        state=NOT_YET,
        why=_NO_BEAT,
    ),
    whole("beat_sync_every", 0, 0, "CELERYBEAT_SYNC_EVERY", "sends between writes", state=NOT_YET, why=_NO_BEAT),
    seconds("beat_max_loop_interval", 0, "CELERYBEAT_MAX_LOOP_INTERVAL", "longest sleep", state=NOT_YET, why=_NO_BEAT),
    whole(
        "beat_cron_starting_deadline",
        0,
        None,
        "CELERYBEAT_CRON_STARTING_DEADLINE",
        "seconds after which a missed run is skipped",
        state=NOT_YET,
        why=_NO_BEAT,
    ),
    flag(
        "beat_enable_remote_control",
        False,
        "CELERYBEAT_ENABLE_REMOTE_CONTROL",
        "beat answers ping",
        state=NOT_YET,
        why=_NO_BEAT,
    ),
    seconds(
        "beat_remote_control_max_tick_age",
        None,
        "CELERYBEAT_REMOTE_CONTROL_MAX_TICK_AGE",
        "the age of its last tick at which it no longer does",
        state=NOT_YET,
        why=_NO_BEAT,
    ),
)

_OF_A_COMMAND = {
    "logfile": "where it logs",
    "pidfile": "where its process id stands",
    "uid": "its user",
    "gid": "its group",
    "umask": "its umask",
    "executable": "its Python",
}

NOT_OF_A_SETTING = (
    *(
        refused(
            f"{command}_{name}",
            "any",
            None,
            "",
            f"of the command {command}: {meaning}",
            f"give it to the command, as --{name}" if command == "beat" else "the command only prints; leave it out",
        )
        for command in ("beat", "events")
        for name, meaning in _OF_A_COMMAND.items()
    ),
    refused(
        "visibility_timeout",
        "seconds",
        None,
        "",
        "time after which an unacknowledged message is delivered again",
        "write it into broker_transport_options = {'visibility_timeout': ...}",
    ),
)
