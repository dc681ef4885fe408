"""What a broker or a result store may lack.

A test that rests on one of these says so (`needs`), and runs with the worlds that keep it.
"""

from typing import Literal, get_args

Promise = Literal[
    "broker",  # there is a broker at all
    "browse",  # the transport tells where a message is, and what waits
    "chords",  # the store counts the parts of chords
    "clock",  # a test can say how late it is for the store
    "commits",  # the store is written in the broker's own step
    "deliveries",  # every reserve is counted
    "extended",  # the store keeps what result_extended adds whether or not its app has it on
    "failures expire alone",  # failures are kept for a time of their own
    "headers refused",  # what routes by headers is refused, since it would not be obeyed
    "on demand",  # nothing is reserved before somebody asks for it
    "once",  # a repeat of `once` is dropped
    "places",  # what is given back goes before what came after it
    "priorities",  # what is more urgent goes first
    "priorities across queues",  # ... whatever queue it is in
    "purge delayed",  # purging reaches what waits for its time
    "replies",  # messages come as replies, and one that gets lost is repaired
    "store",  # there is a result store
]
PROMISES: tuple[Promise, ...] = get_args(Promise)
