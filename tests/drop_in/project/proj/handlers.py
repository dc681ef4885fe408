"""What this project wants to be told of a worker's life and of its tasks."""

from celery.signals import (
    before_task_publish,
    celeryd_init,
    task_failure,
    task_postrun,
    task_prerun,
    task_received,
    task_retry,
    task_revoked,
    task_success,
    worker_init,
    worker_process_init,
    worker_ready,
)

from proj.journal import note

ready_in_this_process = False


@celeryd_init.connect
def configure(sender=None, conf=None, instance=None, **kwargs):
    note("celeryd_init", node=sender, concurrency=conf.worker_concurrency)


@worker_init.connect
def starting(sender=None, **kwargs):
    note("worker_init")


@worker_process_init.connect
def open_connections(**kwargs):
    global ready_in_this_process
    ready_in_this_process = True


@worker_ready.connect
def ready(sender=None, **kwargs):
    note("worker_ready", node=sender.hostname)


@before_task_publish.connect
def published(sender=None, headers=None, body=None, routing_key=None, **kwargs):
    headers["published_as"] = sender


@task_received.connect
def received(request=None, **kwargs):
    note("task_received", request.id, name=request.name)


@task_prerun.connect
def prerun(sender=None, task_id=None, task=None, args=None, kwargs=None, **more):
    note("task_prerun", task_id, name=sender.name, args=args, kwargs=kwargs, prepared=ready_in_this_process)


@task_postrun.connect
def postrun(sender=None, task_id=None, retval=None, state=None, **more):
    note("task_postrun", task_id, retval=retval, state=state)


@task_success.connect
def success(sender=None, result=None, **more):
    note("task_success", sender.request.id, result=result)


@task_retry.connect
def retried(sender=None, request=None, reason=None, einfo=None, **more):
    note("task_retry", request.id, reason=str(reason))


@task_failure.connect
def failed(sender=None, task_id=None, exception=None, traceback=None, einfo=None, **more):
    note("task_failure", task_id, name=sender.name, exception=exception)


@task_revoked.connect
def revoked(request=None, terminated=None, signum=None, expired=None, **more):
    note("task_revoked", request.id, terminated=terminated, expired=expired)
