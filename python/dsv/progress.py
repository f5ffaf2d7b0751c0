"""Progress bars for long work, by tqdm where that is installed."""

from __future__ import annotations

import sys
from typing import Any

from . import _dsv


class Bar:
    """Shows a stage of long work; called some 20 times a second while it runs."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage: str | None = None

    def __call__(self, stage: str | None, done: int, total: int | None, unit: str) -> None:
        if stage != self._stage:
            self._stage = stage
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            if stage is not None:
                from tqdm.auto import tqdm

                self._bar = tqdm(total=total, desc=stage, unit=unit, unit_scale=True, leave=False)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)


def is_wanted() -> bool:
    """Whether somebody looks: at a terminal or a notebook, where tqdm is installed."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return False
    import importlib.util

    return importlib.util.find_spec("tqdm") is not None


def shown(core: _dsv.Repository) -> _dsv.Repository:
    """The handle, with bars where they are wanted."""
    if is_wanted():
        core.show_progress(Bar())
    return core
