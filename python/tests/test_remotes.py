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
