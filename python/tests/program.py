"""A program that uses the package, for mypy: it is checked, not run."""

from __future__ import annotations

import dsv


def curate(path: str, vector: list[float]) -> int:
    ds: dsv.Dataset = dsv.open(path, "frames")
    ds.add_column("quality", dsv.types.Float32(), 0.5)
    rows: int = ds.append({"caption": ["a", "b"], "quality": [0.1, 0.9]})
    added, changed = ds.upsert([{"id": 1, "caption": "c"}])
    near: dsv.Result = ds.query("SELECT * WHERE quality > :q ORDER BY embedding <=> :v LIMIT 5", q=0.5, v=vector)
    for row in near:
        caption: str = row["caption"]
        print(caption)
    captions: list[object] = ds["caption"][10:20]
    first: dict[str, object] = ds[0]
    commit: str = ds.commit("curated")
    branch: dsv.Dataset = ds.branch("training", where="quality > 0.8")
    for batch in branch.dataloader().images(224, flip=True).pytorch(batch_size=16, shuffle=True, num_workers=8):
        print(batch["frame"], captions, first, commit)
    with ds.transaction("more"):
        ds.delete("quality < :q", q=0.1)
    try:
        ds.merge("training")
    except dsv.RefusedError as error:
        print(error.hints)
    return rows + added + changed
