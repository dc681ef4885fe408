"""Celery's documented modules and the names in them, for the table to be held against."""

SURFACE = {
    "celery": (
        "Celery Task Signature signature subtask maybe_signature chain chord group chunks xmap xstarmap shared_task "
        "current_app current_task bugreport uuid local maybe_patch_concurrency VERSION version_info version_info_t "
        "VERSION_BANNER SERIES __version__"
    ),
    "celery.app": "Celery app_or_default bugreport shared_task AppPickler default_app",
    "celery.app.amqp": "AMQP",
    "celery.app.events": "Events",
    "celery.app.base": "Celery",
    "celery.app.control": "Control Inspect",
    "celery.app.log": "Logging TaskFormatter",
    "celery.app.task": "Task Context",
    "celery.app.trace": "build_tracer",
    "celery.backends.base": "BaseBackend KeyValueStoreBackend",
    "celery.beat": "Scheduler ScheduleEntry",
    "celery.bootsteps": "Step StartStopStep ConsumerStep",
    "celery.canvas": "Signature signature subtask maybe_signature chain chord group chunks xmap xstarmap",
    "celery.concurrency.base": "BasePool",
    "celery.contrib.abortable": "AbortableTask AbortableAsyncResult",
    "celery.contrib.django.task": "DjangoTask",
    "celery.contrib.migrate": "migrate_tasks move",
    "celery.contrib.pytest": "celery_app celery_worker",
    "celery.contrib.rdb": "set_trace",
    "celery.contrib.sphinx": "setup",
    "celery.contrib.testing.app": "TestApp",
    "celery.contrib.testing.manager": "Manager",
    "celery.contrib.testing.mocks": "TaskMessage",
    "celery.contrib.testing.tasks": "ping",
    "celery.contrib.testing.worker": "start_worker",
    "celery.events": "EventReceiver EventDispatcher",
    "celery.events.snapshot": "Polaroid",
    "celery.events.state": "State Task Worker",
    "celery.exceptions": (
        "CeleryError ImproperlyConfigured SecurityError TaskPredicate Retry Ignore Reject TaskError QueueNotFound "
        "IncompleteStream NotRegistered AlreadyRegistered TimeoutError MaxRetriesExceededError TaskRevokedError "
        "InvalidTaskError ChordError BackendError BackendGetMetaError BackendStoreError OperationalError "
        "SoftTimeLimitExceeded TimeLimitExceeded WorkerLostError Terminated WorkerShutdown WorkerTerminate "
        "SystemTerminate CeleryCommandException CeleryWarning AlwaysEagerIgnored DuplicateNodenameWarning "
        "DuplicateTaskNameWarning FixupWarning NotConfigured SecurityWarning CDeprecationWarning "
        "CPendingDeprecationWarning RetryTaskError reraise"
    ),
    "celery.execute": "send_task",
    "celery.loaders.base": "BaseLoader",
    "celery.registry": "tasks",
    "celery.result": (
        "AsyncResult ResultSet GroupResult EagerResult allow_join_result denied_join_result result_from_tuple "
        "assert_will_not_block"
    ),
    "celery.schedules": "schedule crontab solar crontab_parser maybe_schedule ParseException",
    "celery.signals": (
        "before_task_publish after_task_publish task_sent task_received task_prerun task_postrun task_success "
        "task_retry task_failure task_internal_error task_revoked task_rejected task_unknown import_modules "
        "celeryd_init celeryd_after_setup worker_init worker_before_create_process worker_process_init "
        "worker_process_shutdown worker_ready worker_shutting_down worker_shutdown heartbeat_sent "
        "setup_logging after_setup_logger after_setup_task_logger beat_init "
        "beat_embedded_init eventlet_pool_started eventlet_pool_preshutdown "
        "eventlet_pool_postshutdown eventlet_pool_apply user_preload_options"
    ),
    "celery.states": (
        "PENDING RECEIVED REJECTED STARTED SUCCESS FAILURE RETRY REVOKED IGNORED READY_STATES UNREADY_STATES "
        "EXCEPTION_STATES PROPAGATE_STATES ALL_STATES precedence state"
    ),
    "celery.utils": (
        "uuid gen_unique_id cached_property worker_direct chunks gen_task_name instantiate memoize nodename nodesplit "
        "noop LOG_LEVELS get_cls_by_name get_full_cls_name import_from_cwd"
    ),
    "celery.utils.log": "get_task_logger get_logger ColorFormatter LoggingProxy mlevel LOG_LEVELS in_sighandler",
    "celery.worker": "WorkController",
    "celery.worker.consumer": "Consumer",
    "celery.worker.control": "control_command inspect_command Panel",
    "celery.worker.request": "Request",
    "celery.worker.strategy": "default",
    "kombu": (
        "Connection BrokerConnection Exchange Queue binding Message Consumer Producer connections producers parse_url "
        "eventloop uuid enable_insecure_serializers disable_insecure_serializers"
    ),
    "kombu.common": "Broadcast maybe_declare QoS ignore_errors collect_replies itermessages",
    "kombu.compression": "register",
    "kombu.exceptions": (
        "KombuError OperationalError EncodeError DecodeError ContentDisallowed SerializerNotInstalled "
        "InconsistencyError LimitExceeded"
    ),
    "kombu.mixins": "ConsumerMixin ConsumerProducerMixin",
    "kombu.pools": "set_limit reset",
    "kombu.serialization": "register unregister registry dumps loads prepare_accept_content",
    "kombu.utils.json": "register_type dumps loads JSONEncoder",
}

