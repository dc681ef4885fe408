"""Results in a directory, one file per key, as Celery's filesystem store has them.

A file is written beside its place and renamed, so that nobody reads half of one; who changes files holds the lock of
the directory, so that no record goes backwards among our processes. Celery's own workers know nothing of the lock.
"""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from celery_rs.backends.key_value import HASHED, Keys, KeyValueBackend, Lasting, Step, hashed
from celery_rs.backends.opening import Opening
from celery_rs.backends.peek import standing
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.wire import ResultCodec

LOCK = ".celery-rs-lock"
"""What is locked; it has nothing in it."""
_DRAFT = ".celery-rs-draft-"
_DRAFTS_LAST_S = 3600.0
"""A draft that is older was left by a process that died."""
_LONGEST_NAME = 255
_PATIENCE_S = 10.0
_PAUSE_S = 0.002

Lasts = Callable[[bytes], float | None]
"""For how many seconds a value is kept (None: for ever)."""


class Directory:
    """See `key_value.Values`. A file's time of change is when it was written."""

    def __init__(
        self,
        path: str,
        lasts: Lasts,
        prefix: str = "",
        *,
        clock: Callable[[], float] = time.time,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """`prefix` is what the names of files begin with; `patience_s` is how long to wait for the lock."""
        self._path = os.path.abspath(path)
        self._lasts = lasts
        self._prefix = prefix
        self._clock = clock
        self._patience_s = patience_s

    def read(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        with self._in_words():
            found = {key: self._read(self._place(key)) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def _read(self, place: str) -> bytes | None:
        """None for what has expired, too, and for an empty file: a Celery has just begun to write it."""
        try:
            with open(place, "rb") as file:
                value, written = file.read(), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            os.stat(self._path)
            return None
        return None if not value or self._is_over(value, written) else value

    def change(self, steps: Mapping[str, Step]) -> Collection[str]:
        with self._locked():
            for key, step in steps.items():
                place = self._place(key)
                new = step(self._read(place))
                if new is not None:
                    self._write(place, new.value)
        return ()

    def _write(self, place: str, value: bytes) -> None:
        draft = os.path.join(self._path, f"{_DRAFT}{secrets.token_hex(8)}")
        now = self._clock()
        try:
            with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(value)
            os.utime(draft, (now, now))
            os.replace(draft, place)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def drop(self, keys: Sequence[str]) -> None:
        with self._locked():
            for key in keys:
                with suppress(FileNotFoundError):
                    os.unlink(self._place(key))

    def sweep(self) -> None:
        with self._in_words():
            for name in os.listdir(self._path):
                place = os.path.join(self._path, name)
                if name.startswith(_DRAFT):
                    self._delete_if(place, self._is_left_over)
                elif name.startswith((f"{self._prefix}celery-", f"{self._prefix}chord-unlock-", HASHED)):
                    self._delete_if(place, self._has_expired)

    def _delete_if(self, place: str, is_old: Callable[[str], bool]) -> None:
        """Looks again under the lock, which nobody has to wait for longer than for one file."""
        if is_old(place):
            with self._locked():
                if is_old(place):
                    os.unlink(place)

    def _is_left_over(self, place: str) -> bool:
        with suppress(FileNotFoundError):
            return os.stat(place).st_mtime + _DRAFTS_LAST_S < time.time()
        return False

    def _has_expired(self, place: str) -> bool:
        with suppress(FileNotFoundError), open(place, "rb") as file:
            return self._is_over(file.read(), os.fstat(file.fileno()).st_mtime)
        return False

    def _is_over(self, value: bytes, written: float) -> bool:
        lasts = self._lasts(value)
        return lasts is not None and written + lasts <= self._clock()

    def describe(self) -> str:
        return f"file://{self._path}"

    def after_fork(self) -> None:
        """Nothing is kept open."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _place(self, key: str) -> str:
        """Not every id is a file's name."""
        fits = "/" not in key and "\0" not in key and len(key.encode(errors="surrogatepass")) <= _LONGEST_NAME
        return os.path.join(self._path, key if fits else hashed(key))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Threads exclude each other, too, since each opens the lock for itself."""
        with self._in_words():
            lock = os.open(os.path.join(self._path, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._take(lock)
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
                os.close(lock)

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BackendError(
                        f"result store {self.describe()} has been locked for {self._patience_s:g} seconds: "
                        f"does a process hang that writes to it?"
                    ) from None
                time.sleep(_PAUSE_S)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "")
            raise BackendError(f"result store {self.describe()}: {error.strerror or error}{hint}") from None


_HINTS = {
    errno.ENOENT: "; make the directory, writable for clients and workers",
    errno.EACCES: "; clients and workers must be allowed to write there",
    errno.EROFS: "; clients and workers must be allowed to write there",
    errno.ENOSPC: "; delete something, or have results expire sooner (result_expires, celery.backend_cleanup)",
    errno.EDQUOT: "; delete something, or have results expire sooner (result_expires, celery.backend_cleanup)",
}


def open_store(opening: Opening) -> KeyValueBackend:
    """Raises ImproperlyConfigured for a URL without a directory."""
    path = opening.url.removeprefix("file://").removeprefix("localhost")
    if not path.strip("/"):
        raise ImproperlyConfigured(
            f"expected a result store such as 'file:///var/lib/results', with a directory, got {opening.shown!r}"
        )
    return over_directory(
        path, Keys.of(opening.options), Lasting(opening.expires, opening.failure_expires), opening.codec
    )


def over_directory(
    path: str, keys: Keys, lasting: Lasting, codec: ResultCodec, clock: Callable[[], float] = time.time
) -> KeyValueBackend:
    def lasts(value: bytes) -> float | None:
        return lasting.of(standing(value, codec.serializer).state)

    return KeyValueBackend(Directory(path, lasts, keys.prefix, clock=clock), keys, lasting, codec, clock=clock)
