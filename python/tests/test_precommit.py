"""The hooks for the pre-commit framework, run by it in repositories made here; and the example workflow, whose steps are run as a runner would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(line: str, code: int = 0, folder: str | Path = ".") -> str:
    """A line of the shell and what it said, on both streams; it must end with that code."""
    done = subprocess.run(["sh", "-c", line], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert done.returncode == code, f"{line}\n{done.stdout}"
    return done.stdout


@pytest.fixture
def code(in_a_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository of code in Git with data beside it, on a remote; the framework's own folder of environments."""
    for program in ("git", "pre-commit"):
        if shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}") is None:
            pytest.skip(f"git: the program {program} is not here")
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith("PRE_COMMIT") or name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")]:
        monkeypatch.delenv(name)
    (in_a_folder / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[safe]\n\tdirectory = *\n"
    )
    folder = in_a_folder / "code"
    folder.mkdir()
    run("git init -q", folder=folder)
    (folder / "train.py").write_text("print(1)\n")
    (in_a_folder / "birds.csv").write_text("id,name,weight\n1,sparrow,24.5\n2,wren,9.25\n")
    run("dsv init -q && dsv import -q birds ../birds.csv --key id && dsv check add heavy --table birds 'weight > 0'", folder=folder)
    run("dsv commit -q -m birds && dsv remote add origin ../data && dsv git pin", folder=folder)
    (folder / ".gitignore").write_text("/.dsv/\n")
    monkeypatch.chdir(folder)
    yield folder


def local_hooks() -> str:
    """The hooks of the project's own manifest, as a repository lists hooks that are installed already."""
    import yaml

    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["dsv-check", "dsv-pin", "dsv-no-data", "dsv-pushed"]
    hooks = [{**hook, "language": "system"} for hook in hooks]
    return yaml.safe_dump({"default_install_hook_types": ["pre-commit", "pre-push"], "repos": [{"repo": "local", "hooks": hooks}]})


def test_every_hook_passes_fails_mends_and_blocks(code: Path) -> None:
    (code / ".pre-commit-config.yaml").write_text(local_hooks())
    run("pre-commit install && git add .")
    # All is well.
    told = run("git commit -m one")
    assert told.count("Passed") == 3, told
    # A pin that is stale is mended, and the commit goes through the second time.
    run("dsv config git.pin false && dsv query -q \"UPDATE birds SET name = 'finch' WHERE id = 1\" && dsv commit -q -m finch")
    (code / "train.py").write_text("print(2)\n")
    told = run("git commit -am two", code=1)
    assert "dsv pin" in told and "was stale, and now pins" in told and "files were modified by this hook" in told, told
    run("git commit -qam two")
    assert run("git show --stat HEAD").count("dsv.lock") == 1
    # Data may not enter, large files neither.
    (code / "new.csv").write_text("x\n1\n")
    (code / "large.txt").write_text("x" * 1_500_000)
    told = run("git add . && git commit -m three", code=1)
    assert "dsv import new new.csv" in told and "large.txt: 1.5 MB" in told, told
    run("git rm -q --cached new.csv large.txt && rm new.csv large.txt")
    # Code that is pushed must not name what nobody else has.
    run("git init -q --bare ../bare.git && git remote add origin ../bare.git")
    told = run("git push -q origin main", code=1)
    assert "is not on" in told and "'dsv push' sends it" in told, told
    run("dsv push -q && git push -q origin main")


def test_a_pin_of_data_that_break_their_checks_blocks_the_commit(code: Path) -> None:
    (code / ".pre-commit-config.yaml").write_text(local_hooks())
    run("pre-commit install && git add . && git commit -qm one")
    # dsv refuses to commit such data, so the check comes later than they do; --allow-failing keeps it, and a warning alone does not refuse.
    run("dsv check add light --table birds 'weight < 20' --allow-failing")
    run("dsv commit -m light", code=1)
    # One that only fails as time goes by: it held when it was committed.
    run("dsv check drop light && dsv check add fresh --query \"SELECT 1 WHERE extract(epoch FROM now()) > $(($(date +%s) + 4))\" && dsv commit -q -m fresh")
    run("git commit -qam fresh; sleep 5")
    (code / "dsv.lock").write_text((code / "dsv.lock").read_text() + "# looked at again\n")
    told = run("git commit -am later", code=1)
    assert "fresh" in told, told


