"""Tables, rows and cells, and what is refused."""

from __future__ import annotations

import datetime
import decimal
import os
import pickle
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

import dsv
from conftest import picture


def test_rows_and_columns_are_read(birds: dsv.Dataset) -> None:
    assert len(birds) == 20
    assert birds.columns == ["id", "species", "weight", "photo", "song", "notes"]
    assert birds.types["song"] == "embedding(3)" and birds.key == ["id"]
    assert birds[3] == {"id": 3, "species": "wren", "weight": 1.5, "photo": picture(3), "song": [3.0, 0.5, -1.0], "notes": {"seen": 3, "by": ["Ada"]}}
    assert birds[-1]["id"] == 19
    assert [row["id"] for row in birds[5:15:3]] == [5, 8, 11, 14]
    assert [row["id"] for row in birds[[7, 0, 7]]] == [7, 0, 7]
    assert birds["species"][10:13] == ["heron", "owl", "wren"]
    assert birds["species"][-1] == "heron" and len(birds["species"]) == 20
    assert list(birds["id"]) == list(range(20))
    assert birds["weight"].to_numpy()[4] == 2.0
    assert [row["id"] for row in birds] == list(range(20))
    assert birds.head(2) == birds[:2] and birds[20:] == []
    with pytest.raises(IndexError, match="there is no row 20: there are 20"):
        birds[20]
    with pytest.raises(dsv.NotFoundError, match="no column 'specis'") as error:
        birds["specis"]
    assert error.value.hints == ["did you mean 'species'?"]
    assert "20 rows" in repr(birds) and "<img" in birds._repr_html_()


