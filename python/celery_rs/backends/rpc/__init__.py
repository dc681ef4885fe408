"""Results that are sent to who called, over the broker: `rpc://`."""

from celery_rs.backends.rpc.store import RpcBackend

__all__ = ["RpcBackend"]
