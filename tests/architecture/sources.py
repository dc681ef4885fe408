"""The package as its own source says it is: modules, and every import in them with where it stands.

Nothing is executed: the architecture is checked on text, so that a lazy import and one for types only count as well.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "celery_rs"
EXTENSION = f"{PACKAGE}._core"
ROOT = Path(__file__).parents[2] / "python" / PACKAGE


class Import(NamedTuple):
    """One import of our own code. `target` is a module or package; `name` what is taken from it, None for all of it."""

    importer: str
    line: int
    target: str
    name: str | None
    in_function: bool

    def __str__(self) -> str:
        what = self.target if self.name is None else f"{self.name} from {self.target}"
        return f"{self.importer}:{self.line} imports {what}"


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name; a package goes by its own name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def packages() -> frozenset[str]:
    return frozenset(name for name, path in modules().items() if path.name == "__init__.py")


def parsed(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"), filename=module)


def exports(package: str) -> list[str]:
    """What `__all__` of a package says."""
    for node in parsed(package).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return []


@cache
def project_imports() -> tuple[Import, ...]:
    """Every import of our own code, by whatever means: a statement, or `import_module` with a literal name."""
    return tuple(found for module in modules() for found in _imports_of(module))


def _imports_of(module: str) -> Iterator[Import]:
    tree = parsed(module)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        for target, name in _targets(node):
            if target.split(".")[0] == PACKAGE:
                yield Import(module, getattr(node, "lineno", 0), target, name, id(node) in inside)


def _targets(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    match node:
        case ast.Import(names=names):
            yield from ((alias.name, None) for alias in names)
        case ast.ImportFrom(level=0, module=str(source), names=names):
            for alias in names:
                submodule = f"{source}.{alias.name}"
                is_module = submodule in modules() or submodule == EXTENSION
                yield (submodule, None) if is_module else (source, alias.name)
        case ast.ImportFrom():
            yield f"{PACKAGE}.<relative>", None
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(source)), *_],
        ):
            yield source, None
