"""What the embedded broker says when its file cannot be used, and what it makes when it can."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from celery_rs.backends import open_backend
from celery_rs.errors import CeleryError, ImproperlyConfigured, OperationalError
from celery_rs.transports import open_transport
from celery_rs.transports.sqlite import SqliteTransport
from celery_rs.transports.sqlite.files import network_mount
from celery_rs.transports.sqlite.locks import Lease
from celery_rs.wire import Exchange
from tests.conformance.calls import call
from tests.unit.sqlite_processes import process

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local xfs rw 0 0
me@host:/ /mnt/far\\040away fuse.sshfs rw 0 0
//nas/share /mnt/nas cifs rw 0 0
drivers /mnt/c 9p rw 0 0
/dev/sdb1 /mnt/stick fuseblk rw 0 0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


def opened(path: Path) -> None:
    transport = open_transport(f"sqlite:///{path}", {})
    transport.queues()
    transport.close()


def refused(path: Path) -> str:
    with pytest.raises(CeleryError) as caught:
        opened(path)
    return str(caught.value)


def test_a_relative_url_names_a_file_under_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    transport = open_transport("sqlite:///tasks.sqlite3", {})

    assert transport.describe() == f"sqlite:///{tmp_path}/tasks.sqlite3"


def test_an_absolute_url_has_four_slashes_and_may_be_quoted(tmp_path):
    transport = open_transport(f"sqlite:///{tmp_path}/my%20tasks.sqlite3?sync=full", {})

    assert transport.describe() == f"sqlite:///{tmp_path}/my tasks.sqlite3"


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite://tasks.sqlite3", "sqlite:tasks.sqlite3", "sqlite:///a%00b"]
)
def test_a_url_without_a_file_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="expected"):
        open_transport(url, {})


@pytest.mark.parametrize(
    ("query", "options", "named"),
    [
        ("?sync=never", {}, "'never'"),
        ("?mode=ro", {}, "'mode'"),
        ("", {"visibility_timeout": 3600}, "'visibility_timeout'"),
        ("", {"lock_timeout": "soon"}, "'soon'"),
        ("", {"lock_timeout": -1}, "-1"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(path, query, options, named):
    with pytest.raises(ImproperlyConfigured, match="expected") as caught:
        open_transport(f"sqlite:///{path}{query}", options)

    assert named in str(caught.value)


@pytest.mark.parametrize(("query", "level"), [("", 1), ("?sync=full", 2)])
def test_sync_says_how_far_a_commit_goes(path, query, level):
    transport = open_transport(f"sqlite:///{path}{query}", {})

    assert isinstance(transport, SqliteTransport)
    assert transport.database.read("PRAGMA synchronous") == [(level,)]
    transport.close()


def test_opening_needs_no_file(path):
    open_transport(f"sqlite:///{path}", {})

    assert not path.exists()


def test_the_files_are_our_users_alone(path):
    transport = open_transport(f"sqlite:///{path}", {})
    consumer = transport.consume(["q"])

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {
        "tasks.sqlite3": 0o600,
        "tasks.sqlite3-shm": 0o600,
        "tasks.sqlite3-wal": 0o600,
        "tasks.sqlite3.d": 0o700,
        "tasks.sqlite3.lock": 0o600,
    }
    assert [stat.S_IMODE(file.stat().st_mode) for file in Path(f"{path}.d").iterdir()] == [0o600, 0o600]
    consumer.close()
    transport.close()


def test_what_lies_beside_the_file_is_as_open_as_the_file(path):
    path.touch(mode=0o660)
    path.chmod(0o660)

    transport = open_transport(f"sqlite:///{path}", {})
    consumer = transport.consume(["q"])

    assert stat.S_IMODE(os.stat(f"{path}.lock").st_mode) == 0o660
    assert stat.S_IMODE(os.stat(f"{path}.d").st_mode) == 0o770
    assert [stat.S_IMODE(file.stat().st_mode) for file in Path(f"{path}.d").iterdir()] == [0o660, 0o660]
    consumer.close()
    transport.close()


def test_nothing_is_left_beside_the_file_when_everybody_has_closed(path):
    transport = open_transport(f"sqlite:///{path}", {})
    transport.consume(["q"]).close()
    transport.subscribe(Exchange("news"), "#").close()
    transport.close()

    assert {file.name for file in path.parent.iterdir()} == {
        "tasks.sqlite3",
        "tasks.sqlite3.d",
        "tasks.sqlite3.lock",
    }
    assert list(Path(f"{path}.d").iterdir()) == []


def test_an_old_sqlite_is_refused(path, monkeypatch):
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))

    assert "expected SQLite 3.35 or newer in this Python" in refused(path)


def test_a_directory_is_not_a_database(path):
    path.mkdir()

    assert refused(path) == f"expected a database file, {str(path)!r} is a directory; name a file in it"


def test_a_missing_directory_is_named(tmp_path):
    path = tmp_path / "missing" / "tasks.sqlite3"

    assert refused(path) == (
        f"expected a directory for the database {str(path)!r}, {str(path.parent)!r} is none; create it first"
    )


def test_a_file_of_another_kind_is_refused(path):
    path.write_bytes(b"id,task\n" * 1000)

    assert f"{str(path)!r} is not a SQLite database; name another file" in refused(path)
    assert path.read_bytes() == b"id,task\n" * 1000


def test_a_database_of_another_program_is_left_alone(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE auth_user (id)")
    other.close()
    before = path.read_bytes()

    assert refused(path) == (
        f"database {str(path)!r} belongs to another program (it has tables auth_user); "
        "name a file of its own for celery-rs"
    )
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path):
    opened(path)
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    assert refused(path) == (
        f"database {str(path)!r} has schema 99 of a newer celery-rs, this one knows 2; "
        "upgrade celery-rs or name another file"
    )


def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_has(path):
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    transport.publish([call("kept")])
    transport.close()
    older = sqlite3.connect(path)
    older.execute("DROP TABLE saved_groups")
    older.execute("PRAGMA user_version = 1")
    older.close()

    store = open_backend(f"sqlite:///{path}", {}, expires=60.0)
    store.save_group("group", b"saved")

    assert store.fetch_group("group") == b"saved"
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    assert transport.queues(["q"])["q"].ready == 1
    transport.close()
    store.close()


def test_a_corrupt_database_is_named(path):
    opened(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)

    transport = SqliteTransport.open(f"sqlite:///{path}", {})

    with pytest.raises(OperationalError) as caught:
        transport.publish([call("a")])

    assert f"database {str(path)!r} is corrupt; restore a backup, or move it away" in str(caught.value)
    assert "\n" not in str(caught.value)
    transport.close()


def test_a_full_disk_is_named_and_nothing_of_the_batch_is_kept(path):
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    ((pages,),) = transport.database.read("PRAGMA page_count")
    transport.database.read(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(OperationalError, match="cannot grow, the disk is full; make room") as caught:
        transport.publish([call(str(number), body=b"x" * 4000) for number in range(100)])

    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert transport.queues(["q"])["q"].ready == 0
    transport.database.read("PRAGMA max_page_count = 100000")
    transport.publish([call("after")])
    assert transport.queues(["q"])["q"].ready == 1
    transport.close()


def test_a_file_that_may_not_be_written_is_named(path):
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    transport.database.read("PRAGMA query_only = 1")  # what a read-only file system answers, for root as well

    with pytest.raises(OperationalError, match="cannot be written; let this user write the file and its directory"):
        transport.publish([call("a")])
    transport.close()


def test_a_file_that_this_user_may_not_write_is_named_and_nothing_is_made_beside_it(path, monkeypatch):
    path.touch(mode=0o400)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do anything

    assert refused(path) == (
        f"database {str(path)!r} cannot be read and written by this user; let this user read and write the file and "
        "its directory, or name another file"
    )
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("spoil", ["directory", "foreign", "no-database"])
def test_a_file_that_is_spoilt_while_in_use_is_a_lost_broker(path, spoil):
    home = path.parent / "home"
    home.mkdir()
    path = home / path.name
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    transport.publish([call("lost with its file")])
    for file in home.iterdir():
        file.unlink()
    if spoil == "directory":
        home.rmdir()
    elif spoil == "foreign":
        with sqlite3.connect(path) as foreign:
            foreign.execute("CREATE TABLE users (name)")
        foreign.close()
    else:
        path.write_bytes(b"no database" * 1000)

    with pytest.raises(OperationalError, match=r"expected a directory|belongs to another program|is not a SQLite"):
        transport.queues()

    home.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    transport.publish([call("kept")])
    assert transport.queues(["q"])["q"].ready == 1
    transport.close()


def test_a_socket_or_lease_that_cannot_be_made_is_a_broker_that_fails(path):
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    transport.queues()
    bell = transport.database.bell("there")

    with pytest.raises(OperationalError, match=r"socket .* cannot be made .Address already in use.; let this user"):
        transport.database.bell("there")
    with pytest.raises(OperationalError, match=r"cannot be made .Is a directory.; let this user"):
        Lease.take(path.parent)
    bell.close()
    transport.close()


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    path = tmp_path / ("x" * 300)

    assert refused(path) == (
        f"database {str(path)!r} cannot be created (File name too long); let this user write in its directory"
    )


def test_a_file_that_was_replaced_is_opened_anew(path):
    transport = SqliteTransport.open(f"sqlite:///{path}", {})
    transport.publish([call("lost with its file")])
    for file in path.parent.glob("tasks.sqlite3*"):
        if file.is_file():
            file.unlink()

    transport.database.read("SELECT 1")
    transport.publish([call("kept")])

    assert path.exists()
    assert transport.queues(["q"])["q"].ready == 1
    transport.close()


def test_processes_that_open_a_new_file_together_agree(path):
    url = f"sqlite:///{path}"
    script = "sys.stdin.readline(); open_transport(url, {}).publish([call('a')]); say('done')"
    with process(url, script) as one, process(url, script) as two, process(url, script) as three:
        for other in (one, two, three):
            other.tell()
        assert [other.hears() for other in (one, two, three)] == [["done"]] * 3

    transport = open_transport(url, {})
    assert transport.queues(["q"])["q"].ready == 3
    transport.close()


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/srv/app", None),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homes", None),
        ("/home/local/me", None),
        ("/mnt/far away/x", "fuse.sshfs"),
        ("/mnt/nas", "cifs"),
        ("/mnt/c/tasks", "9p"),
        ("/mnt/stick", None),
    ],
)
def test_network_file_systems_are_told_from_local_ones(directory, kind):
    mount = network_mount(directory, MOUNTS)

    assert (mount.kind if mount else None) == kind


def test_a_network_file_system_is_refused(path, monkeypatch):
    mounts = path.with_name("mounts")
    mounts.write_text(f"server:/x {path.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr("celery_rs.transports.sqlite.files._MOUNTS", str(mounts))

    assert refused(path) == (
        f"expected a local disk for the database {str(path)!r}, {str(path.parent)!r} is a network file system (nfs4), "
        "whose locks cannot be trusted; name a file on a local disk"
    )
