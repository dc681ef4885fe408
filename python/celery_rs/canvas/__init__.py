"""Calls that are written down: signatures, to be passed on, linked and called later."""

from celery_rs.canvas.signature import Signature, embedded, maybe_signature, signature

__all__ = ["Signature", "embedded", "maybe_signature", "signature"]
