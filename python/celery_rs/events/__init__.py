"""Events: what workers and clients tell monitors."""

from celery_rs.events.cluster import State
from celery_rs.events.emitter import Emitter
from celery_rs.events.facade import Events
from celery_rs.events.receiver import EventDict, Receiver
from celery_rs.events.seen import SeenTask, SeenWorker
from celery_rs.events.sender import Dispatcher

__all__ = ["Dispatcher", "Emitter", "EventDict", "Events", "Receiver", "SeenTask", "SeenWorker", "State"]
