"""The RabbitMQ broker. See docs/internals/contracts.md."""

from celery_rs.transports.amqp.consumer import AmqpConsumer
from celery_rs.transports.amqp.options import AmqpOptions
from celery_rs.transports.amqp.server import Server
from celery_rs.transports.amqp.transport import AmqpTransport

__all__ = ["AmqpConsumer", "AmqpOptions", "AmqpTransport", "Server"]
