"""The scripts of one broker: with its keys, and with the clock that it goes by."""

from typing import Any

from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Argument, Link
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew


class Procedures:
    """Any thread. Raises LinkLost, Refused."""

    def __init__(self, server: Server, keys: Keys, skew: Skew) -> None:
        self.server = server
        self.keys = keys
        self.skew = skew

    def run(self, script: Script, *arguments: Argument) -> Any:
        """Over a connection that is borrowed for it."""
        with self.server.borrowed() as link:
            return script.run(link, self.keys.fixed, self.skew(), *arguments)

    def run_on(self, link: Link, script: Script, *arguments: Argument) -> Any:
        return script.run(link, self.keys.fixed, self.skew(), *arguments)
