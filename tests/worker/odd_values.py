"""A key-value store as users write one, which crashes, hangs or fails as the files beside it say."""

import os
import time
from pathlib import Path
from typing import Any

from celery_rs.backends import KeyValueStoreBackend


class OddValues(KeyValueStoreBackend):
    """A file for each key in the folder of the URL. `crash`, once; `hang` and `fail`, while there is such a file.

    What has the word poison in it is refused.
    """

    @property
    def folder(self) -> Path:
        return Path((self.url or "").partition("://")[2])

    def get(self, key: bytes) -> Any:
        path = self.folder / key.decode()
        return path.read_text() if path.exists() else None

    def set(self, key: bytes, value: Any) -> None:
        if (self.folder / "crash").exists():
            (self.folder / "crash").unlink()
            os._exit(7)
        if (self.folder / "hang").exists():
            (self.folder / "hanging").touch()
        while (self.folder / "hang").exists():
            time.sleep(0.005)
        if (self.folder / "fail").exists():
            (self.folder / "failed").touch()
            raise OSError("disk is gone")
        if "poison" in value and "BackendStoreError" not in value:
            raise ValueError("never that")
        draft = self.folder / f"draft-{os.getpid()}"
        draft.write_text(value)
        draft.replace(self.folder / key.decode())

    def delete(self, key: bytes) -> None:
        (self.folder / key.decode()).unlink(missing_ok=True)
