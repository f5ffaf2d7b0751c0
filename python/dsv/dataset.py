"""Datasets: a table of a repository, and the lines that everyone writes first."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

from . import _dsv
from ._values import MEDIA, cell, columns_of, parameters, speaks_arrow
from .errors import NotFoundError, UsageError
from .loading import DataLoader
from .progress import shown
from .repository import Handle, Line, Path, Repository
from .result import Result
from .types import TypeLike


class Dataset(Handle):
    """A table, with the history of its repository.

    ``ds["caption"]`` is a column, ``ds[7]`` a row, ``ds[10:20]`` some rows; ``len(ds)`` counts them. With a revision (``at``) it is read-only.
    """

    def __init__(self, core: _dsv.Repository, name: str, at: str | None) -> None:
        super().__init__(core)
        self.name, self.at = name, at

    @property
    def repository(self) -> Repository:
        """The repository that it is in."""
        return Repository(self._core)

    def _described(self) -> tuple[int, list[tuple[str, str]], list[str]]:
        for name, rows, columns, key in self._core.tables(self.at):
            if name == self.name:
                return rows, columns, key
        raise NotFoundError(f"no table '{self.name}'" + (f" in {self.at}" if self.at else ""))

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name."""
        return dict(self._described()[1])

    @property
    def columns(self) -> list[str]:
        """The columns' names."""
        return [name for name, _ in self._described()[1]]

    @property
    def key(self) -> list[str]:
        """The columns by which rows are told apart; empty where nothing but their identity does."""
        return self._described()[2]

    def _writable(self) -> None:
        if self.at is not None:
            raise UsageError(f"this is the table as it was at {self.at}, which does not change", [f"open it without a revision: dsv.open({self.path!r}, {self.name!r})"])

    # Columns

    def add_column(self, name: str, type: TypeLike, default: Any = None, *, sql: str | None = None) -> None:
        """Adds a column, null or ``default`` everywhere, or what an SQL expression gives for each row. Other columns are not touched."""
        self._writable()
        if default is not None and not isinstance(default, str):
            default = json.dumps(default)
        flags = [f"--as={sql}"] if sql is not None else [f"--default={default}"] if default is not None else []
        self._json("column", "add", flags, names=[self.name, name, str(type)])

    def drop_column(self, name: str) -> None:
        """Drops a column."""
        self._writable()
        self._json("column", "drop", names=[self.name, name])

    def rename_column(self, name: str, to: str) -> None:
        """Renames a column."""
        self._writable()
        self._json("column", "rename", names=[self.name, name, to])

    def retype_column(self, name: str, type: TypeLike) -> None:
        """Gives a column another type, where all its values fit it."""
        self._writable()
        self._json("column", "retype", names=[self.name, name, str(type)])

    def set_policy(self, column: str, policy: str | None) -> None:
        """How merges settle conflicts in a column: ours, theirs, newest, max, min, sum-of-changes, non-null, json-by-field, list-union; None asks people."""
        self._writable()
        self._json("column", "policy", self.name, column, policy if policy is not None else "--none")

    # Rows

    def append(self, data: object = None, /, **columns: Sequence[Any]) -> int:
        """Adds rows at the end: a dict of columns, a list of dicts, or what speaks Arrow (pyarrow, polars, pandas, DuckDB). Pictures may be bytes, paths, Pillow's images or arrays. Returns
        how many rows there are new; on an error there are none."""
        return self._insert(data if data is not None else columns, "refuse")[0]

    def upsert(self, data: object = None, /, **columns: Sequence[Any]) -> tuple[int, int]:
        """Adds rows, or sets the given columns of those whose key is known. Returns how many were added and how many were set."""
        return self._insert(data if data is not None else columns, "update")

    def _insert(self, data: object, on_key: str) -> tuple[int, int]:
        self._writable()
        types = self.types
        if speaks_arrow(data):
            return self._core.insert_arrow(self.name, data, on_key)
        columns = columns_of(data, types)
        for name in self.key:
            if None in columns.get(name, ()):
                raise UsageError(f"column '{name}', row {columns[name].index(None)}: it is None, and the column is of the key")
        return self._core.insert(self.name, columns, on_key)

    def update(self, where: str | None = None, /, set: dict[str, Any] | None = None, **values: Any) -> int:
        """Sets cells of the rows for which ``where`` is true: ``ds.update("quality < :q", set={"label": "bad"}, q=0.2)``. Returns how many rows."""
        self._writable()
        if not set:
            raise UsageError("there is nothing to set", ['write ds.update("id = 3", set={"label": "cat"})'])
        types = self.types
        named = {f"set_{at}": cell(name, value, types.get(name, "")) for at, (name, value) in enumerate(set.items())}
        for at, name in enumerate(set):
            value, ty = named[f"set_{at}"], types.get(name, "")
            # What `append` refuses is no cell here either.
            if ty in MEDIA and value is not None and not (self.query("SELECT media_type(:file) AS t", file=value).one() or "").startswith(f"{ty}/"):
                raise UsageError(f"column '{name}': the bytes are no {ty}")
        assigned = ", ".join(f"{_quoted(name)} = :set_{at}" for at, name in enumerate(set))
        sql = f"UPDATE {_quoted(self.name)} SET {assigned}" + (f" WHERE {where}" if where else "")
        return self.execute(sql, **named, **values) or 0

    def delete(self, where: str, /, **values: Any) -> int:
        """Deletes the rows for which ``where`` is true. Returns how many."""
        self._writable()
        return self.execute(f"DELETE FROM {_quoted(self.name)} WHERE {where}", **values) or 0

    def __len__(self) -> int:
        return self._described()[0]

    @overload
    def __getitem__(self, which: str) -> Column: ...
    @overload
    def __getitem__(self, which: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, which: slice | Sequence[int]) -> list[dict[str, Any]]: ...
    def __getitem__(self, which: str | int | slice | Sequence[int]) -> Column | dict[str, Any] | list[dict[str, Any]]:
        if isinstance(which, str):
            if which not in self.types:
                import difflib

                near = difflib.get_close_matches(which, self.columns, 1)
                raise NotFoundError(f"no column '{which}'", [f"did you mean '{near[0]}'?"] if near else [])
            return Column(self, which)
        if isinstance(which, int) or hasattr(which, "__index__"):
            return self.take([_row(which, len(self))]).rows()[0]
        return self.take(_rows(which, len(self))).rows()

    def take(self, rows: Sequence[int], columns: Sequence[str] | None = None) -> _dsv.Batch:
        """Rows by their number, in that order, as a batch that speaks Arrow."""
        return self._core.take(self.name, list(rows), None if columns is None else list(columns), self.at)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, a dict each."""
        return iter(self.to_result())

    def to_result(self) -> Result:
        """All of it, as the answer to a query."""
        return Result(self._core, f"SELECT * FROM {_quoted(self.name)}", {}, self.at)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_result().__arrow_c_stream__(requested_schema)

    def head(self, rows: int = 5) -> list[dict[str, Any]]:
        """The first rows."""
        return self[:rows]

    def query(self, sql: str, *, at: str | None = None, **values: Any) -> Result:
        """Asks in SQL. ``SELECT * WHERE ...`` is about this table; ``:name`` is the value given by that name."""
        return Result(self._core, _about(sql, self.name), parameters(values), at if at is not None else self.at)

    def stats(self) -> list[Line]:
        """A profile of each column: type, nulls, distinct values, range, histogram."""
        return self._json("stats", ["--at", self.at] if self.at else None, names=[self.name])

    def blame(self, column: str) -> list[Line]:
        """Which commit last set each cell of a column."""
        return self._json("blame", names=[self.name, column])

    def log_row(self, row: Any, revision: str = "HEAD") -> list[Line]:
        """What became of one row, named by its key: the commits that added, changed or removed it."""
        return self._json("log", "--row", str(row), [revision, "--", self.name])

    def sample(self, rows: int = 10, seed: int | None = None) -> list[dict[str, Any]]:
        """Rows drawn at random by Python's generator, in the table's order; the same ones for the same seed, and others than those of ``dsv sample``."""
        import random

        count = len(self)
        return self[sorted(random.Random(seed).sample(range(count), min(rows, count)))]

    def set_key(self, *columns: str) -> None:
        """Tells rows apart by these columns."""
        self._writable()
        self._core.set_key(self.name, list(columns))

    def restore(self, revision: str | None = None) -> None:
        """Takes the table back to what it was in a commit, by default the last one."""
        self._json("restore", ["--source", revision] if revision else None, names=[self.name])

    # The same table elsewhere

    def branch(self, name: str, revision: str | None = None, *, where: str | None = None) -> Dataset:
        """Makes a branch and returns this table on it; ``self`` stays where it was. With ``where`` the branch shows those rows alone. Nothing is copied."""
        self._json("branch", [f"--table={self.name}", f"--where={where}"] if where else None, names=[name, revision])
        return self.on_branch(name)

    def on_branch(self, name: str) -> Dataset:
        """This table, by a handle that stays on a branch."""
        return Dataset(shown(_dsv.Repository.open(self.path, name)), self.name, None)

    def at_revision(self, revision: str) -> Dataset:
        """This table as it was at a revision."""
        return Dataset(self._core, self.name, revision)

    # Training

    def dataloader(self) -> DataLoader:
        """Loads batches for training, of the last commit: ``ds.dataloader().query("SELECT * WHERE quality > 0.8").pytorch(batch_size=64, shuffle=True)``."""
        return DataLoader(self)

    def export_to(self, file: Path, **options: Any) -> None:
        """Writes the table to a file, whose name tells the format."""
        self.export(self.name, file, at=self.at, **options)

    def __repr__(self) -> str:
        rows, columns, _ = self._described()
        shown = "\n".join(f"  {name}: {ty}" for name, ty in columns)
        return f"Dataset {self.name!r} on {self.at or self.current_branch}: {rows} rows\n{shown}"

    def _repr_html_(self) -> str:
        from .display import rows_html

        rows, columns, _ = self._described()
        names = [name for name, _ in columns]
        return rows_html(names, [ty for _, ty in columns], self.head(10), rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopened, (self.path, self._core.branch, self.name, self.at))


def _reopened(path: str, branch: str | None, name: str, at: str | None) -> Dataset:
    return Dataset(_dsv.Repository.open(path, branch), name, at)


class Column:
    """A column of a dataset: ``ds["caption"][10:20]`` reads no other."""

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset, self.name = dataset, name

    def __len__(self) -> int:
        return len(self.dataset)

    @overload
    def __getitem__(self, which: int) -> Any: ...
    @overload
    def __getitem__(self, which: slice | Sequence[int]) -> list[Any]: ...
    def __getitem__(self, which: int | slice | Sequence[int]) -> Any:
        count = len(self.dataset)
        if isinstance(which, int) or hasattr(which, "__index__"):
            return self.dataset.take([_row(which, count)], [self.name]).cells(0)[0]
        return self.dataset.take(_rows(which, count), [self.name]).cells(0)

    def __iter__(self) -> Iterator[Any]:
        result = Result(self.dataset._core, f"SELECT {_quoted(self.name)} FROM {_quoted(self.dataset.name)}", {}, self.dataset.at)
        for batch in result.batches():
            yield from batch.cells(0)

    def to_numpy(self) -> Any:
        """All values as an array of NumPy."""
        return Result(self.dataset._core, f"SELECT {_quoted(self.name)} FROM {_quoted(self.dataset.name)}", {}, self.dataset.at).to_numpy()[self.name]

    def __repr__(self) -> str:
        return f"Column({self.name!r}: {self.dataset.types[self.name]}, {len(self)} rows)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _about(sql: str, table: str) -> str:
    """A query without FROM is about that table, also where there are others."""
    return _dsv.about(sql, table)


def _row(which: Any, count: int) -> int:
    row = operator.index(which)
    if not -count <= row < count:
        raise IndexError(f"there is no row {row}: there are {count}")
    return row % count if count else row


def _rows(which: slice | Sequence[int], count: int) -> list[int]:
    if isinstance(which, slice):
        return list(range(*which.indices(count)))
    if isinstance(which, (str, bytes)):
        raise TypeError(f"rows are named by numbers, not by {which!r}")
    return [_row(row, count) for row in which]


Mode = Literal["create", "append", "replace"]
