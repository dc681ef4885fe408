//! The hot path of celery-rs: bytes to fields and back, rates, routes, the pool page.
#![forbid(unsafe_code)]