def test_rows_are_taken_in_many_forms(birds: dsv.Dataset, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    file = tmp_path / "bird.png"
    file.write_bytes(picture(300))
    assert birds.append([{"id": 100, "photo": file}, {"id": 101, "species": "owl", "photo": str(file)}]) == 2
    assert (birds[20]["photo"], birds[20]["species"], birds[21]["species"]) == (picture(300), None, "owl")
    assert birds.append(id=numpy.arange(200, 203), song=numpy.ones((3, 3)), photo=[numpy.full((4, 5, 3), 9, numpy.uint8), None, bytearray(picture(1))]) == 3
    assert birds["song"][22:] == [[1.0, 1.0, 1.0]] * 3
    assert birds["photo"][23:] == [None, picture(1)]
    added, set_ = birds.upsert({"id": [3, 999], "species": ["crow", "gull"]})
    assert (added, set_, birds[3]["species"], birds[3]["weight"], birds[-1]["species"]) == (1, 1, "crow", 1.5, "gull")
    with pytest.raises(dsv.DsvError, match="999"):
        birds.append({"id": [999]})
    assert len(birds) == 26
    assert birds.update("id = :id", set={"species": "rook", "weight": None}, id=4) == 1
    assert (birds[4]["species"], birds[4]["weight"]) == ("rook", None)
    assert birds.delete("id >= :least", least=100) == 6
    assert len(birds) == 20


def test_pictures_come_as_pixels_and_as_pillows(birds: dsv.Dataset) -> None:
    pytest.importorskip("numpy")
    array = dsv.pixels(birds[3]["photo"])
    assert (array.shape, str(array.dtype), array[2, 3].tolist()) == ((8, 6, 3), "uint8", [3, 0, 21])
    assert (dsv.pixels(birds[3]["photo"], "chw") == array.transpose(2, 0, 1)).all()
    pytest.importorskip("PIL.Image")
    assert dsv.picture(birds[3]["photo"]).size == (6, 8)
    with pytest.raises(dsv.UsageError, match="no picture"):
        dsv.pixels(b"abc")


def test_pillow_gives_pictures(birds: dsv.Dataset) -> None:
    image = pytest.importorskip("PIL.Image")
    birds.append({"id": [50, 51], "photo": [image.new("RGB", (4, 3), (1, 2, 3)), image.new("P", (2, 2))]})
    assert birds.query("SELECT width(photo) AS w, height(photo) AS h FROM birds WHERE id >= 50 ORDER BY id").to_list() == [{"w": 4, "h": 3}, {"w": 2, "h": 2}]


def test_every_type_comes_back() -> None:
    ds = dsv.create("all")
    moment = datetime.datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=datetime.timezone.utc)
    values: list[tuple[str, object]] = [
        (dsv.types.Bool(), True), (dsv.types.Int8(), -3), (dsv.types.UInt64(), 2**63), (dsv.types.Float64(), 0.1), (dsv.types.Float16(), 0.5),
        (dsv.types.Date(), datetime.date(1999, 12, 31)), (dsv.types.Timestamp("us"), datetime.datetime(2026, 3, 4, 5, 6, 7, 89)),
        (dsv.types.Timestamp("us", "UTC"), moment), (dsv.types.Decimal(10, 2), decimal.Decimal("12.30")),
        (dsv.types.Uuid(), uuid.UUID(int=7)), (dsv.types.Enum("cat", "a dog"), "a dog"), (dsv.types.Binary(), b"\x00\xff"),
        (dsv.types.List("int32"), [1, None, 3]), (dsv.types.Struct({"x": "float32", "the y": dsv.types.Text()}), {"x": 0.5, "the y": "z"}),
        (dsv.types.Map("text", "int64"), {"a": 1, "b": None}), (dsv.types.Tensor((2, 2), "float32"), [1.0, 2.0, 3.0, 4.0]),
        (dsv.types.Json(), {"a": [1, None, "ü"]}), (dsv.types.List(dsv.types.List("text")), [["a"], []]),
    ]
    for at, (ty, _) in enumerate(values):
        ds.add_column(f"c{at}", ty)
    assert ds.append({f"c{at}": [value, None] for at, (_, value) in enumerate(values)}) == 2
    first, second = ds[:]
    for at, (ty, value) in enumerate(values):
        assert first[f"c{at}"] == value, ty
        assert second[f"c{at}"] is None, ty
    assert ds.types == {f"c{at}": str(ty) for at, (ty, _) in enumerate(values)}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"weight": ["heavy"]}, "column 'weight', row 0: str 'heavy' is no number"),
        ({"id": [1, 2], "species": ["a"]}, "column 'id' has 2 values, column 'species' has 1"),
        ({"specis": ["a"]}, "no column 'specis'"),
        ({"song": [[1.0, 2.0, 3.0], [1.0]]}, "column 'song', row 1: it has 1 numbers, where the column's type has 3"),
        ({"id": [70, 71], "photo": [None, b"no picture"]}, "column 'photo', row 1: the bytes are no image"),
        ({"photo": ["/nowhere/a.png"]}, "column 'photo', row 0: /nowhere/a.png: No such file"),
        ({"photo": [7]}, "column 'photo', row 0: int is no file"),
        ({"id": [70], "notes": ["{not json"]}, "column 'notes', row 0: "),
        ({"id": [70], "notes": [{1, 2}]}, "column 'notes', row 0: set {1, 2} is no str or what json.dumps takes"),
        ({"id": [70, None]}, "column 'id', row 1: it is None, and the column is of the key"),
        ({"id": [3]}, "3"),
        ({"id": [2**70]}, "column 'id', row 0: int 1180591620717411303424 is no whole number"),
        ({"species": "wren"}, "column 'species' is str, not a list of values"),
        ([{"id": 1}, 3], "row 1 is no dict: int"),
        (7, "rows cannot be made of int"),
    ],
)
def test_bad_rows_are_refused_whole(birds: dsv.Dataset, rows: object, why: str) -> None:
    with pytest.raises(dsv.DsvError) as error:
        birds.append(rows)
    assert why in str(error.value)
    assert len(birds) == 20 and birds.status()["clean"]


def test_errors_are_of_kinds(birds: dsv.Dataset, tmp_path: Path) -> None:
    with pytest.raises(dsv.RefusedError, match="nothing to commit"):
        birds.commit("again")
    with pytest.raises(dsv.NotFoundError, match="no table 'brids'") as error:
        birds.table("brids")
    assert isinstance(error.value, LookupError) and isinstance(error.value, ValueError) and error.value.hints == ["did you mean 'birds'?"]
    with pytest.raises(dsv.NotFoundError):
        dsv.open(tmp_path)
    with pytest.raises(dsv.UsageError, match="'pictur' is not a type"):
        birds.add_column("x", "pictur")
    with pytest.raises(dsv.UsageError, match="does not change"):
        birds.at_revision("HEAD").append({"id": [1]})
    with pytest.raises(dsv.DsvError, match="is a dsv repository already"):
        dsv.create("birds")


