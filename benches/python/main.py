#!/usr/bin/env python3
"""What the lines of a notebook cost: dsv beside Deep Lake, Lance, and a folder with PyTorch's DataLoader, in one run.

usage: main.py [--rows N] [--rounds N] [--workers N] [LINE ...]

Needs a Python that has what benches/requirements.txt lists, and dsv's wheel, built as a release: `maturin build --profile full`. Lines: append, filter, nearest, take, commit, column, epoch; all of them without
any. The sides take turns; the best of the rounds counts. Times do not travel between machines, ratios do.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

DIM = 128
TAKEN = 1000
NEAREST = 100
BATCH = 64
SIZE = 64


class Data:
    """Pictures of 64 to 128 pixels a side, captions, vectors and scores."""

    def __init__(self, rows: int) -> None:
        random = numpy.random.default_rng(11)
        self.rows = rows
        self.pictures = [self._picture(random) for _ in range(rows)]
        self.vectors = random.standard_normal((rows, DIM)).astype(numpy.float32)
        self.scores = random.random(rows).astype(numpy.float32)
        self.captions = [f"picture {n} of something to be found" for n in range(rows)]
        self.query = random.standard_normal(DIM).astype(numpy.float32)
        self.taken = random.permutation(rows)[:TAKEN].tolist()

    @staticmethod
    def _picture(random: numpy.random.Generator) -> bytes:
        height, width = random.integers(64, 129, 2)
        small = random.integers(0, 256, (8, 8, 3)).astype(numpy.uint8)
        out = io.BytesIO()
        Image.fromarray(small).resize((int(width), int(height)), Image.BICUBIC).save(out, "JPEG", quality=85)
        return out.getvalue()


def pixels(file: bytes) -> Any:
    """The middle of a picture, as SIZE x SIZE pixels."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return numpy.asarray(image.resize((SIZE, SIZE), Image.BILINEAR, box=(left, top, left + side, top + side)))


