"""Where the database lies: what is checked before it is opened, and the files beside it.

`<db>.lock` keeps checkpoints and writers apart; the directory `<db>.d` holds one lock and one socket per worker. All of
them get the database's own permissions, 0600 unless its owner has widened them.

The database itself is never opened here once it exists: closing any descriptor of it would drop SQLite's
locks on it in this process.
"""

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from celery_rs.errors import ImproperlyConfigured, OperationalError

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gpfs|glusterfs|beegfs|ocfs2|gfs2|pvfs2|virtiofs|fuse(\..+)?"
)
_MOUNTS = "/proc/self/mounts"


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str


def check_place(path: Path) -> None:
    """Refuse a place where a database cannot be, or would not be safe."""
    if os.path.isdir(path):  # unlike Path.is_dir, it never raises
        raise ImproperlyConfigured(f"expected a database file, {str(path)!r} is a directory; name a file in it")
    directory = path.parent
    if not os.path.isdir(directory):
        raise ImproperlyConfigured(
            f"expected a directory for the database {str(path)!r}, {str(directory)!r} is none; create it first"
        )
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            mount = network_mount(os.path.realpath(directory), mounts.read())
    except OSError:  # not Linux: nothing here can tell
        return
    if mount is not None:
        raise ImproperlyConfigured(
            f"expected a local disk for the database {str(path)!r}, {mount.point!r} is a network file system "
            f"({mount.kind}), whose locks cannot be trusted; name a file on a local disk"
        )


def network_mount(directory: str, mounts: str) -> Mount | None:
    """The network file system that `directory` lies on, by the text of /proc/mounts; None for a local one."""
    found: Mount | None = None
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
        inside = directory == point or directory.startswith(point.rstrip("/") + "/")
        # A later mount on the same point hides the earlier one.
        if inside and (found is None or len(point) >= len(found.point)):
            found = Mount(point, kind)
    return found if found is not None and _NETWORK.fullmatch(found.kind) else None


def create(path: Path) -> None:
    """Make an empty database file that only we may read, unless there is one."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # Before anything is made beside it, which would have the same permissions.
        if not os.access(path, os.R_OK | os.W_OK):
            raise OperationalError(
                f"database {str(path)!r} cannot be read and written by this user; let this user read and write the "
                "file and its directory, or name another file"
            ) from None
    except OSError as error:
        raise OperationalError(
            f"database {str(path)!r} cannot be created ({error.strerror}); let this user write in its directory"
        ) from error


def open_beside(path: Path, suffix: str) -> int:
    """Open (or make) the file `<db><suffix>`; not inherited by programs we start."""
    name = f"{path}{suffix}"
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _widen(descriptor, path, directory=False)
    except OSError as error:
        raise OperationalError(
            f"file {name!r} of the database cannot be opened ({error.strerror}); "
            "let this user write it and its directory"
        ) from error
    return descriptor


def directory_beside(path: Path) -> Path:
    """The directory `<db>.d`, made when it is missing."""
    directory = Path(f"{path}.d")
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        _widen(directory, path, directory=True)
    except OSError as error:
        raise OperationalError(
            f"directory {str(directory)!r} of the database cannot be made ({error.strerror}); "
            "let this user write beside the database"
        ) from error
    return directory


def open_inside(path: Path) -> int:
    """Open (or make) a file in the directory; not inherited by programs we start."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, mode_inside(path.parent))
    except OSError as error:
        raise OperationalError(
            f"file {str(path)!r} of the database cannot be made ({error.strerror}); "
            "let this user write beside the database, where there must be room"
        ) from error
    return descriptor


def mode_inside(directory: Path) -> int:
    """The permissions of a file in it: the directory's, without searching."""
    return stat.S_IMODE(directory.stat().st_mode) & 0o666


def _widen(made: int | Path, database: Path, *, directory: bool) -> None:
    """Give what we made to everybody who may use the database, as far as it is ours to give."""
    wanted = stat.S_IMODE(database.stat().st_mode) & 0o666
    if directory:
        wanted |= (wanted & 0o444) >> 2
    there = os.stat(made)
    if there.st_uid == os.geteuid() and stat.S_IMODE(there.st_mode) != wanted:
        os.chmod(made, wanted)