def test_two_writers_do_not_lose_each_others_rows(birds: dsv.Dataset) -> None:
    other = dsv.open("birds")
    faults: list[BaseException] = []

    def write(ds: dsv.Dataset, start: int) -> None:
        for n in range(start, start + 10):
            while True:
                try:
                    ds.append({"id": [n]})
                    break
                except dsv.RefusedError as error:  # Another writer was faster.
                    faults.append(error)

    threads = [threading.Thread(target=write, args=arguments) for arguments in [(birds, 1000), (birds, 2000), (other, 3000)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(birds) == 50 == len(other)


def test_two_processes_write(birds: dsv.Dataset) -> None:
    code = "import dsv\nds = dsv.open('birds')\nfor n in range(2000, 2060):\n    while True:\n        try: ds.append({'id': [n]})\n        except dsv.DsvError as error: assert 'another' in str(error) or 'moved' in str(error), error\n        else: break"
    other = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    told = 0
    # Not before the other is at it.
    while birds.query("SELECT count(*) FROM birds WHERE id >= 2000").one() == 0:
        assert other.poll() in (None, 0)
    for number in range(1000, 1015):
        while True:
            try:
                birds.append({"id": [number]})
                break
            except dsv.DsvError as error:
                # Whoever was slower is told so, and nothing of his is there.
                assert "another" in str(error) or "moved" in str(error), error
                told += 1
    assert other.wait(120) == 0
    assert sorted(row for row in birds["id"][:] if row >= 1000) == [*range(1000, 1015), *range(2000, 2060)], told


def test_handles_are_pickled_and_forked(birds: dsv.Dataset) -> None:
    again = pickle.loads(pickle.dumps(birds))
    assert len(again) == 20 and again[3] == birds[3]
    birds.query("SELECT sum(weight) FROM birds").one()
    child = os.fork()
    if child == 0:
        # Opened before the fork, with threads that stayed behind.
        ok = len(birds) == 20 and birds["species"][3] == "wren" and birds.query("SELECT count(*) FROM birds WHERE weight > 2").one() == 15
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_importing_needs_nothing_else() -> None:
    code = "import sys, dsv; sys.exit(any(name in sys.modules for name in ('numpy', 'torch', 'pyarrow', 'pandas', 'jax')))"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).returncode == 0


def test_names_are_never_options(birds: dsv.Dataset) -> None:
    birds.add_column("--x", "int64", -3)
    birds.rename_column("--x", "-y")
    assert birds["-y"][0] == -3
    birds.drop_column("-y")
    assert "-y" not in birds.columns
    birds.execute("UPDATE birds SET weight = 1")
    assert birds.log(birds.commit("-m"), limit=1)[0]["message"] == "-m"
    with pytest.raises(dsv.UsageError, match="not a valid"):
        birds.tag("--help")
    with pytest.raises(TypeError):
        birds["species"]["wren"]  # type: ignore[call-overload]


def test_cells_are_set_to_what_columns_take(birds: dsv.Dataset) -> None:
    numpy = pytest.importorskip("numpy")
    file = picture(200)
    Path("new.png").write_bytes(file)
    assert birds.update("id = :id", set={"photo": "new.png", "notes": {"seen": [1, "ü"]}, "song": numpy.array([0.1, 2.0, 3.0], "float32")}, id=numpy.int64(3)) == 1
    row = birds[3]
    assert row["photo"] == file and row["notes"] == {"seen": [1, "ü"]} and numpy.float32(row["song"]).tolist() == numpy.float32([0.1, 2, 3]).tolist()
    # Bytes as a parameter are bytes.
    assert birds.query("SELECT id FROM birds WHERE photo = :file", file=bytearray(file)).to_list() == [{"id": 3}]
    birds.update(set={"photo": None})
    assert birds["photo"][:] == [None] * 20
    with pytest.raises(dsv.UsageError, match="column 'photo': the bytes are no image"):
        birds.update("id = 1", set={"photo": b"nothing"})
    with pytest.raises(dsv.UsageError, match="photo.*nowhere.png"):
        birds.update("id = 1", set={"photo": "nowhere.png"})
