"""What stands for what: Celery's modules and names, and where ours are. A table, nothing else.

A name that is not here is refused when somebody asks for it; `HINTS` says what to do
instead, where there is something to say.
Names are looked up when they are first used, so the table costs a program only what it imports.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Ours(NamedTuple):
    """Where a name of Celery's is here."""

    module: str
    name: str


NAMES: Mapping[str, Mapping[str, str]] = {
    "celery": {
        "celery_rs.app": "Celery Task bugreport current_app current_task shared_task",
        "celery_rs.canvas": "Signature signature subtask=signature maybe_signature",
        "celery_rs.wire": "uuid=new_id",
        "celery_rs.drop_in.versions": "VERSION SERIES VERSION_BANNER version_info version_info_t __version__",
    },
    "celery._state": {
        "celery_rs.app": "current_app current_task",
        "celery_rs.app.current": "get_current_app=app_in_use get_current_task=task_in_use",
    },
    "celery.app": {"celery_rs.app": "Celery app_or_default bugreport shared_task"},
    "celery.app.amqp": {"celery_rs.app.amqp": "AMQP=Amqp Queues"},
    "celery.app.base": {"celery_rs.app": "Celery"},
    "celery.app.control": {"celery_rs.control": "Control Inspect"},
    "celery.app.events": {"celery_rs.events": "Events"},
    "celery.app.log": {"celery_rs.app": "Logging TaskFormatter"},
    "celery.app.registry": {"celery_rs.app.registry": "TaskRegistry"},
    "celery.app.task": {"celery_rs.app": "Task", "celery_rs.execution": "Context=Request"},
    "celery.app.utils": {"celery_rs.config": "Settings", "celery_rs.app": "bugreport"},
    "celery.backends": {},
    "celery.backends.base": {
        "celery_rs.backends": "BaseBackend Backend=BaseBackend BaseDictBackend=BaseBackend KeyValueStoreBackend "
        "BaseKeyValueStoreBackend=KeyValueStoreBackend"
    },
    "celery.canvas": {"celery_rs.canvas": "Signature signature subtask=signature maybe_signature"},
    "celery.concurrency": {},
    "celery.contrib": {},
    "celery.contrib.django": {},
    "celery.contrib.django.task": {"celery_rs.django": "DjangoTask"},
    "celery.events": {"celery_rs.events": "EventDispatcher=Dispatcher EventReceiver=Receiver"},
    "celery.events.dispatcher": {"celery_rs.events": "EventDispatcher=Dispatcher"},
    "celery.events.receiver": {"celery_rs.events": "EventReceiver=Receiver"},
    "celery.events.state": {"celery_rs.events": "State Task=SeenTask Worker=SeenWorker"},
    "celery.exceptions": {
        "celery_rs.errors": (
            "AlreadyRegistered AlwaysEagerIgnored BackendError BackendGetMetaError BackendStoreError "
            "CDeprecationWarning CPendingDeprecationWarning CeleryCommandException CeleryError CeleryWarning "
            "ChordError DuplicateNodenameWarning DuplicateTaskNameWarning FixupWarning Ignore ImproperlyConfigured "
            "IncompleteStream InvalidTaskError MaxRetriesExceededError NotConfigured NotRegistered OperationalError "
            "QueueNotFound Reject Retry RetryTaskError SecurityError SecurityWarning SoftTimeLimitExceeded "
            "SystemTerminate TaskError TaskPredicate TaskRevokedError Terminated TimeLimitExceeded TimeoutError "
            "WorkerLostError WorkerShutdown WorkerTerminate reraise"
        ),
    },
    "celery.fixups": {},
    "celery.fixups.django": {"celery_rs.app.fixups": "fixup=django", "celery_rs.django": "DjangoFixup"},
    "celery.loaders": {},
    "celery.loaders.app": {"celery_rs.app": "AppLoader=Loader"},
    "celery.loaders.base": {"celery_rs.app": "BaseLoader=Loader"},
    "celery.loaders.default": {"celery_rs.app": "Loader=DefaultLoader"},
    "celery.registry": {"celery_rs.drop_in.stand_ins": "tasks"},
    "celery.result": {
        "celery_rs.results": (
            "AsyncResult EagerResult GroupResult ResultSet allow_join_result assert_will_not_block "
            "denied_join_result result_from_tuple"
        ),
    },
    "celery.signals": {
        "celery_rs.signals": (
            "after_setup_logger after_setup_task_logger after_task_publish beat_embedded_init beat_init "
            "before_task_publish celeryd_after_setup celeryd_init eventlet_pool_apply eventlet_pool_postshutdown "
            "eventlet_pool_preshutdown eventlet_pool_started heartbeat_sent import_modules setup_logging "
            "task_failure task_internal_error task_postrun task_prerun task_received task_rejected task_retry "
            "task_revoked task_sent task_success task_unknown user_preload_options worker_before_create_process "
            "worker_init worker_process_init worker_process_shutdown worker_ready worker_shutdown "
            "worker_shutting_down"
        ),
    },
    "celery.states": {
        "celery_rs.states": (
            "ALL_STATES EXCEPTION_STATES FAILURE IGNORED NONE_PRECEDENCE PENDING PRECEDENCE PRECEDENCE_LOOKUP "
            "PROPAGATE_STATES READY_STATES RECEIVED REJECTED RETRY REVOKED STARTED SUCCESS UNREADY_STATES "
            "precedence state"
        ),
    },
    "celery.utils": {
        "celery_rs.wire": "uuid=new_id gen_unique_id=new_id worker_direct",
        "functools": "cached_property",
    },
    "celery.utils.dispatch": {"celery_rs.signals": "Signal"},
    "celery.utils.log": {
        "celery_rs.app": "ColorFormatter get_task_logger mlevel=level_of",
        "celery_rs.app.log_streams": "LoggingProxy",
        "logging": "get_logger=getLogger",
    },
    "celery.utils.nodenames": {"celery_rs.wire": "worker_direct", "socket": "gethostname"},
    "celery.utils.time": {"celery_rs.drop_in.stand_ins": "maybe_timedelta"},
    "celery.worker": {},
    "celery.worker.request": {"celery_rs.worker.request": "Request"},
    "celery.worker.control": {"celery_rs.worker.control": "control_command inspect_command"},
    "billiard": {"celery_rs.drop_in.versions": "VERSION=BILLIARD_VERSION __version__=BILLIARD"},
    "billiard.einfo": {"celery_rs.execution": "ExceptionInfo", "celery_rs.drop_in.stand_ins": "ExceptionWithTraceback"},
    "billiard.exceptions": {
        "celery_rs.errors": "SoftTimeLimitExceeded Terminated TimeLimitExceeded WorkerLostError",
    },
    "kombu": {
        "celery_rs.wire": "Exchange Queue binding uuid=new_id",
        "celery_rs.drop_in.versions": "__version__ VERSION",
    },
    "kombu.common": {"celery_rs.wire": "Broadcast"},
    "kombu.entity": {"celery_rs.wire": "Exchange Queue binding"},
    "kombu.exceptions": {
        "celery_rs.errors": "ContentDisallowed DecodeError=ContentError EncodeError OperationalError",
    },
    "kombu.serialization": {"celery_rs.serializers": "register unregister"},
    "kombu.utils": {"celery_rs.wire": "uuid=new_id", "functools": "cached_property"},
    "kombu.utils.json": {"celery_rs.serializers": "register_type", "celery_rs.drop_in.stand_ins": "dumps loads"},
    "kombu.utils.objects": {"functools": "cached_property"},
    "kombu.utils.uuid": {"celery_rs.wire": "uuid=new_id"},
}
"""Module → where ours are → their names, `theirs=ours` where the two differ."""

