"""What people hand over, as what the compiled part takes: lists of plain values, and Arrow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import _dsv
from .errors import UsageError

MEDIA = ("image", "audio", "video")


def speaks_arrow(data: object) -> bool:
    """Whether it hands over Arrow data: pyarrow's, polars', pandas' and DuckDB's tables do."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def columns_of(data: object, types: Mapping[str, str]) -> dict[str, list[Any]]:
    """The columns of a dict of columns, or of rows that are dicts, as lists of values that fit ``types``."""
    if isinstance(data, Mapping):
        raw: dict[str, Any] = dict(data)
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        rows = list(data)
        raw = {}
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise UsageError(f"row {number} is no dict: {type(row).__name__}")
            for name in row:
                raw.setdefault(name, [None] * len(rows))
        for number, row in enumerate(rows):
            for name, value in row.items():
                raw[name][number] = value
    else:
        raise UsageError(f"rows cannot be made of {type(data).__name__}", ["give a dict of columns, a list of dicts, or a table that speaks Arrow"])
    return {name: _column(name, values, types.get(name, "")) for name, values in raw.items()}


def _column(name: str, values: Any, ty: str) -> list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise UsageError(f"column '{name}' is {type(values).__name__}, not a list of values")
    if ty.startswith(("embedding", "tensor")):
        return [_numbers(value) for value in values]
    if ty in MEDIA:
        return [_file(name, row, value) for row, value in enumerate(values)]
    if hasattr(values, "tolist"):
        return list(values.tolist())
    if hasattr(values, "to_list"):
        return list(values.to_list())
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def _numbers(value: Any) -> Any:
    """A vector of NumPy, PyTorch or JAX as the bytes of float32; lists as they are."""
    if value is None or isinstance(value, (list, tuple)):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        import numpy

        return numpy.ascontiguousarray(value, dtype="<f4").tobytes()
    return list(value)


def _file(name: str, row: int, value: Any) -> Any:
    """The bytes of a file: given as such, by its path, as a picture of Pillow or as an array of pixels."""
    if value is None or isinstance(value, (bytes, bytearray, memoryview)):
        return value
    if isinstance(value, (str, os.PathLike)):
        try:
            with open(value, "rb") as file:
                return file.read()
        except OSError as error:
            raise UsageError(f"column '{name}', row {row}: {value}: {error.strerror or error}") from error
    if hasattr(value, "save") and hasattr(value, "tobytes") and hasattr(value, "mode"):
        if value.mode not in ("L", "RGB", "RGBA"):
            value = value.convert("RGB")
        width, height = value.size
        return _dsv.png(value.tobytes(), height, width, {"L": 1, "RGB": 3, "RGBA": 4}[value.mode])
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        import numpy

        pixels = numpy.ascontiguousarray(value)
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        if pixels.dtype != numpy.uint8 or pixels.ndim != 3:
            raise UsageError(f"column '{name}', row {row}: an array of {pixels.dtype} of shape {pixels.shape} is no picture", ["give uint8 of height x width x channels"])
        height, width, channels = pixels.shape
        return _dsv.png(pixels.tobytes(), height, width, channels)
    raise UsageError(f"column '{name}', row {row}: {type(value).__name__} is no file", ["give bytes, a path, a Pillow image or an array of pixels"])


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of parameters: vectors as lists of numbers, dicts as JSON's text, bytes as such."""
    return {name: _parameter(value) for name, value in values.items()}


def _parameter(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return json.dumps(value) if isinstance(value, dict) else value


def cell(name: str, value: Any, ty: str) -> Any:
    """A cell's new value as a parameter: files and JSON in all the forms that columns take."""
    if value is None:
        return None
    if ty in MEDIA:
        return _file(name, 0, value)
    return json.dumps(value) if ty == "json" and not isinstance(value, str) else value


def words(*parts: str | None | Sequence[str]) -> list[str]:
    """Words of a command line; what is None is left out."""
    out: list[str] = []
    for part in parts:
        if part is None:
            continue
        out.extend([part] if isinstance(part, str) else part)
    return out
