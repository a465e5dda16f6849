"""The shape of the house: short files and functions, rooms that say what they are, nothing of one machine."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "margrave"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
ROOM_DOCSTRING_LINES_MIN = 3
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers"}
MACHINE_PATH = "/" + "work" + "/"  # spelt apart, so that this file does not name it
REGISTRY = re.compile(r"\w+://|^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)\b", re.MULTILINE)


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def project_files() -> Iterator[Path]:
    """Every file that people keep: not the environments, caches and built pages."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [
            name
            for name in inner
            if (name == ".ci" or name[0] != ".") and name not in {"__pycache__", "_build"}
        ]
        yield from (Path(folder, name) for name in names if not name.startswith(".coverage"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None, "a parsed function has an end"
    return node.end_lineno - node.lineno + 1


def test_there_is_something_to_look_at():
    assert SOURCES
    assert REQUIREMENTS


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_source_file_is_short(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < FILE_LINES_MAX, "split it by subject"


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_function_is_short(path: Path):
    long = {node.name: lines(node) for node in functions(path) if lines(node) >= FUNCTION_LINES_MAX}
    assert not long, "keep the control flow in the parent and move the leaves out"


@pytest.mark.parametrize("room", ROOMS, ids=place)
def test_a_room_says_what_it_is(room: Path):
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    written = [line for line in docstring.splitlines() if line.strip()]
    assert len(written) >= ROOM_DOCSTRING_LINES_MIN, (
        "what is here, what it may import, where to start reading"
    )


def test_every_folder_with_code_is_a_package():
    assert not [place(path) for path in SOURCES if not (path.parent / "__init__.py").is_file()]


def test_no_room_or_module_has_a_vague_name():
    assert not [
        place(path) for path in SOURCES if VAGUE_NAMES & {path.stem, *path.relative_to(PACKAGE).parts[:-1]}
    ]


def test_no_file_names_a_path_of_one_machine():
    mark = MACHINE_PATH.encode()
    assert not [place(path) for path in project_files() if mark in path.read_bytes()]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=place)
def test_a_requirement_file_names_no_registry(path: Path):
    assert not REGISTRY.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", REQUIREMENTS, ids=place)
def test_every_requirement_is_pinned_with_hashes(path: Path):
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8"))
    pins = [entry for entry in entries if entry and not entry.startswith("#")]
    assert pins
    assert not [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]
