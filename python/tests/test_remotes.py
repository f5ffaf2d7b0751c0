"""Two people, and a folder between them."""

from __future__ import annotations

from pathlib import Path

import pytest

import dsv


def test_what_one_pushes_another_pulls(birds: dsv.Dataset, in_a_folder: Path) -> None:
    hub = str(in_a_folder / "hub")
    with pytest.raises(dsv.UsageError, match="no remote"):
        birds.push()
    birds.add_remote("origin", hub)
    assert birds.remotes() == {"origin": hub}
    (pushed,) = birds.push()
    assert (pushed["ref"], pushed["change"]) == ("main", "new")
    grace = dsv.clone(hub, "grace")
    assert grace.name == "birds" and grace[:] == birds[:] and grace.current_branch == "main"
    assert dsv.clone_repository(hub, "again").tables() == ["birds"]
    assert dsv.clone(hub, "lazily", lazy=True)[:] == grace[:]
    grace.update("id = 1", set={"species": "gull"})
    grace.commit("a gull")
    grace.push()
    birds.update("id = 2", set={"species": "crow"})
    birds.commit("a crow")
    with pytest.raises(dsv.RefusedError, match="dsv pull"):
        birds.push()
    assert birds.fetch()[0]["change"] == "forward" and birds.fetch() == []
    assert birds.pull()[0]["outcome"] == "merged"
    assert (birds[1]["species"], birds[2]["species"]) == ("gull", "crow")
    birds.tag("v1")
    assert {line["ref"]: line["change"] for line in birds.push(tags=True)} == {"main": "forward", "v1": "new"}
    assert [line["ref"] for line in birds.list_remote()] == ["main", "v1"]
    # Taken back, and pushed over what nobody else has moved.
    birds.reset("HEAD~1", hard=True)
    with pytest.raises(dsv.RefusedError):
        birds.push()
    assert birds.push(force="lease")[0]["change"] == "forced"
    assert birds.push("origin", "main:other")[0]["ref"] == "other"
    assert birds.push("origin", "other", delete=True)[0]["change"] == "deleted"
    birds.rename_remote("origin", "hub")
    birds.set_remote_url("hub", str(in_a_folder / "elsewhere"))
    with pytest.raises(dsv.UsageError, match="no dsv repository"):
        birds.fetch("hub")
    birds.remove_remote("hub")
    assert birds.remotes() == {}
    with pytest.raises(dsv.UsageError, match="not empty"):
        dsv.clone(hub, "grace")
    with pytest.raises(dsv.UsageError, match="none of s3://"):
        dsv.clone("ftp://host/x", "x")


def test_a_repository_is_read_where_it_is(birds: dsv.Dataset, in_a_folder: Path) -> None:
    # A folder's address stands for any other: what is read by one is read by all.
    url = f"file://{in_a_folder / 'birds'}"
    there = dsv.open(url, at="main")
    assert (len(there), there[3], there.name) == (20, birds[3], "birds")
    assert dsv.open(url).query("SELECT sum(weight) AS w FROM birds").one() == birds.query("SELECT sum(weight) AS w FROM birds").one()
    assert [batch["id"].tolist() for batch in there.dataloader().columns("id").numpy(batch_size=20)] == [list(range(20))]
    for write in (lambda: there.append({"id": [99]}), lambda: dsv.open(url).delete("id = 1"), lambda: dsv.open(url).commit("x"), lambda: dsv.open(url).execute("DELETE FROM birds")):
        with pytest.raises(dsv.UsageError):
            write()
    assert len(birds) == 20 and birds.status()["clean"]
    with pytest.raises(dsv.UsageError, match="no dsv repository"):
        dsv.open(f"file://{in_a_folder / 'nowhere'}")
