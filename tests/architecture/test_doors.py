"""A room's door re-exports its public names and contains nothing else."""

import ast
import importlib

import pytest

from tests.architecture.sources import PACKAGE, exports, packages, parsed

DOORS = sorted(packages() - {PACKAGE})


def re_exported(door: str) -> list[str]:
    return [
        alias.asname or alias.name
        for node in parsed(door).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


@pytest.mark.parametrize("door", DOORS)
def test_a_door_lists_exactly_what_it_re_exports(door: str) -> None:
    listed = exports(door)

    assert sorted(listed) == sorted(re_exported(door))
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("door", DOORS)
def test_a_door_contains_nothing_but_imports(door: str) -> None:
    others = [
        ast.unparse(node)
        for node in parsed(door).body
        if not isinstance(node, ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    ]

    assert others == []


@pytest.mark.parametrize("door", DOORS)
def test_every_name_of_a_door_can_be_imported(door: str) -> None:
    module = importlib.import_module(door)

    assert [name for name in exports(door) if not hasattr(module, name)] == []


def test_every_public_name_of_the_package_can_be_imported() -> None:
    package = importlib.import_module(PACKAGE)

    assert package.__all__
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("package", sorted(packages()))
def test_a_door_says_what_its_room_is_for(package: str) -> None:
    assert ast.get_docstring(parsed(package))
