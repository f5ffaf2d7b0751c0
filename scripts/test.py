#!/usr/bin/env python3
"""Runs all tests and counts what ran, what failed and what was skipped, with reasons.

usage: test.py [--full]

--full also runs the tests marked as long. DSV_REQUIRE=name,... makes the skip of a test that lacked that thing a failure: data, python, ffmpeg.
A test that cannot run says so in a line `skipped: NAME: reason` on its output.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "scripts" / "requirements.txt"

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


def say(text):
    print(text, flush=True)


def prepare_python(tally):
    """Makes the environment once for each list of requirements. False, and a skip, where that is not possible."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return True
    say("setting up .venv ...")
    steps = [
        ([sys.executable, "-m", "venv", "--clear", str(VENV)], "python3 cannot make an environment (on Debian: apt install python3-venv)"),
        ([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)], "the packages of scripts/requirements.txt cannot be installed"),
    ]
    for command, why in steps:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            tally.skip("tests/reader", f"python: {why}: {last}")
            return False
    stamp.write_text(wanted)
    return True


def run_cargo(tally, full, python):
    """Builds and runs every Rust test; what passing tests print is looked through for skips."""
    environment = dict(os.environ)
    if python:
        environment["DSV_TEST_PYTHON"] = str(PYTHON)
    # What writes fixtures is no test, and is run by hand.
    command = ["cargo", "test", "--no-fail-fast", "--", "--show-output"] + (["--include-ignored", "--skip", "golden::write"] if full else [])
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


def main():
    full = "--full" in sys.argv[1:]
    if shutil.which("cargo") is None:
        say("error: cargo is missing: install a Rust toolchain (rustup.rs)")
        return 2
    began = time.monotonic()
    tally = Tally()
    run_cargo(tally, full, prepare_python(tally))

    required = {name.strip().lower() for name in os.environ.get("DSV_REQUIRE", "").split(",") if name.strip()}
    for why, names in tally.skipped.items():
        if why.split(":")[0].strip().lower() in required:
            tally.failed += [f"{name} (required, yet skipped: {why})" for name in names]
    say("")
    for name in tally.failed:
        say(f"failed: {name}")
    for why, names in sorted(tally.skipped.items()):
        say(f"skipped {len(names)}: {why}  ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    say(f"in {time.monotonic() - began:.0f} s")
    say(f"{tally.passed} passed, {len(tally.failed)} failed, {sum(map(len, tally.skipped.values()))} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