_WORKFLOW = "call the next task with `link`, or from the task itself"
_CRON = "call the task from cron or a systemd timer"
_SEND = "send with send_task or apply_async, look with `celery-rs inspect`"
_STEPS = "use the signals worker_init, worker_ready and worker_shutdown"
_TRACE = "use the signals task_prerun, task_postrun, task_failure and task_retry"
_POOLS = "the pools are prefork and solo"
_STORES = "set result_backend to one of the stores that are there"
_CAMERA = "listen with app.events.Receiver"

HINTS: Mapping[str, str] = {
    **{f"celery.{name}": _WORKFLOW for name in ("chain", "chord", "group", "chunks", "xmap", "xstarmap")},
    **{f"celery.canvas.{name}": _WORKFLOW for name in ("chain", "chord", "group", "chunks", "xmap", "xstarmap")},
    "celery.__main__": "the command is `celery-rs`",
    "celery.app.trace": _TRACE,
    "celery.apps": "start workers with the command `celery-rs worker`",
    "celery.backends": _STORES,
    "celery.beat": _CRON,
    "celery.bin": "the command is `celery-rs`",
    "celery.bootsteps": _STEPS,
    "celery.concurrency": _POOLS,
    "celery.contrib.abortable": "revoke the task with terminate=True",
    "celery.contrib.migrate": "use `celery-rs migrate`",
    "celery.contrib.pytest": "set task_always_eager, or start a worker of the solo pool",
    "celery.contrib.rdb": "use -P solo and breakpoint()",
    "celery.contrib.testing": "set task_always_eager, or start a worker of the solo pool",
    "celery.events.cursesmon": _CAMERA,
    "celery.events.dumper": _CAMERA,
    "celery.events.snapshot": _CAMERA,
    "celery.execute": "use app.send_task",
    "celery.local": "use current_app and current_task",
    "celery.log": "use app.log",
    "celery.maybe_patch_concurrency": "there are no gevent and eventlet pools to patch for",
    "celery.messaging": _SEND,
    "celery.schedules": _CRON,
    "celery.security": "keep the broker where only you can write to it",
    "celery.worker.WorkController": "use app.Worker",
    "celery.worker.consumer": _STEPS,
    "celery.worker.control.Panel": "use the decorators control_command and inspect_command",
    "celery.worker.strategy": "use the signals task_received and task_prerun",
    "billiard.pool": "use multiprocessing",
    "kombu.BrokerConnection": _SEND,
    "kombu.Connection": _SEND,
    "kombu.Consumer": _SEND,
    "kombu.Message": _SEND,
    "kombu.Producer": _SEND,
    "kombu.connections": _SEND,
    "kombu.mixins": _SEND,
    "kombu.pools": _SEND,
    "kombu.producers": _SEND,
}
"""What is refused → what to do instead, perhaps nothing. It holds for everything below the name, too."""

INSTRUMENTATION: Mapping[str, str] = {
    "celery.app.trace": "errors and traces of tasks are not reported by packages that patch it (sentry-sdk, ddtrace)",
}
"""Names that monitoring packages ask for and do without in silence: the refusal is a warning as well, which says what
is missing then."""

ROOTS = frozenset(module for module in NAMES if "." not in module)


def names_of(module: str) -> dict[str, Ours]:
    """The names of a module in the table, and where they are here."""
    return dict(_entries(NAMES[module]))


def hint_for(name: str) -> str:
    """What to do instead of that name or of the module it is in; empty where nobody knows."""
    while name:
        if name in HINTS:
            return HINTS[name]
        name = name.rpartition(".")[0]
    return ""


def _entries(places: Mapping[str, str]) -> Iterator[tuple[str, Ours]]:
    for module, names in places.items():
        for word in names.split():
            theirs, _, ours = word.partition("=")
            yield theirs, Ours(module, ours or theirs)
