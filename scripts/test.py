#!/usr/bin/env python3
"""Runs all tests and counts what ran, what failed and what was skipped, with reasons.

usage: test.py [--full] [--rust]

--rust leaves the Python package out. --full builds as a release and also runs the tests marked as long, at their stated sizes. DSV_REQUIRE=name,... makes the skip of a test that lacked that thing a failure: data, python, ffmpeg, git, slt, pgvector, tpch, seaweedfs, azurite, s3rver, gcs, package, torch, jax.
A test that cannot run says so in a line `skipped: NAME: reason` on its output.

The Python package is built as a wheel and tested by pytest in an environment of its own, under $XDG_CACHE_HOME/dsv, made where it is absent: PyTorch alone is some gigabytes. DSV_SKIP=torch leaves PyTorch out, DSV_SKIP=python
the whole package; both say so.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "scripts" / "requirements.txt"
PACKAGE_REQUIREMENTS = ROOT / "python" / "tests" / "requirements.txt"
# What others wrote and the tests hold dsv to, fetched once; git ignores it.
ORACLES = ROOT / ".oracles"

RESULT = re.compile(r"^test (?P<name>.+?)(?: - should panic)? \.\.\. (?P<result>ok|FAILED|ignored)(?P<why>, .*)?$")
SECTION = re.compile(r"^---- (?P<name>.+) stdout ----$")
SKIPPED = re.compile(r"^\s*skipped: (?P<why>.+)$", re.IGNORECASE)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = {}

    def skip(self, name, why):
        self.skipped.setdefault(why, []).append(name)

    def require(self, names):
        """Skips for want of one of these things become failures."""
        required = {name.strip().lower() for name in names.split(",") if name.strip()}
        for why in [why for why in self.skipped if why.split(":")[0].strip().lower() in required]:
            self.failed += [f"{name} (required, yet skipped: {why})" for name in self.skipped.pop(why)]

    def line(self):
        """What ran and what was skipped, with reasons."""
        line = f"{self.passed} passed, {len(self.failed)} failed, {sum(map(len, self.skipped.values()))} skipped"
        reasons = [f"{len(names)} {why}" for why, names in sorted(self.skipped.items())]
        return f"{line} ({'; '.join(reasons)})" if reasons else line


def say(text):
    print(text, flush=True)


def prepare_python():
    """Makes the environment once for each list of requirements, and gives its Python. Where that is not possible it says why, and the tests that need
    Python skip themselves."""
    if os.environ.get("DSV_TEST_PYTHON"):
        return os.environ["DSV_TEST_PYTHON"]
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return str(PYTHON)
    say("setting up .venv ...")
    steps = [
        ([sys.executable, "-m", "venv", "--clear", str(VENV)], "python3 cannot make an environment (on Debian: apt install python3-venv)"),
        ([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)], "the packages of scripts/requirements.txt cannot be installed"),
    ]
    for command, why in steps:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            say(f"warning: {why}: {last}")
            return None
    stamp.write_text(wanted)
    return str(PYTHON)


def prepare_slt():
    """The folder of DataFusion's .slt files, of the version that dsv is built with: cargo downloads the crate that carries them, and nothing is built."""
    if os.environ.get("DSV_TEST_SLT"):
        return os.environ["DSV_TEST_SLT"]
    found = re.search(r'^name = "datafusion"\nversion = "(.+)"$', (ROOT / "Cargo.lock").read_text(), re.MULTILINE)
    if not found:
        say("warning: Cargo.lock names no version of datafusion, so its .slt files cannot be chosen")
        return None
    version = found[1]
    folder, crate = ORACLES / "slt", "datafusion-sqllogictest"
    known = folder / f"{version}.path"
    if known.exists() and Path(known.read_text()).is_dir():
        return known.read_text()
    say(f"fetching the .slt files of DataFusion {version} ...")
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src" / "lib.rs").touch()
    dependency = f'{crate} = {{ version = "={version}", default-features = false }}'
    manifest = folder / "Cargo.toml"
    manifest.write_text(f'[package]\nname = "slt"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n{dependency}\n\n[workspace]\n')
    command = ["cargo", "metadata", "--quiet", "--format-version", "1", "--manifest-path", str(manifest)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        package = next(p for p in json.loads(done.stdout)["packages"] if p["name"] == crate)
    except (ValueError, KeyError, StopIteration):
        say(f"warning: cargo cannot fetch {crate} {version}: {(done.stderr.strip().splitlines() or [''])[-1]}")
        return None
    path = Path(package["manifest_path"]).parent / "test_files"
    known.write_text(str(path))
    return str(path)


def prepare_node(variable, folder, wanted, what):
    """The folder of packages for Node, installed once for each list of them."""
    if os.environ.get(variable):
        return os.environ[variable]
    stamp, digest = folder / "package.sha256", hashlib.sha256(wanted.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return str(folder)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        say(f"warning: {what} run within Node, and node and npm are not here")
        return None
    say(f"fetching {what}, for Node ...")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(wanted, folder / "package.json")
    done = subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        say(f"warning: the packages of {wanted.relative_to(ROOT)} cannot be installed: {(done.stderr.strip().splitlines() or [''])[-1]}")
        return None
    stamp.write_text(digest)
    return str(folder)


def prepare_postgres():
    """The folder of PostgreSQL with pgvector."""
    return prepare_node("DSV_TEST_PGVECTOR", ORACLES / "postgres", ROOT / "scripts" / "package.json", "PostgreSQL and pgvector")


def prepare_stores():
    """The folder of object stores that the tests of remotes start."""
    return prepare_node("DSV_TEST_STORES", ORACLES / "stores", ROOT / "scripts" / "stores" / "package.json", "azurite and s3rver")


def prepare_tpch(full, python):
    """The folder of TPC-H's tables as Parquet files: at scale factor 0.01, for the long tests at 1 as well."""
    if os.environ.get("DSV_TEST_TPCH"):
        return os.environ["DSV_TEST_TPCH"]
    # Beside the Python that has the requirements; where that is somebody else's, wherever it is.
    beside = Path(python).parent if python else None
    generator = (beside and shutil.which("tpchgen-cli", path=str(beside))) or shutil.which("tpchgen-cli")
    folder = ORACLES / "tpch"
    for scale in ["0.01", "1"] if full else ["0.01"]:
        stamp = folder / f"{scale}.done"
        if stamp.exists():
            continue
        if generator is None:
            say("warning: tpchgen-cli, of scripts/requirements.txt, is not here")
            return None
        say(f"generating TPC-H at scale factor {scale} ...")
        command = [generator, "parquet", "--scale-factor", scale, "--compression", "ZSTD(1)", "--output-dir", str(folder / scale), "--overwrite"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            say(f"warning: tpchgen-cli: {(done.stderr.strip().splitlines() or [''])[-1]}")
            return None
        stamp.touch()
    return str(folder)


def run_cargo(tally, full, oracles):
    """Builds and runs every Rust test; what passing tests print is looked through for skips."""
    environment = dict(os.environ)
    environment.update({name: path for name, path in oracles.items() if path})
    if full:
        environment.setdefault("DSV_TEST_CASES", "5000")
    # What writes fixtures is no test, and is run by hand.
    command = ["cargo", "test", "--no-fail-fast"] + (["--profile", "full"] if full else ["--features", "candle"]) + ["--", "--show-output"] + (["--include-ignored", "--skip", "golden::write"] if full else [])
    say("$ " + " ".join(command))
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, errors="replace")
    section, quiet, passed = None, False, set()
    for line in child.stdout:
        line = line.rstrip("\n")
        result, start, skip = RESULT.match(line), SECTION.match(line), SKIPPED.match(line)
        if result:
            name = result["name"]
            if result["result"] == "ok":
                passed.add(name)
                tally.passed += 1
            elif result["result"] == "FAILED":
                tally.failed.append(name)
                say(line)
            else:
                if name != "golden::write":
                    tally.skip(name, "long: run by `make test-full`")
        elif line.startswith("successes:"):
            quiet = True
        elif line.startswith("failures:"):
            quiet = False
            say(line)
        elif start:
            section = start["name"]
            if not quiet:
                say(line)
        elif skip:
            # A test that said so and then passed did not really run. It counts once, whatever number of things it lacks.
            if section in passed:
                passed.discard(section)
                tally.passed -= 1
                tally.skip(section, skip["why"].strip())
        elif line.startswith(("running ", "test result:")):
            section, quiet = None, False
            say(line)
        elif line.strip() and not quiet:
            say(line)
    code = child.wait()
    if code != 0 and not tally.failed:
        tally.failed.append(f"cargo test ended with {code}")


# Seconds that the packages may take to come: what is large is left out then.
PACKAGE_SECONDS = 900
# What is large, or not to be had everywhere; tests that need it skip themselves, and say so.
LARGE = ("torch", "jax")


def prepare_package(tally):
    """The Python of the environment in which the Python package is tested; None where it cannot be made, or is not wanted, which is told as a skip."""
    skipped = {name.strip() for name in os.environ.get("DSV_SKIP", "").split(",")}
    if "python" in skipped:
        tally.skip("the Python package", "package: left out by DSV_SKIP")
        return None
    listed = [line for line in PACKAGE_REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    wanted = [line for line in listed if line.split("=")[0] not in skipped]
    small = [line for line in wanted if line.split("=")[0] not in LARGE]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsv"
    why = ""
    for packages in [wanted, small] if wanted != small else [wanted]:
        digest = hashlib.sha256("\n".join([sys.version, *packages]).encode()).hexdigest()[:16]
        folder = cache / f"python-{digest}"
        python, stamp = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), folder / "done"
        if stamp.exists():
            return str(python)
        say(f"setting up {folder}: what the Python package is tested with ...")
        why = installed(folder, python, packages)
        if why is None:
            stamp.touch()
            return str(python)
        say(f"warning: the packages of python/tests/requirements.txt cannot be installed: {why}")
    tally.skip("the Python package", f"package: its environment cannot be made: {why}")
    return None


def installed(folder, python, packages):
    """Makes an environment with these packages; why not, where that fails."""
    steps = [[sys.executable, "-m", "venv", "--clear", str(folder)], [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]]
    for command in steps:
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=PACKAGE_SECONDS)
        except subprocess.TimeoutExpired:
            return f"not within {PACKAGE_SECONDS} s"
        if done.returncode != 0:
            return (done.stderr.strip().splitlines() or ["?"])[-1]
    return None


def run_package(tally, full, python):
    """Builds the wheel, installs it, and runs its tests."""
    wheels = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    profile = ["--profile", "full"] if full else ["--profile", "dev", "--features", "candle,pyo3/extension-module"]
    build = [str(Path(python).parent / "maturin"), "build", "--quiet", "--manifest-path", str(ROOT / "python" / "Cargo.toml"), "--interpreter", python, "--out", str(wheels), *profile]
    say("$ " + " ".join(build))
    if subprocess.run(build, cwd=ROOT).returncode != 0:
        tally.failed.append("the Python package: its wheel cannot be built")
        return
    wheel = next(wheels.glob("*.whl"))
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps", str(wheel)]
    if subprocess.run(install).returncode != 0:
        tally.failed.append("the Python package: its wheel cannot be installed")
        return
    # What writes the batches that candle gets, for comparison; `cargo test` has built it, where candle is wanted.
    example = wheels.parent / ("full" if full else "debug") / "examples" / ("batches.exe" if os.name == "nt" else "batches")
    environment = {**os.environ, "DSV_TEST_BATCHES": str(example)} if example.exists() else dict(os.environ)
    environment["DSV_TEST_WHEEL"] = str(wheel)
    environment["DSV_TEST_HOME"] = str(Path.home())
    if full:
        environment["DSV_TEST_LONG"] = "1"
    report = wheels / "pytest.xml"
    # By its own program: `python -m` would find the sources in python/ before the wheel.
    subprocess.run([str(Path(python).parent / "pytest"), "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "tests"], cwd=ROOT / "python", env=environment)
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    if not cases:
        tally.failed.append("the Python package: pytest ran no test")
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(name)
        elif skipped is not None:
            why = skipped.get("message") or "?"
            missing = re.match(r"could not import '(\w+)'", why)
            tally.skip(name, f"{missing[1]}: it is not installed" if missing else why)
        else:
            tally.passed += 1


def main():
    full = "--full" in sys.argv[1:]
    if shutil.which("cargo") is None:
        say("error: cargo is missing: install a Rust toolchain (rustup.rs)")
        return 2
    began = time.monotonic()
    tally = Tally()
    python = prepare_python()
    oracles = {"DSV_TEST_PYTHON": python, "DSV_TEST_SLT": prepare_slt(), "DSV_TEST_PGVECTOR": prepare_postgres(), "DSV_TEST_STORES": prepare_stores(), "DSV_TEST_TPCH": prepare_tpch(full, python)}
    run_cargo(tally, full, oracles)
    package = None if "--rust" in sys.argv[1:] else prepare_package(tally)
    if package is not None:
        run_package(tally, full, package)
    tally.require(os.environ.get("DSV_REQUIRE", ""))
    say("")
    for name in tally.failed:
        say(f"failed: {name}")
    for why, names in sorted(tally.skipped.items()):
        say(f"skipped: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}: {why}")
    say(f"in {time.monotonic() - began:.0f} s")
    say(tally.line())
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
