"""Mistakes on the command line: what was done, whom it concerns, how it ends and what must be said of it."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from celery_rs.cli.output import ExitCode
from tests.bad_input.entries import EVERY

GOOD = """
from celery_rs import Celery
app = Celery("proj", broker="memory://bad-input", backend="memory://bad-input")

@app.task(name="proj.add")
def add(x, y): ...
"""


class Row(NamedTuple):
    """`before` and `after` are words around the command; `files` are written into the working directory."""

    name: str
    says: tuple[str, ...]
    concerns: str = EVERY
    before: tuple[str, ...] = ("-A", "proj")
    after: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    variables: Mapping[str, str] = {}
    code: int = ExitCode.USAGE


def _app(name: str, spec: str, *says: str, **files: str) -> Row:
    return Row(
        f"app: {name}", (f"-A {spec}: ", *says), before=("-A", spec), files={f"{n}.py": t for n, t in files.items()}
    )


def _setting(name: str, assignment: str, *says: str) -> Row:
    """The app's own module sets it: what is raised there names the line."""
    text = f"from celery_rs import Celery\napp = Celery('bad', broker='memory://')\n{assignment}\n"
    return Row(f"setting: {name}", (*says, "(bad.py:3)"), before=("-A", "bad"), files={"bad.py": text})


def _module(name: str, line: str, *says: str) -> Row:
    """A module of settings has it, and is read when the first setting is needed. (`check` reports it.)"""
    files = {
        "bad_config.py": f"broker_url = result_backend = 'memory://bad-input'\n{line}\n",
        "plain.py": "from celery_rs import Celery\napp = Celery('plain')\n",
    }
    return Row(f"config: {name}", says, "settings", before=("--config", "bad_config", "-A", "plain"), files=files)


def _broker(name: str, url: str, *says: str, code: int = ExitCode.USAGE) -> Row:
    return Row(f"broker: {name}", says, "broker", before=("-b", url, "-A", "proj"), code=code)


def _redis(name: str, url: str, *says: str) -> tuple[Row, Row]:
    """As a broker, and as a result store."""
    return (
        _broker(f"redis: {name}", url, *says),
        Row(f"store: redis: {name}", says, "store", before=("--result-backend", url, "-A", "proj")),
    )


def _unavailable(name: str, url: str, *says: str) -> tuple[Row, Row]:
    """The same where it is a server that is wrong; a worker tries once here."""
    files = {"once.py": f"{GOOD}\napp.conf.broker_connection_retry_on_startup = False\n"}
    code = ExitCode.UNAVAILABLE
    return (
        Row(
            f"broker: redis: {name}", ("broker redis", *says), "broker", ("-b", url, "-A", "once"), (), files, code=code
        ),
        Row(
            f"store: redis: {name}",
            ("result store redis", *says),
            "store",
            before=("--result-backend", url, "-A", "proj"),
            code=code,
        ),
    )


def _unreachable(name: str, url: str, *says: str) -> Row:
    """A RabbitMQ that is wrong; a worker tries once here."""
    files = {"once.py": f"{GOOD}\napp.conf.broker_connection_retry_on_startup = False\n"}
    return Row(
        f"broker: amqp: {name}", ("broker amqp", *says), "broker", ("-b", url, "-A", "once"), (), files,
        code=ExitCode.UNAVAILABLE,
    )  # fmt: skip


def _option(name: str, concerns: str, after: tuple[str, ...], *says: str, code: int = ExitCode.USAGE) -> Row:
    return Row(f"option: {name}", says, concerns, after=after, code=code)


