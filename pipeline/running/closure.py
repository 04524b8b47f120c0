"""Which project files a module imports, directly or not: what its stage must rerun for."""

import ast
from collections.abc import Iterator
from pathlib import Path

_PACKAGES = ("pipeline", "stages")
# No result depends on these. They pick and start a stage (what they hand it is in its settings,
# which DVC watches as params), or say how a run goes on, is kept whole, and ends.
NEVER_PART = ("stages/cli.py", "stages/params.py", "pipeline/errors.py", "pipeline/running/")


def closure(module: Path, root: Path) -> list[Path]:
    """`root / module` and the files in pipeline/ and stages/ that it imports, transitively, sorted.

    Read from the source, so nothing is run: imports inside functions count, those under
    `if TYPE_CHECKING:` do not. An `__init__.py` counts once it holds more than a docstring.
    """
    found: set[Path] = set()
    waiting = {root / module}
    while waiting:
        path = waiting.pop()
        tree = ast.parse(path.read_bytes(), filename=str(path))
        if not _is_bare_package(path, tree):
            found.add(path)
        waiting |= set(_imported(tree, path, root)) - found
    return sorted(found)


def is_beside(path: Path) -> bool:
    """Whether no result depends on a file, given relative to the project."""
    return path.as_posix().startswith(NEVER_PART)


def _imported(tree: ast.AST, path: Path, root: Path) -> Iterator[Path]:
    """The project files behind the import statements of one file."""
    package = path.relative_to(root).parts[:-1]
    for statement in _statements(tree):
        for name in _names(statement, package):
            yield from _files(name, root)


def _statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _statements(ast.Module(child.orelse, []))
        else:
            yield from _statements(child)


def _names(
    statement: ast.Import | ast.ImportFrom, package: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Dotted names that the statement may load; `from a import b` may mean the module `a.b`."""
    if isinstance(statement, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in statement.names)
        return
    above = package[: len(package) + 1 - statement.level] if statement.level else ()
    origin = above + tuple(statement.module.split(".") if statement.module else ())
    yield from ((*origin, alias.name) for alias in statement.names)


def _files(name: tuple[str, ...], root: Path) -> Iterator[Path]:
    """Every file of the project that importing the dotted name runs: packages, then the module."""
    if name[0] not in _PACKAGES:
        return
    for length in range(1, len(name) + 1):
        stem = root.joinpath(*name[:length])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file() and not is_beside(path.relative_to(root)):
                yield path


def _is_bare_package(path: Path, tree: ast.Module) -> bool:
    return path.name == "__init__.py" and len(tree.body) == (ast.get_docstring(tree) is not None)
