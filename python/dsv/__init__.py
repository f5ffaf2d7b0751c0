"""dsv: Git for datasets.

>>> import dsv
>>> ds = dsv.create("birds")
>>> ds.add_column("species", dsv.types.Text())
>>> ds.append({"species": ["wren", "heron"]})
2
>>> commit = ds.commit("first birds")
>>> ds.query("SELECT count(*) FROM birds").one()
2
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from . import _dsv, errors, types
from .dataset import Column, Dataset
from .errors import DsvError, NotFoundError, RefusedError, RepositoryError, UsageError
from .loading import DataLoader, MapDataset, Sampler
from .progress import shown
from .repository import Handle, Path, Repository, cloned
from .result import Result

if TYPE_CHECKING:
    import numpy
    import PIL.Image

__version__: str = _dsv.VERSION


def init(path: Path = ".", branch: str = "main") -> Repository:
    """Makes an empty repository in a folder."""
    return Repository(shown(_dsv.Repository.init(os.fspath(path), branch)))


def create(name: str, path: Path | None = None, *, branch: str = "main") -> Dataset:
    """Makes a repository with one table of that name, in the folder ``path`` (by default one of that name), and returns the table."""
    return init(name if path is None else path, branch).create_table(name)


def open(path: Path = ".", table: str | None = None, *, at: str | None = None, branch: str | None = None) -> Dataset:
    """Opens a table of the repository that a folder is in, or of the one at an address (``s3://``, ``https://`` ...), which is read where it is. ``table`` may be left out where there is one. ``at`` a revision it is
    read-only; with ``branch`` it stays on that branch."""
    return _table(open_repository(path, branch=branch), table, at)


def open_repository(path: Path = ".", *, branch: str | None = None) -> Repository:
    """Opens the repository that a folder is in, or the one at an address, to be read; with ``branch`` the handle stays on that branch."""
    return Repository(shown(_dsv.Repository.open(os.fspath(path), branch)))


def clone(url: str, path: Path | None = None, table: str | None = None, *, branch: str | None = None, lazy: bool = False, endpoint: str | None = None, region: str | None = None) -> Dataset:
    """Copies the repository at an address (``s3://``, ``gs://``, ``az://``, ``https://``, a folder) into the folder ``path``, by default one named as the address ends, and opens a table of it. Where a try was cut,
    the same call goes on with what arrived. A ``lazy`` clone has the history alone, and brings data when they are read."""
    return _table(clone_repository(url, path, branch=branch, lazy=lazy, endpoint=endpoint, region=region), table, None)


def clone_repository(url: str, path: Path | None = None, *, branch: str | None = None, lazy: bool = False, endpoint: str | None = None, region: str | None = None) -> Repository:
    """As :func:`clone`, for a repository of several tables."""
    return Repository(shown(cloned(url, path, branch, lazy, endpoint, region)))


def _table(repository: Repository, table: str | None, at: str | None) -> Dataset:
    if table is None:
        names = repository.tables(at)
        if len(names) != 1:
            raise UsageError(f"there are {len(names)} tables: name one", [f"dsv.open({repository.path!r}, {name!r})" for name in names[:5]])
        table = names[0]
    return repository.table(table, at)


def pixels(file: bytes, layout: Literal["hwc", "chw"] = "hwc") -> numpy.ndarray[Any, Any]:
    """The pixels of a picture, as an array of uint8 of height x width x 3, or of 3 x height x width."""
    import numpy

    array = numpy.array(_dsv.pixels(file))
    return array if layout == "hwc" else numpy.ascontiguousarray(array.transpose(2, 0, 1))


def picture(file: bytes) -> PIL.Image.Image:
    """A picture as one of Pillow's."""
    import io

    from PIL import Image

    return Image.open(io.BytesIO(file))


def _main() -> int:
    """The command line."""
    import sys

    return _dsv.main(sys.argv[1:])


__all__ = [
    "Column", "DataLoader", "Dataset", "DsvError", "Handle", "MapDataset", "NotFoundError", "RefusedError", "Repository", "RepositoryError", "Result", "Sampler", "UsageError",
    "clone", "clone_repository", "create", "errors", "init", "open", "open_repository", "picture", "pixels", "types",
]

