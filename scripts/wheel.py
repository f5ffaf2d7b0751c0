"""Builds the Python package from the root of the project, as PEP 517 asks (pyproject.toml names this module).

DSV_WHEEL names a wheel that is built already, or a folder with one: it is taken as it is, which takes a second instead of a long release build. Without it, maturin builds python/.
"""

import os
import shutil
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "python"


def ready():
    """The wheel that DSV_WHEEL names."""
    named = os.environ.get("DSV_WHEEL")
    if not named:
        return None
    path = Path(named)
    found = sorted(path.glob("dsv-*.whl")) if path.is_dir() else [path]
    if len(found) != 1 or not found[0].is_file():
        raise SystemExit(f"DSV_WHEEL={named}: {len(found)} wheels there" if path.is_dir() else f"DSV_WHEEL={named}: no such file")
    return found[0]


def get_requires_for_build_wheel(config_settings=None):
    return [] if ready() else ["maturin>=1.16,<2"]


def get_requires_for_build_sdist(config_settings=None):
    return ["maturin>=1.16,<2"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = ready()
    if wheel:
        shutil.copy(wheel, wheel_directory)
        return wheel.name
    import maturin

    folder = os.path.abspath(wheel_directory)
    os.chdir(PACKAGE)
    return maturin.build_wheel(folder, config_settings)


def build_sdist(sdist_directory, config_settings=None):
    import maturin

    folder = os.path.abspath(sdist_directory)
    os.chdir(PACKAGE)
    return maturin.build_sdist(folder, config_settings)
