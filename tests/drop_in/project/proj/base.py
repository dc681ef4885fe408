"""The class of most tasks here: it keeps a connection, stamps what it sends, and says what happens to it."""

from celery import Task
from celery.worker.request import Request

from proj.journal import note


class ShopRequest(Request):
    """Tells, in the worker's main process, what becomes of a message."""

    def on_accepted(self, pid, time_accepted):
        super().on_accepted(pid, time_accepted)
        note("request accepted", self.id, pid=pid > 0, time=time_accepted > 0)

    def on_timeout(self, soft, timeout):
        super().on_timeout(soft, timeout)
        note("request timeout", self.id, soft=soft, timeout=timeout, name=self.task.name)

    def on_retry(self, exc_info):
        super().on_retry(exc_info)
        note("request retry", self.id, exc=type(exc_info.exception).__name__)

    def on_failure(self, exc_info, send_failed_event=True, return_ok=False):
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        note("request failure", self.id, exc=exc_info.exception, traceback="Traceback" in exc_info.traceback)


class ShopTask(Task):
    abstract = True
    Request = "proj.base:ShopRequest"
    _ledger = None

    @property
    def ledger(self):
        if self._ledger is None:
            self._ledger = []
        return self._ledger

    def apply_async(self, args=None, kwargs=None, task_id=None, producer=None, link=None, link_error=None, **options):
        options["headers"] = {"shop": "berlin", **(options.get("headers") or {})}
        return super().apply_async(args, kwargs, task_id, producer, link, link_error, **options)

    def __call__(self, *args, **kwargs):
        note("called", self.request.id, retries=self.request.retries)
        return super().__call__(*args, **kwargs)

    def before_start(self, task_id, args, kwargs):
        note("before_start", task_id, args=args, kwargs=kwargs)

    def on_success(self, retval, task_id, args, kwargs):
        note("on_success", task_id, retval=retval)

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note("on_retry", task_id, exc=exc, einfo=type(einfo).__name__)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("on_failure", task_id, exc=exc, traceback="Traceback" in str(einfo))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("after_return", task_id, status=status, retval=retval)
