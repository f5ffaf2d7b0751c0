"""The reference in docs/ is what the docstrings say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_is_up_to_date(tmp_path: Path) -> None:
    made = tmp_path / "python.md"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(ROOT / "scripts" / "reference.py"), str(made)], check=True, env=environment)
    assert made.read_text() == (ROOT / "docs" / "python.md").read_text(), "run scripts/reference.py"