def test_the_project_itself_can_be_tried(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pre-commit try-repo`: clones the project, installs it from a wheel (language: python), and runs each hook."""
    wheel = os.environ.get("DSV_TEST_WHEEL")
    if not wheel:
        pytest.skip("package: the wheel is not named (DSV_TEST_WHEEL)")
    if not (ROOT / ".git").exists():
        pytest.skip("git: the project is not in a Git repository here")
    monkeypatch.setenv("DSV_WHEEL", wheel)
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "environments"))
    run("git add . && git commit -qm one")
    told = run(f"pre-commit try-repo '{ROOT}' --all-files --verbose")
    for name in ("dsv check", "dsv pin", "dsv no data"):
        assert any(line.startswith(name) and line.endswith("Passed") for line in told.splitlines()), told
    (code / "new.csv").write_text("x\n1\n")
    told = run(f"git add new.csv && pre-commit try-repo '{ROOT}' dsv-no-data --files new.csv", code=1)
    assert "dsv import new new.csv" in told, told
    told = run(f"pre-commit try-repo '{ROOT}' dsv-pushed --hook-stage pre-push --all-files", code=1)
    assert "is not on" in told, told


@pytest.mark.skipif(not os.environ.get("DSV_TEST_LONG"), reason="long: run by `make test-full`")
def test_the_project_itself_can_be_built_from_source(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with `language: rust`: a release build of everything."""
    (code / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {ROOT}\n  rev: {run('git rev-parse HEAD', folder=ROOT).strip()}\n  hooks:\n  - id: dsv-no-data\n    language: rust\n"
    )
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "environments"))
    # What is built is thrown away with the folder; link-time optimisation, which takes as long again, would show nothing more.
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_LTO", "off")
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
    home = Path(os.environ.get("DSV_TEST_HOME") or Path("~").expanduser())
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.setenv(name, os.environ.get(name) or str(home / f".{name.split('_')[0].lower()}"))
    run("git add .")
    assert "Passed" in run("pre-commit run --all-files")
    (code / "new.csv").write_text("x\n1\n")
    assert "dsv import new new.csv" in run("git add new.csv && pre-commit run --all-files", code=1)


def test_the_workflow_does_what_it_says(code: Path, in_a_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of docs/ci/github.yml, in a clone as a runner has it, with a `gh` that keeps what it is given."""
    import yaml

    workflow = yaml.safe_load((ROOT / "docs" / "ci" / "github.yml").read_text())
    steps = [step for step in workflow["jobs"]["data"]["steps"] if "run" in step and "pip install" not in step["run"]]
    run("git add . && git commit -qm one && git init -q --bare ../bare.git && git remote add origin ../bare.git && dsv push -q && git push -q origin main")
    run("git switch -qc relabel && dsv switch -q -c relabel && dsv query -q \"UPDATE birds SET name = 'finch' WHERE id = 1\" && dsv commit -q -m finch")
    run("dsv push -q && git commit -qam relabel && git push -q origin relabel")
    run("git clone -q -b relabel bare.git runner", folder=in_a_folder)
    fake = in_a_folder / "programs"
    fake.mkdir()
    (fake / "gh").write_text("#!/bin/sh\necho \"$@\" > posted; for last; do :; done; cat \"$last\" >> posted\n")
    (fake / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BASE", "origin/main")
    monkeypatch.setenv("PULL_REQUEST", "7")
    runner = in_a_folder / "runner"
    for step in steps:
        run(step["run"], folder=runner)
    posted = (runner / "posted").read_text()
    assert posted.startswith("pr comment 7") and "| changed | birds | 1 cell changed in name |" in posted, posted
    assert "heavy" in (runner / "checks.xml").read_text()
