"""What RabbitMQ says when it refuses, in one line that says what to do about it."""

import pytest

from celery_rs.transports.amqp.errors import lost_to, words_of
from celery_rs.transports.amqp.location import places_of

(PLACE,) = places_of("amqp://me:s3cret@rabbit/v")
WHERE = "broker amqp://me:********@rabbit:5672/v"
DOWN = "home node 'rabbit@host' of durable queue '%s' in vhost 'v' is down or inaccessible"
FORGOTTEN = (
    'rabbitmqctl eval \'rabbit_amqqueue:internal_delete(rabbit_misc:r(<<"v">>, queue, <<"celery_rs.facts">>), '
    '<<"op">>).\''
)
INEQUIVALENT = "PRECONDITION_FAILED - inequivalent arg "


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            (
                "'x-max-priority' for queue 'q' in vhost 'v': received the value '10' of type 'signedint' "
                "but current is none"
            ),
            "queue 'q' is there already with another 'x-max-priority': ours is 10, theirs none",
        ),
        (
            (
                "'x-max-priority' for queue 'q' in vhost 'v': received none but current is the value '10' of type "
                "'signedint'"
            ),
            "queue 'q' is there already with another 'x-max-priority': ours is none, theirs 10",
        ),
        (
            "'x-max-priority' for queue 'q' in vhost 'v': received '5' but current is '10'",
            "ours is 5, theirs 10",
        ),
        (
            (
                "'x-dead-letter-exchange' for queue 'o'q' in vhost '/': received the value 'o'o' of type 'longstr' "
                "but current is none"
            ),
            """queue "o'q" is there already with another 'x-dead-letter-exchange': ours is "o'o", theirs none""",
        ),
        (
            "'durable' for queue 'q' in vhost 'v': received 'false' but current is 'true'",
            "another 'durable': ours is false, theirs true",
        ),
        (
            "'type' for exchange 'e' in vhost 'v': received 'topic' but current is 'direct'",
            "exchange 'e' is there already with another 'type': ours is topic, theirs direct",
        ),
    ],
)
def test_what_was_declared_elsewhere_with_other_arguments_is_named_with_both(said: str, says: str) -> None:
    words = words_of(406, INEQUIVALENT + said, PLACE)

    assert words.startswith(f"{WHERE} refused: ")
    assert says in words
    assert "declare it as it is there" in words


@pytest.mark.parametrize(
    ("code", "said", "says"),
    [
        (
            403,
            (
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker "
                "logfile."
            ),
            "refused: the login of 'me' by PLAIN failed (the user or password is wrong",
        ),
        (403, "ACCESS_REFUSED - access to queue 'q' in vhost 'v' refused for user 'me'", "set_permissions -p 'v' 'me'"),
        (403, "ACCESS_REFUSED - queue 'q' in vhost 'v' in exclusive use", "another consumer has this queue"),
        (403, "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'", "use another name"),
        (404, "NOT_FOUND - no queue 'q' in vhost 'v'", "refused: no queue 'q' in vhost 'v' (it was deleted"),
        (404, "NOT_FOUND - no exchange 'e' in vhost 'v'", "name it in task_queues"),
        (404, f"NOT_FOUND - {DOWN % 'q'}", f"refused: {DOWN % 'q'} (start that node of the broker again)"),
        (404, f"NOT_FOUND - {DOWN % 'celery_rs.facts'}", f"and the workers go on: {FORGOTTEN})"),
        (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", "belongs to another connection"),
        (
            406,
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 60000 ms.",
            "consumer_timeout; raise that in rabbitmq.conf",
        ),
        (406, "PRECONDITION_FAILED - inequivalent arg 'x-max-pri...", "declare it as it is there"),
        (406, "PRECONDITION_FAILED - message size 99 is larger than configured max size 9", "put the data elsewhere"),
        (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", "opened again"),
        (501, "FRAME_ERROR - type 9, all octets", "is this its port for amqp:// or for amqps://?"),
        (503, "COMMAND_INVALID - unknown exchange type 'x-delayed-message'", "a plugin of the broker brings it"),
        (504, "CHANNEL_ERROR - expected 'channel.open'", "opened again"),
        (506, "RESOURCE_ERROR - no room", "short of memory, disk or file handles"),
        (530, "NOT_ALLOWED - vhost v not found", "rabbitmqctl add_vhost 'v'"),
        (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'me'", "set_permissions -p 'v' 'me'"),
        (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'me': connection limit (1) is reached", "too many"),
        (541, "INTERNAL_ERROR - vhost 'v' is down", "look into its log"),
        (999, "SOMETHING_NEW - never heard", "never heard (AMQP 999)"),
    ],
)
def test_a_refusal_says_what_to_do(code: int, said: str, says: str) -> None:
    words = words_of(code, said, PLACE)

    assert words.startswith(WHERE)
    assert says in words


@pytest.mark.parametrize("said", [b"\xff\xfe", "two\nlines\r\n\x1b[31mred\x07", "", "{user} {0}"])
def test_whatever_a_server_says_is_one_line(said: str | bytes) -> None:
    words = words_of(541, said, PLACE)

    assert words.isprintable()
    assert "s3cret" not in words


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached: Connection refused"),
        (TimeoutError("timed out"), "cannot be reached: no answer within 4 seconds"),
        (UnicodeError("label too long"), "cannot be reached: label too long"),
        (OSError(), "cannot be reached: OSError"),
    ],
)
def test_a_server_that_cannot_be_reached_is_said(error: OSError | ValueError, says: str) -> None:
    assert str(lost_to(PLACE, error, timeout=4.0)) == f"{WHERE} {says}"
