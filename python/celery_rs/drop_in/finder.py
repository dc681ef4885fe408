"""Makes Celery's modules out of the table when they are imported; whatever is not in it is refused by name."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from celery_rs.drop_in.names import INSTRUMENTATION, NAMES, ROOTS, Ours, hint_for, names_of
from celery_rs.errors import CeleryWarning


class Finder(MetaPathFinder):
    """On sys.meta_path, in front: its roots are ours alone, be others of that name installed or not."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOTS:
            return None
        if fullname not in NAMES:
            _say_aloud(fullname)
            # Not a ModuleNotFoundError, whose sentence Python drops in `from celery import ...`.
            raise ImportError(refusal(fullname), name=fullname)
        # All of them are packages: else `from celery.result import X` would not ask for `celery.result.X`, and Python
        # would say in its own words that there is none.
        return ModuleSpec(fullname, _TableLoader(), origin="celery_rs.drop_in", is_package=True)


class _TableLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Names are looked up when they are asked for. But a result without an app of its own wants the fallback app,
        which this room makes."""
        if module.__name__ == "celery":
            import_module("celery_rs.app")


class StandIn(ModuleType):
    """A module of Celery's whose names are ours."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name}, as celery-rs has it.")
        places = names_of(name)
        self.__dict__["__all__"] = sorted(places)
        self.__dict__["_places"] = places

    def __getattr__(self, name: str) -> Any:
        place: Ours | None = self.__dict__["_places"].get(name)
        full = f"{self.__name__}.{name}"
        if place is not None:
            value = getattr(import_module(place.module), place.name)
        elif full in NAMES:
            # Celery's packages show their modules to whoever has imported the package only.
            value = import_module(full)
        else:
            raise AttributeError(refusal(full))
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__dict__["_places"]} - {"_places"})


def refusal(name: str) -> str:
    """The sentence for a name that is not in the table."""
    hint = hint_for(name)
    return f"celery_rs has no equivalent of {name}{f': {hint}' if hint else ''} (see docs/migrating)"


def _say_aloud(name: str) -> None:
    if name in INSTRUMENTATION:
        # Python leaves out the frames of its own importing: 3 is whoever imports.
        warnings.warn(f"{refusal(name)}; {INSTRUMENTATION[name]}", CeleryWarning, stacklevel=3)
