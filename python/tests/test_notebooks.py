"""The notebooks run from their top, and were run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "notebooks"


@pytest.mark.parametrize("name", ["curation", "training", "collaboration"])
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    for needed in ["nbclient", "ipykernel", "sklearn", *(["torch"] if name == "training" else [])]:
        pytest.importorskip(needed)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "notebooks.py"), "--out", str(tmp_path), name], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == 0, done.stderr
    made, kept = (nbformat.read(folder / f"{name}.ipynb", as_version=4).cells for folder in (tmp_path, FOLDER))
    # What is kept was run, shows as many things, and no error.
    for new, old in zip(made, kept, strict=True):
        assert [(one.output_type, sorted(one.get("data", {}))) for one in new.get("outputs", [])] == [(one.output_type, sorted(one.get("data", {}))) for one in old.get("outputs", [])], old.source
    assert sum(len(cell.get("outputs", [])) for cell in kept) >= 5


def test_all_notebooks_are_run() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == ["collaboration", "curation", "training"]
