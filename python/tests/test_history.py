"""Commits, branches, merges, and the way back."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

import dsv
from dsv.display import lanes
from conftest import picture


def test_a_branch_is_a_handle_of_its_own(birds: dsv.Dataset) -> None:
    side = birds.branch("side")
    assert (side.current_branch, birds.current_branch) == ("side", "main")
    side.update("id = 1", set={"species": "gull"})
    assert (side[1]["species"], birds[1]["species"]) == ("gull", "heron")
    side.commit("a gull")
    birds.update("id = 2", set={"species": "crow"})
    birds.commit("a crow")
    assert [line["message"] for line in birds.log()] == ["a crow", "twenty birds"]
    assert [line["message"] for line in side.log(limit=1)] == ["a gull"]
    assert birds.merge("side") is not None
    assert (birds[1]["species"], birds[2]["species"]) == ("gull", "crow")
    assert birds.merge("side") is None
    birds.tag("v1", message="first")
    assert birds.tags()[0]["tag"] == "v1" and len(birds.log("v1")) == 4
    old = birds.at_revision("v1~1")
    assert old[1]["species"] == "heron" and dsv.open("birds", "birds", at="v1~1")[1] == old[1]
    assert "a crow" in birds.log()._repr_html_() and "a crow" in str(birds.log())
    # Two lanes between the merge and what both sides came from.
    assert lanes(birds.log()) == [(0, [(0, 0), (0, 1)]), (0, [(0, 0), (1, 1)]), (1, [(0, 0), (1, 0)]), (0, [])]
    # What is checked out moves by switch alone, and the handle of the branch does not.
    birds.switch("side")
    assert (birds.current_branch, side.current_branch, birds[2]["species"]) == ("side", "side", "owl")
    with pytest.raises(dsv.UsageError, match="stays on branch 'side'"):
        side.switch("main")


def test_a_subset_branch_shows_some_rows(birds: dsv.Dataset) -> None:
    heavy = birds.branch("heavy", where="weight > 7")
    assert len(heavy) == 5 and len(birds) == 20
    with pytest.raises(dsv.DsvError):
        birds.branch("none", where="wieght > 7")


def test_differences_down_to_the_cell(birds: dsv.Dataset) -> None:
    birds.update("id = 5", set={"species": "gull"})
    diff = birds.diff()
    assert list(diff) == [{"table": "birds", "change": "changed", "key": {"id": 5}, "column": "species", "before": "owl", "after": "gull"}]
    assert "<del>owl</del>" in diff._repr_html_() and diff.to_html().startswith("<!doctype html>") and "<body" not in diff._repr_html_()
    # Pictures stand beside each other.
    birds.update("id = 5", set={"photo": picture(99)})
    assert birds.diff()._repr_html_().count("<img") == 2 and pickle.loads(pickle.dumps(birds.diff())) == birds.diff()
    assert birds.status()["tables"][0]["cells_changed"] == {"species": 1, "photo": 1} and not birds.status()["clean"]
    assert birds.diff("HEAD", table="birds") == birds.diff() != diff and birds.diff("HEAD", "HEAD") == []
    birds.restore()
    assert birds.status()["clean"] and birds.diff() == []


def test_conflicts_are_settled(birds: dsv.Dataset) -> None:
    side = birds.branch("side")
    side.update("id IN (1, 2)", set={"species": "gull"})
    side.commit("gulls")
    birds.update("id IN (1, 2)", set={"species": "crow"})
    birds.commit("crows")
    with pytest.raises(dsv.RefusedError, match="2 conflicts") as error:
        birds.merge("side")
    assert any("resolve" in hint for hint in error.value.hints)
    conflicts = birds.conflicts()
    assert [(line["key"], line["base"], line["ours"], line["theirs"]) for line in conflicts] == [({"id": 1}, "heron", "crow", "gull"), ({"id": 2}, "owl", "crow", "gull")]
    assert birds.resolve("theirs", table="birds", row=1) == 1
    assert birds.resolve(value="rook", table="birds", row=2, column="species") == 0
    birds.continue_merge("both")
    assert birds["species"][1:3] == ["gull", "rook"]
    # And given up.
    birds.undo()
    assert birds.conflicts() == []
    birds.abort_merge()
    assert birds["species"][1:3] == ["crow", "crow"] and birds.status()["clean"]


def test_going_back(birds: dsv.Dataset) -> None:
    birds.delete("id < 10")
    birds.undo()
    assert len(birds) == 20
    birds.redo()
    assert len(birds) == 10
    birds.reset(hard=True)
    assert len(birds) == 20 and birds.operations(1)[0]["command"].startswith("reset")
    with pytest.raises(ZeroDivisionError), birds.transaction():
        birds.delete("id < 10")
        birds.add_column("x", "int64")
        1 / 0  # noqa: B018
    assert len(birds) == 20 and "x" not in birds.columns
    with birds.transaction("two at once"):
        birds.delete("id < 10")
        birds.add_column("x", "int64", 7)
    assert birds.log()[0]["message"] == "two at once" and birds["x"][0] == 7


def test_views_checks_files_and_upkeep(birds: dsv.Dataset, tmp_path: Path) -> None:
    repository = birds.repository
    repository.create_view("owls", "SELECT id, weight FROM birds WHERE species = 'owl'")
    assert list(repository.views()) == ["owls"] and len(repository.query("SELECT * FROM owls")) == 6
    repository.add_check("light", "weight < 100", table="birds")
    repository.add_check("sane", table="birds", range="weight=0..50", severity="warn")
    tested = {line["check"]: line for line in repository.run_checks(junit=tmp_path / "checks.xml") if "holds" in line}
    assert tested["light"]["holds"] and tested["sane"]["severity"] == "warn" and "<testsuite" in (tmp_path / "checks.xml").read_text()
    repository.commit("a view and a check")
    assert repository.run_checks(since="HEAD")[0]["holds"]
    birds.update("id = 1", set={"weight": 1000})
    with pytest.raises(dsv.RefusedError, match="light"):
        birds.commit("too heavy")
    birds.restore()
    birds.export("birds", tmp_path / "birds.parquet")
    done = repository.import_files("copy", tmp_path / "birds.parquet", key="id", types={"photo": dsv.types.Image()})
    assert done["rows"] == 20 and repository.tables() == ["birds", "copy"] and "copy" in repository
    assert repository["copy"][4] == birds[4]
    repository.rename_table("copy", "twin")
    repository.drop_table("twin")
    assert list(repository) == ["birds"]
    assert repository.verify()["faults"] == 0 and repository.gc()["bytes_dead"] >= 0 and repository.compact()
    assert birds.stats()[0]["column"] == "id" and birds.blame("species")
    repository.config("user.name", "Ada")
    assert any(line["value"] == "Ada" for line in repository.config())
    birds.set_policy("weight", "max")
    birds.rename_column("weight", "mass")
    birds.retype_column("mass", "float64")
    birds.drop_column("notes")
    assert birds.types["mass"] == "float64" and "notes" not in birds.columns
    assert repr(repository).startswith("Repository(")


def test_long_work_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "long.csv"
    repository = dsv.init("long")
    told: list[tuple[str | None, int, int | None, str]] = []
    repository.show_progress(lambda *step: told.append(step))
    # What is over within a twentieth of a second may not be shown: this is longer on any machine.
    file.write_text("n,text\n" + "".join(f"{n},some text of row {n}\n" for n in range(1_000_000)))
    repository.import_files("long", file)
    stages = [step for step in told if step[0] is not None]
    assert stages and all(total is None or done <= total for _, done, total, _ in stages) and told[-1][0] is None
    pytest.importorskip("tqdm")
    repository.show_progress()
    repository.import_files("again", file)
    assert stages[0][0] in capsys.readouterr().err
    repository.show_progress(False)
    # What the callback raises ends the work, and nothing is changed.
    before = repository.tables()
    repository.show_progress(lambda *step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        repository.import_files("third", file)
    repository.show_progress(False)
    assert repository.tables() == before


def test_a_transaction_takes_back_nothing_of_others(birds: dsv.Dataset) -> None:
    other = dsv.open("birds")
    with pytest.raises(dsv.RefusedError, match="another writer") as error, birds.transaction():
        birds.delete("id < 5")
        other.append({"id": [77]})
        birds.delete("id < 10")
        raise KeyError("mine")
    assert isinstance(error.value.__context__, KeyError)
    assert len(birds) == 11 and birds[-1]["id"] == 77


def test_when_something_broke(birds: dsv.Dataset) -> None:
    birds.tag("good")
    for number in range(5):
        birds.update("id = :id", set={"species": "crow" if number == 3 else "gull"}, id=number)
        birds.commit(f"change {number}")
    found = birds.bisect("good", "HEAD", "SELECT count(*) = 0 FROM birds WHERE species = 'crow'")
    assert birds.show(found["commit"])["message"] == "change 3"
    assert [line["change"] for line in birds.log_row(3)] == ["changed", "added"]
    birds.rename_branch("main", "trunk")
    assert birds.current_branch == "trunk"
    birds.delete_tag("good")
    assert birds.tags() == []
    drawn = birds.sample(5, seed=1)
    assert drawn == birds.sample(5, seed=1) and len(drawn) == 5 and len(birds.sample(99)) == 20


@pytest.mark.skipif(os.name == "nt", reason="the hooks here are shell scripts")
def test_hooks_run_as_by_the_command_line(birds: dsv.Dataset, in_a_folder: Path) -> None:
    folder = next(in_a_folder.rglob(".dsv")) / "hooks"
    folder.mkdir()

    def hook(name: str, body: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)

    hook("pre-commit", "cat > change; echo 'no gulls here'; exit 1")
    birds.update("id = 5", set={"species": "gull"})
    with pytest.raises(dsv.RefusedError, match="hook 'pre-commit' ended with exit status 1: nothing was changed") as raised:
        birds.commit("a gull")
    assert "it said: no gulls here" in str(raised.value.hints)
    assert '"after":"gull"' in (folder.parent.parent / "change").read_text() and not birds.status()["clean"]
    birds.commit("a gull", verify=False)
    hook("pre-commit", "exit 0")
    hook("post-commit", "exit 4")
    birds.update("id = 6", set={"species": "gull"})
    with pytest.warns(UserWarning, match="hook 'post-commit' ended with exit status 4"):
        birds.commit("another gull")
    assert birds.status()["clean"]
