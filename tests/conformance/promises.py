"""What a broker may lack.

A test that rests on one of these says so (`needs`), and runs with the worlds that keep it.
"""

from typing import Literal, get_args

Promise = Literal[
    "browse",  # the transport tells where a message is, and what waits
    "deliveries",  # every reserve is counted
    "headers refused",  # what routes by headers is refused, since it would not be obeyed
    "on demand",  # nothing is reserved before somebody asks for it
    "once",  # a repeat of `once` is dropped
    "places",  # what is given back goes before what came after it
    "priorities",  # what is more urgent goes first
    "priorities across queues",  # ... whatever queue it is in
    "purge delayed",  # purging reaches what waits for its time
    "replies",  # messages come as replies, and one that gets lost is repaired
    "store",  # there is a result store beside the broker, written in the same step
]
PROMISES: tuple[Promise, ...] = get_args(Promise)
