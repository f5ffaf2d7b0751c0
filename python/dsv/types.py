"""Types of columns.

Each is written as the command line writes it, so ``"embedding(512)"`` and ``Embedding(512)`` are the same. ``str(type)`` is that text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

from . import _dsv


class Type(str):
    """A column's type, as the text that dsv writes."""

    def __new__(cls, text: str) -> Type:
        return super().__new__(cls, _dsv.type_text(text))

    def __repr__(self) -> str:
        return f"dsv.types.Type({str.__repr__(self)})"


#: What is taken for a type: one of this module, or its text.
TypeLike = Union[Type, str]


def Text() -> Type:
    """Text, of any length."""
    return Type("text")


def Binary() -> Type:
    """Bytes."""
    return Type("binary")


def Bool() -> Type:
    """True or false."""
    return Type("bool")


def Int8() -> Type:
    """Whole numbers of 8 bits."""
    return Type("int8")


def Int16() -> Type:
    """Whole numbers of 16 bits."""
    return Type("int16")


def Int32() -> Type:
    """Whole numbers of 32 bits."""
    return Type("int32")


def Int64() -> Type:
    """Whole numbers of 64 bits."""
    return Type("int64")


def UInt8() -> Type:
    """Whole numbers from 0, of 8 bits."""
    return Type("uint8")


def UInt16() -> Type:
    """Whole numbers from 0, of 16 bits."""
    return Type("uint16")


def UInt32() -> Type:
    """Whole numbers from 0, of 32 bits."""
    return Type("uint32")


def UInt64() -> Type:
    """Whole numbers from 0, of 64 bits."""
    return Type("uint64")


def Float16() -> Type:
    """Floats of 16 bits."""
    return Type("float16")


def Float32() -> Type:
    """Floats of 32 bits."""
    return Type("float32")


def Float64() -> Type:
    """Floats of 64 bits."""
    return Type("float64")


def Date() -> Type:
    """Days."""
    return Type("date")


def Timestamp(unit: str = "us", zone: str | None = None) -> Type:
    """Times of a day, in ``unit`` (s, ms, us or ns); with ``zone``, such as UTC, moments."""
    return Type(f"timestamp({unit})" if zone is None else f"timestamp({unit}, {zone})")


def Decimal(precision: int, scale: int = 0) -> Type:
    """Numbers of so many digits, ``scale`` of them behind the point."""
    return Type(f"decimal({precision},{scale})")


def Json() -> Type:
    """JSON, kept as it was written."""
    return Type("json")


def Uuid() -> Type:
    """Universally unique ids."""
    return Type("uuid")


def Enum(*labels: str) -> Type:
    """Class labels: these, or any."""
    quoted = ",".join('"' + label.replace('"', '""') + '"' for label in labels)
    return Type(f"enum({quoted})" if labels else "enum")


def Image() -> Type:
    """Encoded pictures: JPEG, PNG, WebP and others. Their bytes stay what they are."""
    return Type("image")


def Audio() -> Type:
    """Encoded recordings."""
    return Type("audio")


def Video() -> Type:
    """Encoded videos."""
    return Type("video")


def Embedding(dim: int, dtype: str = "float32") -> Type:
    """Vectors of ``dim`` numbers, float32 or float16."""
    return Type(f"embedding({dim})" if dtype == "float32" else f"embedding({dim},{dtype})")


def Tensor(shape: Sequence[int], dtype: str = "float32") -> Type:
    """Numbers of one shape in each row."""
    return Type(f"tensor({'x'.join(map(str, shape))},{dtype})")


def List(item: TypeLike) -> Type:
    """Lists of one type."""
    return Type(f"list<{item}>")


def Struct(fields: Mapping[str, TypeLike]) -> Type:
    """Named fields."""
    quoted = ", ".join('"' + name.replace('"', '""') + f'": {ty}' for name, ty in fields.items())
    return Type(f"struct<{quoted}>")


def Map(key: TypeLike, value: TypeLike) -> Type:
    """Keys and values."""
    return Type(f"map<{key}, {value}>")
