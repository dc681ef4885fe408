"""Who may know whom: docs/internals/architecture.md, as a table.

Imports go down a floor; on one floor only from left to right. From another room only its door is imported, and
imports stand at the top of a file, except where an optional adapter or a public name is loaded on first use.
"""

import pytest

from tests.architecture.sources import EXTENSION, PACKAGE, Import, exports, modules, packages, project_imports

# Top floor first. On a floor, a group may import those to its right; rooms of one group do not know each other.
FLOORS = (
    (("__main__",), ("cli",), ("drop_in",), ("django",)),
    (("worker",),),
    (("result", "utils"), ("app",), ("events",), ("control",), ("execution",), ("canvas",), ("results",), ("context",)),
    (("backends",), ("transports",)),
    (("wire",), ("config",), ("serializers",), ("exceptions",), ("errors", "states", "signals", "version")),
    (("_core",),),
)
PLACES = {
    room: (floor, position)
    for floor, groups in enumerate(FLOORS)
    for position, group in enumerate(groups)
    for room in group
}

# These load adapters, public names or commands on first use, so that `import celery_rs` and `--help` stay light.
LAZY = {
    PACKAGE,
    f"{PACKAGE}.transports.registry",
    f"{PACKAGE}.backends.registry",
    f"{PACKAGE}.backends.cache.options",
    f"{PACKAGE}.cli.commands",
    f"{PACKAGE}.drop_in.finder",
}

# Adapters' doors. The room's own door does not re-export them, because importing one loads its client library;
# a result store that lives in a broker's file or server shares that broker's connection.
ADAPTERS = {
    *(f"{PACKAGE}.transports.{name}" for name in ("memory", "sqlite", "redis", "amqp")),
    f"{PACKAGE}.backends.django",
}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def door(found: Import) -> str:
    """The nearest thing both ends can see: the module or package just below what they have in common."""
    importer, target = found.importer.split("."), found.target.split(".")
    home = importer if found.importer in packages() else importer[:-1]
    shared = 0
    while shared < min(len(home), len(target)) and home[shared] == target[shared]:
        shared += 1
    return ".".join(target[: shared + 1])


def complaint(found: Import) -> str | None:
    """Why this import is not allowed; None when it is."""
    if found.target.endswith("<relative>"):
        return "relative imports hide which room is meant: write the full name"
    if found.in_function and found.importer not in LAZY:
        return "imports stand at the top of a file"
    here, there = room(found.importer), room(found.target)
    if not here:
        return None if found.target != PACKAGE else "the root does not import itself"
    if not there:
        return "rooms do not import the root package, which re-exports them"
    if here != there:
        (floor, position), (other_floor, other_position) = PLACES[here], PLACES[there]
        if other_floor < floor:
            return f"{there} is on a floor above {here}"
        if other_floor == floor and other_position <= position:
            return f"{here} and {there} are on one floor, and no arrow leads from {here} to {there}"
    return _door_complaint(found)


def _door_complaint(found: Import) -> str | None:
    at = door(found)
    if found.target in packages() and found.importer.startswith(f"{found.target}.") and found.name is not None:
        return "inside a room, import the module, not the room's own door"
    if found.target != at and found.target not in ADAPTERS:
        return f"the door of that room is {at}"
    if found.name is None or found.target == EXTENSION:
        return None
    if found.name.startswith("_"):
        return "a leading underscore means: this file only"
    if found.target in packages() and found.name not in exports(found.target):
        return f"{found.target} does not list {found.name} in __all__"
    return None


def test_every_room_has_its_place_on_a_floor() -> None:
    rooms = {room(module) for module in modules()} - {""}

    assert rooms <= PLACES.keys()


def test_imports_go_down_and_through_doors() -> None:
    wrong = [f"{found}: {why}" for found in project_imports() if (why := complaint(found))]

    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Import("celery_rs.wire.message", 1, "celery_rs.app", "Celery", False), "floor above"),
        (Import("celery_rs.transports.base", 1, "celery_rs.backends", "ResultBackend", False), "no arrow"),
        (Import("celery_rs.serializers.json", 1, "celery_rs.config", "Settings", False), "no arrow"),
        (Import("celery_rs.worker.loop", 1, "celery_rs.transports.base", "Tag", False), "the door of that room"),
        (Import("celery_rs.worker.loop", 1, "celery_rs.worker.pools.base", "Pool", False), "the door of that room"),
        (Import("celery_rs.worker.loop", 1, "celery_rs.context", "_requests", False), "leading underscore"),
        (Import("celery_rs.worker.loop", 1, "celery_rs.transports", "Hidden", False), "__all__"),
        (Import("celery_rs.worker.loop", 1, "celery_rs.transports", "Tag", True), "top of a file"),
        (Import("celery_rs.worker.loop", 1, "celery_rs", "Celery", False), "root package"),
        (Import("celery_rs.transports.memory", 1, "celery_rs.transports", "Tag", False), "the room's own door"),
    ],
)
def test_the_rules_catch(found: Import, why: str) -> None:
    assert why in (complaint(found) or "nothing was said")


@pytest.mark.parametrize(
    "found",
    [
        Import("celery_rs.worker.loop", 1, "celery_rs.transports", "Tag", False),
        Import("celery_rs.worker.pools.solo", 1, "celery_rs.worker.pools.base", "Pool", False),
        Import("celery_rs.backends.sqlite", 1, "celery_rs.transports", "Tag", False),
        Import("celery_rs.transports.registry", 1, "celery_rs.transports.sqlite", "SqliteTransport", True),
        Import("celery_rs.transports.base", 1, "celery_rs._core", "Envelope", False),
    ],
)
def test_the_rules_allow(found: Import) -> None:
    complaints = complaint(found)

    # The adapter may not export that name yet; where it stands is what matters here.
    assert complaints is None or "__all__" in complaints