def weight(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Side:
    """Each method does one line, and returns what the others must return too."""

    name = ""

    def __init__(self, folder: Path, data: Data, workers: int) -> None:
        self.folder, self.data, self.workers = folder, data, workers

    def lines(self) -> Iterator[str]:
        return (line for line in LINES if hasattr(self, line))


class Dsv(Side):
    name = "dsv"

    def append(self) -> int:
        import dsv

        self.ds = dsv.create("frames", self.folder / "frames")
        for name, ty in {"id": "int64", "picture": "image", "caption": "text", "vector": f"embedding({DIM})", "score": "float32"}.items():
            self.ds.add_column(name, ty)
        self.ds.set_key("id")
        data = self.data
        self.ds.append({"id": list(range(data.rows)), "picture": data.pictures, "caption": data.captions, "vector": data.vectors, "score": data.scores})
        self.ds.commit("all")
        return len(self.ds)

    def filter(self) -> int:
        return sum(len(row["picture"]) for row in self.ds.query("SELECT picture FROM frames WHERE score > 0.9"))

    def nearest(self) -> list[int]:
        found: list[int] = self.ds.query(f"SELECT id FROM frames ORDER BY vector <-> :v LIMIT {NEAREST}", v=self.data.query).to_dict()["id"]
        return found

    def take(self) -> int:
        return sum(len(row["picture"]) for row in self.ds[self.data.taken])

    def commit(self) -> int:
        self.ds.update("id = :id", set={"caption": f"mended {time.time()}"}, id=self.data.rows // 2)
        self.ds.commit("one cell")
        return weight(self.folder)

    def column(self) -> None:
        self.ds.add_column(f"extra{time.time_ns()}", "float32", 0.5)
        self.ds.commit("a column")

    def epoch(self) -> int:
        loader = self.ds.dataloader().columns("picture").images(SIZE, layout="hwc").pytorch(batch_size=BATCH, shuffle=True, num_workers=self.workers)
        return sum(len(batch["picture"]) for batch in loader)


class Lance(Side):
    name = "Lance"

    def append(self) -> int:
        import lance
        import pyarrow

        data = self.data
        vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(data.vectors.ravel()), DIM)
        table = pyarrow.table(
            {"id": pyarrow.array(range(data.rows)), "picture": pyarrow.array(data.pictures, pyarrow.binary()), "caption": data.captions, "vector": vectors, "score": data.scores}
        )
        self.ds = lance.write_dataset(table, str(self.folder / "frames"))
        rows: int = self.ds.count_rows()
        return rows

    def filter(self) -> int:
        return sum(len(file) for file in self.ds.to_table(columns=["picture"], filter="score > 0.9")["picture"].to_pylist())

    def nearest(self) -> list[int]:
        asked = {"column": "vector", "q": self.data.query, "k": NEAREST, "metric": "l2", "use_index": False}
        found: list[int] = self.ds.to_table(columns=["id"], nearest=asked)["id"].to_pylist()
        return found

    def take(self) -> int:
        return sum(len(row["picture"]) for row in self.ds.take(self.data.taken).to_pylist())

    def commit(self) -> int:
        self.ds.update({"caption": f"'mended {time.time()}'"}, where=f"id = {self.data.rows // 2}")
        return weight(self.folder)

    def column(self) -> None:
        self.ds.add_columns({f"extra{time.time_ns()}": "cast(0.5 as float)"})

    def epoch(self) -> int:
        from concurrent.futures import ThreadPoolExecutor

        order = numpy.random.permutation(self.data.rows)

        def load(rows: Any) -> Any:
            return numpy.stack([pixels(file) for file in self.ds.take(rows.tolist(), columns=["picture"])["picture"].to_pylist()])

        with ThreadPoolExecutor(self.workers) as pool:
            return sum(len(batch) for batch in pool.map(load, [order[at : at + BATCH] for at in range(0, len(order), BATCH)]))


class DeepLake(Side):
    name = "Deep Lake"

    def append(self) -> int:
        import deeplake

        data = self.data
        self.ds = deeplake.create(str(self.folder / "frames"))
        self.ds.add_column("id", deeplake.types.Int64())
        self.ds.add_column("picture", deeplake.types.Image(sample_compression="jpeg"))
        self.ds.add_column("caption", deeplake.types.Text())
        self.ds.add_column("vector", deeplake.types.Array(deeplake.types.Float32(), shape=[DIM]))
        self.ds.add_column("score", deeplake.types.Float32())
        for at in range(0, data.rows, 1000):
            part = slice(at, at + 1000)
            rows = numpy.arange(data.rows)[part]
            self.ds.append({"id": rows, "picture": data.pictures[part], "caption": data.captions[part], "vector": data.vectors[part], "score": data.scores[part]})
        self.ds.commit()
        return len(self.ds)

    def filter(self) -> int:
        # It gives decoded pictures.
        return sum(len(numpy.asarray(row["picture"])) for row in self.ds.query("SELECT picture WHERE score > 0.9"))

    def nearest(self) -> list[int]:
        vector = ", ".join(map(str, self.data.query.tolist()))
        found = self.ds.query(f"SELECT id ORDER BY L2_NORM(vector - ARRAY[{vector}]) ASC LIMIT {NEAREST}")
        return [int(row["id"]) for row in found]

    def take(self) -> int:
        return sum(len(numpy.asarray(self.ds[row]["picture"])) for row in self.data.taken)

    def commit(self) -> int:
        self.ds[self.data.rows // 2]["caption"] = f"mended {time.time()}"
        self.ds.commit()
        return weight(self.folder)

    def column(self) -> None:
        import deeplake

        name = f"extra{time.time_ns()}"
        self.ds.add_column(name, deeplake.types.Float32())
        self.ds[name][0 : self.data.rows] = numpy.full(self.data.rows, 0.5, numpy.float32)
        self.ds.commit()

    def epoch(self) -> int:
        import torch

        def transform(row: Any) -> Any:
            picture = numpy.asarray(row["picture"])
            out = io.BytesIO()
            Image.fromarray(picture).save(out, "BMP")
            return torch.from_numpy(pixels(out.getvalue()).copy())

        loader = torch.utils.data.DataLoader(self.ds.pytorch(transform=transform), batch_size=BATCH, shuffle=True, num_workers=self.workers)
        return sum(len(batch) for batch in loader)


class Folder(Side):
    name = "a folder, PyTorch"

    def append(self) -> int:
        (self.folder / "files").mkdir(parents=True)
        for row, file in enumerate(self.data.pictures):
            (self.folder / "files" / f"{row:06}.jpg").write_bytes(file)
        return self.data.rows

    def take(self) -> int:
        return sum(len((self.folder / "files" / f"{row:06}.jpg").read_bytes()) for row in self.data.taken)

    def epoch(self) -> int:
        import torch

        loader = torch.utils.data.DataLoader(Files(self.folder / "files"), batch_size=BATCH, shuffle=True, num_workers=self.workers)
        return sum(len(batch) for batch in loader)


class Files:
    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        import torch

        return torch.from_numpy(pixels(self.paths[row].read_bytes()).copy())


#: What is measured: the line, and what it is called in the table.
LINES = {
    "append": "append all rows and commit",
    "filter": "pictures of 1 row in 10, by a score",
    "nearest": f"the nearest {NEAREST}, exactly",
    "take": f"take {TAKEN} random rows",
    "commit": "change one cell and commit",
    "column": "add a column and commit",
    "epoch": "an epoch, shuffled and decoded",
}
#: Lines that can be done but once.
ONCE = ("append",)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def main() -> None:
    parser = argparse.ArgumentParser(description="What the lines of a notebook cost, beside Deep Lake, Lance and a folder.")
    parser.add_argument("lines", nargs="*", help=", ".join(LINES))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    wanted = asked.lines or list(LINES)
    data = Data(asked.rows)
    print(f"{asked.rows} rows, {sum(map(len, data.pictures)) / 1e6:.1f} MB of pictures, vectors of {DIM} numbers, {asked.workers} workers")
    best: dict[tuple[str, str], float] = {}
    added: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        sides: list[Side] = []
        for kind in (Dsv, Lance, DeepLake, Folder):
            place = Path(folder) / kind.__name__
            place.mkdir()
            side = kind(place, data, asked.workers)
            try:
                best[side.name, "append"], rows = timed(side.append)  # type: ignore[attr-defined]
            except ImportError as error:
                print(f"{side.name} is left out: {error}")
                shutil.rmtree(place)
                continue
            assert rows == asked.rows, (side.name, rows)
            sides.append(side)
        for _ in range(asked.rounds):
            for line in wanted:
                if line in ONCE:
                    continue
                answers = []
                for side in sides:
                    if not hasattr(side, line):
                        continue
                    before = weight(side.folder) if line == "commit" else 0
                    seconds, made = timed(getattr(side, line))
                    if line == "commit":
                        added[side.name] = made - before
                    elif line == "epoch":
                        assert made == asked.rows, (side.name, made)
                    elif line == "nearest":
                        answers.append(set(made))
                    best[side.name, line] = min(seconds, best.get((side.name, line), seconds))
                assert all(answer == answers[0] for answer in answers), "the nearest differ"
    names = [side.name for side in sides]
    print(f"\n| | {' | '.join(names)} | the best other / dsv |\n|---|{'---|' * (len(names) + 1)}")
    for line in wanted:
        cells = [f"{best[name, line] * 1e3:.1f} ms" + (f", {added[name]:,} bytes" if line == "commit" else "") if (name, line) in best else "" for name in names]
        others = [best[name, line] for name in names[1:] if (name, line) in best]
        ratio = f"{min(others) / best[names[0], line]:.2f}" if others and names[0] == "dsv" else ""
        print(f"| {LINES[line]} | {' | '.join(cells)} | {ratio} |")


if __name__ == "__main__":
    main()
