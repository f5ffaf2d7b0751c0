"""Types: a program that uses the package passes `mypy --strict`, and the stubs are those of the module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dsv

HERE = Path(__file__).parent
PACKAGE = Path(dsv.__file__).parent


def run(*words: str) -> None:
    environment = dict(os.environ)
    if PACKAGE.parent.name != "site-packages":
        environment.update(MYPYPATH=str(PACKAGE.parent), PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run([sys.executable, "-m", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_passes_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    run("mypy", "--strict", "--cache-dir", str(tmp_path), str(HERE / "program.py"))


def test_the_package_passes_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    run("mypy", "--strict", "--cache-dir", str(tmp_path), "--ignore-missing-imports", "-p", "dsv")


def test_the_stubs_are_those_of_the_module() -> None:
    pytest.importorskip("mypy")
    # That nothing can be derived from two of its classes follows from @final.
    run("mypy.stubtest", "--ignore-disjoint-bases", "dsv._dsv")


def test_what_is_public_has_a_docstring() -> None:
    for name in dsv.__all__:
        thing = getattr(dsv, name)
        assert thing.__doc__, name
        for part, value in vars(thing).items() if isinstance(thing, type) else ():
            if callable(value) and not part.startswith("_"):
                assert value.__doc__, f"{name}.{part}"