MISSING = {
    "celery": "chain chord group chunks xmap xstarmap local maybe_patch_concurrency",
    "celery.app": "AppPickler default_app",
    "celery.app.trace": "build_tracer",
    "celery.beat": "Scheduler ScheduleEntry",
    "celery.bootsteps": "Step StartStopStep ConsumerStep",
    "celery.canvas": "chain chord group chunks xmap xstarmap",
    "celery.concurrency.base": "BasePool",
    "celery.contrib.abortable": "AbortableTask AbortableAsyncResult",
    "celery.contrib.migrate": "migrate_tasks move",
    "celery.contrib.pytest": "celery_app celery_worker",
    "celery.contrib.rdb": "set_trace",
    "celery.contrib.sphinx": "setup",
    "celery.contrib.testing.app": "TestApp",
    "celery.contrib.testing.manager": "Manager",
    "celery.contrib.testing.mocks": "TaskMessage",
    "celery.contrib.testing.tasks": "ping",
    "celery.contrib.testing.worker": "start_worker",
    "celery.events.snapshot": "Polaroid",
    "celery.execute": "send_task",
    "celery.schedules": "schedule crontab solar crontab_parser maybe_schedule ParseException",
    "celery.utils": (
        "chunks gen_task_name instantiate memoize nodename nodesplit noop LOG_LEVELS get_cls_by_name get_full_cls_name "
        "import_from_cwd"
    ),
    "celery.utils.log": "LOG_LEVELS in_sighandler",
    "celery.worker": "WorkController",
    "celery.worker.consumer": "Consumer",
    "celery.worker.control": "Panel",
    "celery.worker.strategy": "default",
    "kombu": (
        "Connection BrokerConnection Message Consumer Producer connections producers parse_url eventloop "
        "enable_insecure_serializers disable_insecure_serializers"
    ),
    "kombu.common": "maybe_declare QoS ignore_errors collect_replies itermessages",
    "kombu.compression": "register",
    "kombu.exceptions": "KombuError SerializerNotInstalled InconsistencyError LimitExceeded",
    "kombu.mixins": "ConsumerMixin ConsumerProducerMixin",
    "kombu.pools": "set_limit reset",
    "kombu.serialization": "registry dumps loads prepare_accept_content",
    "kombu.utils.json": "JSONEncoder",
}
"""What of it is refused by name. A name that has come is deleted here, in the commit that adds it to the table."""


def flat(table: dict[str, str]) -> set[str]:
    """Full names."""
    return {f"{module}.{name}" for module, names in table.items() for name in names.split()}
