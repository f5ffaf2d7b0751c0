"""SQL, and answers in every form."""

from __future__ import annotations

import pytest

import dsv


def test_answers_in_pythons_own_values(birds: dsv.Dataset) -> None:
    owls = birds.query("SELECT id, weight FROM birds WHERE species = :species ORDER BY id", species="owl")
    assert owls.columns == ["id", "weight"] and owls.types == {"id": "int64", "weight": "float32"}
    assert owls.to_list()[:2] == [{"id": 2, "weight": 1.0}, {"id": 5, "weight": 2.5}]
    assert owls.to_dict()["id"] == [2, 5, 8, 11, 14, 17]
    # It runs again each time that it is read, and sees what there is then.
    assert len(owls) == 6
    birds.delete("id = 2")
    assert [row["id"] for row in owls] == [5, 8, 11, 14, 17]
    assert birds.query("SELECT count(*) FROM birds", at="HEAD").one() == 20
    assert birds.query("SELECT * WHERE weight > 9").to_dict()["id"] == [19]
    assert "TableExec" in birds.query("SELECT id FROM birds").explain() or "birds" in birds.query("SELECT id FROM birds").explain()
    assert "<table" in owls._repr_html_()
    with pytest.raises(dsv.UsageError, match="not one value"):
        owls.one()


def test_parameters_of_all_kinds(birds: dsv.Dataset) -> None:
    asked = birds.query(
        "SELECT :none IS NULL AS a, :yes AS b, :n + 1 AS c, :text || '!' AS d, l2_distance(song, :v) AS e FROM birds WHERE id = 0",
        none=None, yes=True, n=41, text="it's", v=[0.0, 0.5, 3.0],
    )
    assert asked.to_list() == [{"a": True, "b": True, "c": 42, "d": "it's!", "e": 4.0}]
    numpy = pytest.importorskip("numpy")
    near = birds.query("SELECT id FROM birds ORDER BY song <-> :v LIMIT 2", v=numpy.array([7.2, 0.5, -1.0], dtype=numpy.float32))
    assert near.to_dict() == {"id": [7, 8]}
    with pytest.raises(dsv.UsageError, match="parameter 'v'"):
        birds.query("SELECT :v").to_list()


def test_faults_are_marked_in_the_query(birds: dsv.Dataset) -> None:
    with pytest.raises(dsv.NotFoundError) as error:
        birds.query("SELECT id,\n specis FROM birds").to_list()
    assert str(error.value) == "no column 'specis' at line 2, column 2\n   specis FROM birds\n   ^\nhint: did you mean 'species'?"
    with pytest.raises(dsv.UsageError, match="syntax error"):
        birds.query("SELEC id").to_list()
    with pytest.raises(dsv.UsageError, match="this statement writes"):
        birds.query("DELETE FROM birds").to_list()
    assert birds.execute("UPDATE birds SET weight = 0 WHERE id < :n", n=4) == 4
    with pytest.raises(dsv.UsageError, match="asks, and writes nothing"):
        birds.execute("SELECT 1")
    with pytest.warns(UserWarning, match="least alike"):
        birds.query("SELECT id FROM birds ORDER BY cosine_similarity(song, '[1,2,3]') LIMIT 1").to_list()


def test_arrow_goes_both_ways(birds: dsv.Dataset) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(birds.query("SELECT id, species, song FROM birds"))
    assert (table.num_rows, table.column("species")[4].as_py(), table.column("song")[4].as_py()) == (20, "heron", [4.0, 0.5, -1.0])
    assert pyarrow.table(birds).num_rows == 20 and birds.query("SELECT id FROM birds").to_arrow().num_rows == 20
    changed = table.set_column(0, "id", pyarrow.array(range(500, 520)))
    assert birds.append(changed) == 20
    assert birds[25]["species"] == table.column("species")[5].as_py()
    assert birds.append(changed.slice(0, 2).set_column(0, "id", pyarrow.array([900, 901])).to_batches()[0]) == 2
    with pytest.raises(dsv.DsvError, match="row 0"):
        birds.append(pyarrow.table({"id": [1000], "photo": [b"no"]}))
    assert len(birds) == 42


def test_other_libraries_take_answers_and_give_theirs(birds: dsv.Dataset) -> None:
    numpy = pytest.importorskip("numpy")
    answer = birds.query("SELECT id, weight, song, species, weight > 5 AS heavy, CASE WHEN id > 1 THEN id END AS some FROM birds")
    arrays = answer.to_numpy()
    assert (arrays["song"].shape, arrays["song"].dtype, arrays["id"].sum(), arrays["heavy"].sum()) == ((20, 3), numpy.float32, 190, 9)
    assert numpy.isnan(arrays["some"][0]) and arrays["species"][1] == "heron"
    polars = pytest.importorskip("polars")
    frame = birds.query("SELECT id, weight FROM birds").to_polars()
    assert frame.shape == (20, 2)
    assert birds.append(polars.DataFrame({"id": [700], "species": ["from polars"]})) == 1
    pandas = pytest.importorskip("pandas")
    assert birds.query("SELECT id, species FROM birds").to_pandas()["species"].iloc[20] == "from polars"
    assert birds.append(pandas.DataFrame({"id": [701], "species": ["from pandas"]})) == 1
    duckdb = pytest.importorskip("duckdb")
    answer = birds.query("SELECT id, weight FROM birds")  # noqa: F841 (DuckDB finds it by its name)
    assert duckdb.sql("SELECT count(*) FROM answer").fetchall() == [(22,)]
    assert birds.append(duckdb.sql("SELECT 702 AS id, 'from duckdb' AS species")) == 1
    assert birds["species"][20:] == ["from polars", "from pandas", "from duckdb"]