APPS = (
    _app("no module", "nowhere", "there is no module 'nowhere' in", "check the name"),
    _app("no app", "empty", "module 'empty' has no app", "add `app = Celery('empty')`", empty=""),
    _app("syntax error", "broken", "SyntaxError", "(broken.py:2)", broken="x = 1\ny = (\n"),
    _app("import fails", "raises", "ZeroDivisionError", "(raises.py:1)", raises="1 / 0\n"),
    _app("wrong attribute", "proj:nope", "has no 'nope'; there is `-A proj:app`"),
    _app("no app there", "proj:add", "expected 'add' to be an app"),
    _app("path", "proj.py", "expected a module's name, got a path; write `-A proj`"),
)
SETTINGS = (
    _setting("unknown", "app.conf.frobnicate = 1", "frobnicate"),
    _setting("misspelt", "app.conf.task_serialiser = 'json'", "'task_serialiser'", "did you mean 'task_serializer'?"),
    _setting("wrong type", "app.conf.worker_concurrency = 'many'", "worker_concurrency", "'many'"),
    _setting("bad zone", "app.conf.timezone = 'Mars/Base'", "timezone", "'Mars/Base'"),
    _setting("bad route", "app.conf.task_routes = {'proj.add': 5}", "task_routes", "5"),
    _setting("bad rate", "app.conf.task_default_rate_limit = '10/y'", "task_default_rate_limit", "'10/y'"),
    _setting("not there yet", "app.conf.task_allow_error_cb_on_chord_header = True", "task_allow_error_cb"),
    _module("wrong type", "worker_concurrency = 'many'", "worker_concurrency", "'many'"),
    _module("bad zone", "timezone = 'Mars/Base'", "timezone", "'Mars/Base'"),
    _module("bad route", "task_routes = {'proj.add': 5}", "task_routes"),
    _module("syntax error", "x = (", "bad_config", "SyntaxError"),
    Row("config: no module", ("nowhere",), "settings", before=("--config", "nowhere", "-A", "proj")),
)
BROKERS = (
    _broker("unknown scheme", "carrier-pigeon://x", "expected a broker URL such as 'sqlite:///tasks.sqlite3'"),
    _broker("misspelt scheme", "ampq://u:hunter2@h", "did you mean amqp://?"),
    _broker("not there yet", "sqs://u:hunter2@h", "sqs:// are not supported yet"),
    _broker("no scheme", "tasks.sqlite3", "expected a broker URL such as", "'tasks.sqlite3'"),
    _broker("directory", "sqlite:///folder", "is a directory; name a file in it"),
    _broker("no folder", "sqlite:///no/such/x.sqlite3", "no/such", "create it first"),
    _broker("no database", "sqlite:///proj.py", "proj.py", "not a SQLite database"),
    _broker("unknown option", "sqlite:///x.sqlite3?sink=full", "sink"),
)
PLAIN_REDIS = "127.0.0.1:6379"
NOBODY = "127.0.0.1:1"
"""A port at which nobody listens."""
REDIS = (
    *_redis("no database's number", "redis://h/tasks", "the database of a Redis is a number", "'tasks'"),
    *_redis("unknown option", "redis://h/0?speed=9", "expected one of", "'speed'"),
    *_redis("TLS option without TLS", "redis://h/0?ssl_cert_reqs=none", "expected rediss://"),
    *_redis("a list of two kinds", "redis://h;sqlite:///x", "of one kind"),
    *_redis("sentinel without a master", "sentinel://h:26379", "master_name"),
    *_unavailable("down", f"redis://:hunter2@{NOBODY}/0", "cannot be reached: Connection refused"),
    *_unavailable("no socket", "redis+socket:///no/such.sock", "cannot be reached: No such file or directory"),
    *_unavailable("password", f"redis://:hunter2@{PLAIN_REDIS}/0", "refused: ", "password"),
    *_unavailable(
        "no such database", f"redis://{PLAIN_REDIS}/999999", "refused: DB index is out of range", "the end of the URL"
    ),
    *_unavailable(
        "no TLS there", f"rediss://{PLAIN_REDIS}/0?ssl_cert_reqs=none&socket_timeout=0.2", "speak TLS on this port?"
    ),
)
PLAIN_RABBITMQ = "127.0.0.1:5672"
AMQP = (
    _broker("amqp: a password as it is", "amqp://u:hunter2/x@h/v", "expected a URL such as", "written %2F"),
    _broker("amqp: no port", "amqp://u:hunter2@h:port", "expected a URL such as"),
    _broker("amqp: unknown option", "amqp://h?speed=9", "'speed'", "broker_transport_options"),
    _broker("amqp: TLS option without TLS", "amqp://h?ssl_ca_certs=x", "expected amqps://"),
    _broker("amqp: no such certificate", "amqps://h?ssl_ca_certs=x.pem", "cannot read 'ca_certs' 'x.pem'"),
    _broker("amqp: a list of two kinds", "amqp://h;sqlite:///x", "of one kind"),
    _unreachable("down", f"amqp://u:hunter2@{NOBODY}", "cannot be reached: Connection refused"),
    _unreachable("all of them down", f"amqp://u:hunter2@{NOBODY};127.0.0.1:2", "cannot be reached"),
    _unreachable("password", f"amqp://guest:hunter2@{PLAIN_RABBITMQ}", "the login of 'guest' by PLAIN failed"),
    _unreachable("virtual host", f"amqp://{PLAIN_RABBITMQ}/no-such", "vhost no-such not found", "add_vhost 'no-such'"),
    _unreachable("no TLS there", f"amqps://{PLAIN_RABBITMQ}", "refused TLS", "does it speak TLS on this port?"),
)
OPTIONS = (
    _option("unknown", EVERY, ("--frobnicate",), "No such option", "--frobnicate"),
    _option("misplaced", EVERY, ("-A", "proj"), "-A is a global option: put it before the command"),
    _option("no time", "asks", ("-t", "soon"), "expected a number of seconds above 0, got 'soon'"),
    _option("no nodes", "asks", ("-d", "w9@nowhere"), "w9@nowhere", code=ExitCode.UNAVAILABLE),
    _option("loglevel", "worker", ("-l", "loud"), "expected one of DEBUG", "got 'loud'"),
    _option("pool", "worker", ("-P", "swimming"), "expected prefork or solo", "got 'swimming'"),
    _option("pool not there yet", "worker", ("-P", "gevent"), "pool 'gevent' is not supported yet"),
    _option("concurrency", "worker", ("-c", "many"), "expected a number or 'auto', got 'many'"),
    _option("task module", "worker", ("-I", "nowhere"), "importing the task module 'nowhere' failed"),
    _option("no queues left", "worker", ("-X", "celery"), "expected a queue to consume from, got none"),
    _option("node name", "worker", ("-n", "a b"), "expected a node name such as", "got 'a b'"),
    _option("beat", "worker", ("-B",), "is not supported yet"),
    _option("pidfile in no folder", "worker", ("--pidfile", "no/w.pid"), "--pidfile", "no/w.pid", code=73),
    _option("pidfile a directory", "worker", ("--pidfile", "folder"), "--pidfile", "folder", code=73),
    _option("pidfile held", "worker", ("--pidfile", "held.pid"), "already running", f"(pid: {os.getppid()})", code=73),
    _option("pidfile below a file", "worker", ("--pidfile", "proj.py/w.pid"), "--pidfile", code=73),
    _option("logfile in no folder", "worker", ("-f", "no/w.log"), "--logfile", "no/w.log", code=73),
    _option("logfile a directory", "worker", ("-f", "folder"), "--logfile", "folder", code=73),
    _option("logfile below a file", "worker", ("-f", "proj.py/w.log"), "--logfile", code=73),
    _option("statedb in no folder", "worker", ("-S", "no/state"), "no/state", code=73),
    _option("statedb a directory", "worker", ("-S", "folder"), "folder", code=73),
    _option("arguments no JSON", "call", ("-a", "[1,"), "expected a JSON list such as '[2, 2]', got '[1,'"),
    _option("arguments no list", "call", ("-a", "{}"), "expected a JSON list"),
    _option("too few arguments", "call", ("-a", "[1]"), "proj.add", "see -a and -k"),
    _option("unknown argument", "call", ("-k", '{"z": 1}'), "proj.add", "'z'"),
    _option("serializer", "call", ("--serializer", "morse"), "morse"),
    _option("eta", "call", ("--eta", "soon"), "expected a time such as", "got 'soon'"),
    _option("countdown", "call", ("--countdown", "soon"), "'soon'"),
    _option("exchange", "call", ("--exchange", "nowhere"), "no queue is bound to exchange 'nowhere'"),
    _option("unknown task", "result", ("-t", "proj.ad"), "no task 'proj.ad' in this app; did you mean 'proj.add'?"),
    _option("no queues", "purge", ("-Q", "a", "-X", "a"), "expected a queue to purge, got none"),
    _option("two shells", "shell", ("--ipython",), "expected one of --ipython, --python"),
)
REST = (
    Row(
        "results are off",
        ("result_backend", "sqlite:///"),
        "store",
        before=("-A", "off"),
        files={"off.py": "from celery_rs import Celery\napp = Celery('off', broker='memory://')\n"},
        code=ExitCode.FAILURE,
    ),
    Row("result of an unknown id", ("no-such-id", "PENDING"), "store", code=ExitCode.FAILURE),
    Row(
        "unknown queue",
        ("'nope'", "task_queues"),
        "worker",
        before=("-A", "strict"),
        after=("-Q", "nope"),
        files={"strict.py": f"{GOOD}\napp.conf.task_create_missing_queues = False\n"},
    ),
    Row(
        "call to an unknown queue",
        ("'nope'", "task_queues"),
        "call",
        before=("-A", "strict"),
        after=("--queue", "nope"),
        files={"strict.py": f"{GOOD}\napp.conf.task_create_missing_queues = False\n"},
    ),
    Row("no app and no broker", ("expected an app", "got n"), "broker", before=()),
    Row("variable", ("CELERY_STATUS_JSON", "'perhaps'"), "status", variables={"CELERY_STATUS_JSON": "perhaps"}),
    Row("loader", ("loader", "'no.such:Loader'"), "settings", before=("--loader", "no.such:Loader", "-A", "proj")),
    Row("no such directory", ("'nowhere'",), before=("--workdir", "nowhere", "-A", "proj")),
)
ROWS = (*APPS, *SETTINGS, *BROKERS, *REDIS, *AMQP, *OPTIONS, *REST)
