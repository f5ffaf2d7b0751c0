"""Answers to queries: lazy, and in whatever form is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import _dsv
from .errors import UsageError

if TYPE_CHECKING:
    import numpy
    import pandas
    import polars
    import pyarrow


class Result:
    """The answer to a query, which runs when it is read; each time anew.

    It hands over Arrow data without a copy: ``pyarrow.table(result)``, ``polars.from_arrow(result)`` and DuckDB take it as it is.
    """

    def __init__(self, core: _dsv.Repository, sql: str, values: dict[str, Any], at: str | None) -> None:
        self._core, self.sql, self._values, self._at = core, sql, values, at
        self._first: _dsv.Answer | None = None

    def _ask(self) -> _dsv.Answer:
        if self._first is not None:
            answer, self._first = self._first, None
            return answer
        answer = self._core.ask(self.sql, self._values, self._at)
        for hint in answer.hints:
            import warnings

            warnings.warn(hint, stacklevel=3)
        return answer

    def _look(self) -> _dsv.Answer:
        """The answer, which is not read yet."""
        if self._first is None:
            self._first = self._ask()
        return self._first

    @property
    def columns(self) -> list[str]:
        """The columns' names."""
        return self._look().columns

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name."""
        answer = self._look()
        return dict(zip(answer.columns, answer.types))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._ask().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._look().__arrow_c_schema__()

    def batches(self) -> Iterator[_dsv.Batch]:
        """The answer batch by batch, as it arrives. Batches speak Arrow, and have ``rows()``."""
        answer = self._ask()
        while (batch := answer.next_batch()) is not None:
            yield batch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, a dict each."""
        for batch in self.batches():
            yield from batch.rows()

    def to_list(self) -> list[dict[str, Any]]:
        """All rows, a dict each."""
        return self._ask().rest().rows()

    def to_dict(self) -> dict[str, list[Any]]:
        """All rows, as a list for each column."""
        batch = self._ask().rest()
        return {name: batch.cells(at) for at, name in enumerate(batch.columns)}

    def to_numpy(self) -> dict[str, numpy.ndarray[Any, Any]]:
        """All rows, as an array for each column: numbers and vectors as their own type, others as objects."""
        return batch_to_numpy(self._ask().rest())

    def to_arrow(self) -> pyarrow.Table:
        """All rows, as a table of pyarrow."""
        import pyarrow

        return pyarrow.table(self)

    def to_pandas(self) -> pandas.DataFrame:
        """All rows, as a data frame of pandas."""
        import pandas

        return pandas.DataFrame(self.to_dict(), columns=self.columns)

    def to_polars(self) -> polars.DataFrame:
        """All rows, as a data frame of polars."""
        import polars

        frame = polars.DataFrame(self)
        return frame

    def one(self) -> Any:
        """The one value that it has."""
        rows = self.to_list()
        if len(rows) != 1 or len(rows[0]) != 1:
            raise UsageError(f"there is not one value: {len(rows)} rows of {len(self.columns)} columns")
        return next(iter(rows[0].values()))

    def __len__(self) -> int:
        """How many rows it has: they are counted, not kept."""
        return sum(len(batch) for batch in self.batches())

    def explain(self, analyze: bool = False) -> str:
        """How it is run; with ``analyze`` it is run, and what each step read and took is told."""
        answer = self._core.ask(f"EXPLAIN {'ANALYZE ' if analyze else ''}{self.sql}", self._values, self._at)
        return "\n".join(f"{row['plan_type']}:\n{row['plan']}" for row in answer.rest().rows())

    def __repr__(self) -> str:
        return f"Result({self.sql!r})"

    def _repr_html_(self) -> str:
        from .display import rows_html

        answer = self._ask()
        batch = answer.next_batch()
        if batch is None:
            return rows_html(answer.columns, answer.types, [], None)
        return rows_html(batch.columns, batch.types, batch.rows()[:20], len(batch))


def batch_to_numpy(batch: _dsv.Batch) -> dict[str, numpy.ndarray[Any, Any]]:
    """A batch's columns as arrays of NumPy."""
    import numpy

    arrays: dict[str, numpy.ndarray[Any, Any]] = {}
    for at, name in enumerate(batch.columns):
        numbers = batch.numbers(at)
        if numbers is not None:
            array = numpy.asarray(numbers)
            arrays[name] = array.astype(bool) if batch.types[at] == "bool" else array
            continue
        values = batch.cells(at)
        if batch.types[at].startswith(("int", "uint", "float", "double")):
            arrays[name] = numpy.array([numpy.nan if value is None else value for value in values], dtype=float)
            continue
        objects = numpy.empty(len(values), dtype=object)
        objects[:] = values if not values or not isinstance(values[0], list) else [*values]
        arrays[name] = objects
    return arrays
