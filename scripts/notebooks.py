#!/usr/bin/env python3
"""Runs the notebooks of docs/notebooks, and keeps what they show.

usage: notebooks.py [--out FOLDER] [NAME ...]

Needs a Python that has dsv, nbclient, ipykernel and what the notebooks name. Without --out they are written in their place: do so after each change of one, or of how things look.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"


def run(name: str, out: Path) -> None:
    """Runs one notebook from its top; the first cell that fails ends it."""
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # No settings of the machine count, and no names of people.
        os.environ.update(HOME=folder, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", USER="ada", HOSTNAME="lab", TZ="UTC")
        NotebookClient(book, timeout=600, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:
        for output in cell.get("outputs", []):
            # What a figure says of the address of an object differs from run to run, and says nothing.
            for kind, text in output.get("data", {}).items():
                if kind == "text/plain":
                    output["data"][kind] = re.sub(r" at 0x[0-9a-f]+", "", text)
    book.metadata = {key: book.metadata[key] for key in ("kernelspec", "language_info")}
    book.metadata["language_info"] = {"name": "python"}
    out.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, out / f"{name}.ipynb")


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the notebooks of docs/notebooks.")
    parser.add_argument("names", nargs="*", help="all without any")
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    for name in asked.names or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        run(name, asked.out)
        print(f"{name}: run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
