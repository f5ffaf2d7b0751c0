#!/usr/bin/env python3
"""Writes docs/python.md, the reference of the package, from its docstrings.

usage: reference.py [FILE]
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import dsv
from dsv import loading


TARGET = Path(__file__).resolve().parent.parent / "docs" / "python.md"


class Written(str):
    """An annotation, shown as it is written."""

    def __repr__(self) -> str:
        return str(self)


def signature(thing: Any, name: str) -> str:
    """The signature as it is written, without `self`."""
    found = inspect.signature(thing)
    written = lambda annotation: annotation if annotation is inspect.Parameter.empty else Written(annotation)  # noqa: E731
    parameters = [parameter.replace(annotation=written(parameter.annotation)) for parameter in found.parameters.values() if parameter.name != "self"]
    return f"{name}{found.replace(parameters=parameters, return_annotation=written(found.return_annotation))}"


def text(thing: Any) -> str:
    """The docstring, with reStructuredText's marks as Markdown's."""
    doc = inspect.getdoc(thing) or ""
    for mark in (":class:", ":meth:", ":func:"):
        doc = doc.replace(mark, "")
    return doc.replace("``", "`")


def members(kind: type) -> list[str]:
    """Lines for the methods and properties that a class defines itself."""
    lines = []
    for name, value in vars(kind).items():
        if name.startswith("_") and name not in ("__getitem__", "__len__", "__iter__"):
            continue
        if isinstance(value, property):
            lines.append(f"- **`{name}`**: {text(value)}")
        elif inspect.isfunction(value) and inspect.getdoc(value):
            lines.append(f"- **`{signature(value, name)}`**: {text(value)}")
    return [line.replace("\n", " ") for line in lines]


def reference() -> str:
    """The whole text."""
    lines = ["# The Python package: reference", "", "Made from the docstrings by `scripts/reference.py`; to begin with, read [python/README.md](../python/README.md).", ""]
    lines += ["## Functions", ""]
    for name in ("create", "open", "clone", "init", "open_repository", "clone_repository", "pixels", "picture"):
        thing = getattr(dsv, name)
        lines.append(f"- **`dsv.{signature(thing, name)}`**: {text(thing)}")
    kinds = [dsv.Dataset, dsv.Column, dsv.Repository, dsv.Handle, dsv.Result, dsv.DataLoader, loading.Loader, loading.TorchLoader, loading.Batch, dsv.MapDataset, dsv.Sampler]
    for kind in kinds:
        lines += ["", f"## {kind.__name__}", "", text(kind), "", *members(kind)]
    lines += ["", "## Types", ""]
    for name, thing in vars(dsv.types).items():
        if inspect.isfunction(thing) and not name.startswith("_"):
            lines.append(f"- **`dsv.types.{signature(thing, name)}`**: {text(thing)}")
    lines += ["", "## Errors", "", text(dsv.errors), ""]
    for name in ("DsvError", "UsageError", "NotFoundError", "RefusedError", "RepositoryError"):
        kind = getattr(dsv, name)
        bases = ", ".join(base.__name__ for base in kind.__bases__)
        lines.append(f"- **`dsv.{name}({bases})`**: {text(kind)}".replace("\n", " "))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(reference())
