"""What the tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import dsv

DATA = Path(os.environ.get("DSV_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test works in a folder of its own, with a home of its own, so that no settings of the machine count."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    yield tmp_path


@pytest.fixture
def data() -> Path:
    """The folder of real files."""
    if not DATA.is_dir():
        pytest.skip(f"data: no real data at {DATA} (DSV_TEST_DATA)")
    return DATA


def picture(number: int, height: int = 8, width: int = 6) -> bytes:
    """A picture of one colour, as a PNG file."""
    from dsv import _dsv

    colour = bytes([number % 256, number // 256, number * 7 % 256])
    return _dsv.png(colour * (height * width), height, width, 3)


@pytest.fixture
def birds() -> dsv.Dataset:
    """Twenty birds, committed."""
    ds = dsv.create("birds")
    ds.add_column("id", dsv.types.Int64())
    ds.add_column("species", dsv.types.Text())
    ds.add_column("weight", dsv.types.Float32())
    ds.add_column("photo", dsv.types.Image())
    ds.add_column("song", dsv.types.Embedding(3))
    ds.add_column("notes", dsv.types.Json())
    ds.set_key("id")
    numbers = range(20)
    ds.append(
        {
            "id": list(numbers),
            "species": [["wren", "heron", "owl"][n % 3] for n in numbers],
            "weight": [n / 2 for n in numbers],
            "photo": [picture(n) for n in numbers],
            "song": [[float(n), 0.5, -1.0] for n in numbers],
            "notes": [{"seen": n, "by": ["Ada"]} for n in numbers],
        }
    )
    ds.commit("twenty birds")
    return ds
