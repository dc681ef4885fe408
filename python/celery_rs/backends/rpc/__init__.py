"""Results that are sent to who called, over the broker: `rpc://`."""

from celery_rs.backends.rpc.store import RpcBackend, open_store

__all__ = ["RpcBackend", "open_store"]
