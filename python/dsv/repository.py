"""Repositories: tables, history, and all that the command line does."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, Union

from . import _dsv
from ._values import parameters, speaks_arrow, words
from .errors import NotFoundError, RefusedError, UsageError
from .progress import Bar, shown
from .result import Result

if TYPE_CHECKING:
    from .dataset import Dataset
    from .types import TypeLike

#: A path, as Python's own functions take it.
Path = Union[str, "os.PathLike[str]"]
#: A line of JSON that a verb printed.
Line = dict[str, Any]


class Handle:
    """What can be done with a repository, on one branch or on what is checked out. :class:`Repository` and :class:`Dataset` have all of it."""

    def __init__(self, core: _dsv.Repository) -> None:
        self._core = core

    # What it is

    @property
    def path(self) -> str:
        """The folder of the repository."""
        return os.fspath(self._core.dir)

    @property
    def current_branch(self) -> str | None:
        """The branch that this handle is on; None where a commit is checked out."""
        return self._core.current_branch()

    def _json(self, *parts: str | None | Sequence[str], names: Sequence[str | None] = ()) -> list[Line]:
        """The lines that a verb prints. ``names`` are never taken for options, whatever they begin with."""
        named = [name for name in names if name is not None]
        text, told = self._core.verb([*words(*parts), *(["--"] if any(name.startswith("-") for name in named) else []), *named])
        for warning in told:
            warnings.warn(warning, stacklevel=3)
        return [json.loads(line) for line in text.splitlines()]

    def _text(self, *parts: str | None | Sequence[str]) -> str:
        return self._core.verb(words(*parts))[0]

    def resolve_revision(self, revision: str) -> str:
        """The id of the commit that a revision names."""
        return self._core.resolve(revision)

    def show_progress(self, show: bool | Callable[[str | None, int, int | None, str], object] = True) -> None:
        """Shows the progress of long work: by bars of tqdm, by ``show(stage, done, total, unit)``, or not at all. Without a call bars are shown at a terminal or in a notebook, where tqdm is installed."""
        self._core.show_progress(Bar() if show is True else None if show is False else show)

    # Tables and views

    def tables(self, at: str | None = None) -> list[str]:
        """The names of the tables, of the working state or of a revision."""
        return [name for name, *_ in self._core.tables(at)]

    def table(self, name: str, at: str | None = None) -> Dataset:
        """A table, by its name; ``at`` a revision it is read-only."""
        from .dataset import Dataset

        known = self.tables(at)
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            raise NotFoundError(f"no table '{name}'" + (f" in {at}" if at else ""), [f"did you mean '{near[0]}'?"] if near else [f"there are: {', '.join(known)}"] if known else [])
        return Dataset(self._core, name, at)

    def create_table(self, name: str, columns: Mapping[str, TypeLike] | None = None, key: str | Sequence[str] = ()) -> Dataset:
        """Makes an empty table."""
        from .dataset import Dataset

        key = [key] if isinstance(key, str) else list(key)
        self._core.create_table(name, [(column, str(ty)) for column, ty in (columns or {}).items()], key)
        return Dataset(self._core, name, None)

    def drop_table(self, name: str) -> None:
        """Takes a table out of the working state."""
        self._json("table", "drop", names=[name])

    def rename_table(self, name: str, to: str) -> None:
        """Gives a table another name."""
        self._json("table", "rename", names=[name, to])

    def views(self, at: str | None = None) -> dict[str, str]:
        """The views: their SQL by name."""
        return self._core.views(at)

    def create_view(self, name: str, sql: str, replace: bool = False) -> None:
        """Keeps a query under a name; it is versioned with the data and copies nothing."""
        self._json("view", "create", "--replace" if replace else None, names=[name, sql])

    def drop_view(self, name: str) -> None:
        """Takes a view out of the working state."""
        self._json("view", "drop", names=[name])

    # SQL

    def query(self, sql: str, *, at: str | None = None, **values: Any) -> Result:
        """Asks in SQL. ``:name`` in it is the value given by that name: a number, a text, bytes, a dict as JSON, or a vector as a list or an array."""
        return Result(self._core, sql, parameters(values), at)

    def execute(self, sql: str, **values: Any) -> int | None:
        """Runs a statement that writes into the working state; returns how many rows it touched."""
        return self._core.execute(sql, parameters(values))

    # Commits and branches

    def commit(self, message: str | None = None, *, amend: bool = False, allow_empty: bool = False, verify: bool = True) -> str:
        """Records the working state; returns the commit's id. Hooks are run as by the command line, without ``verify`` only those that do not verify; one that stops it raises RefusedError."""
        flags = [flag for flag, wanted in [("--amend", amend), ("--allow-empty", allow_empty), ("--no-verify", not verify)] if wanted]
        (line,) = self._json("commit", _message(message), flags)
        commit: str = line["commit"]
        return commit

    def status(self) -> Line:
        """The branch, its commit, whether anything is uncommitted, and in ``tables`` what differs."""
        head, *tables = self._json("status")
        return {**head, "tables": tables}

    def log(self, *revisions: str, limit: int | None = None, all: bool = False) -> Log:
        """The commits that led here, newest first."""
        return Log(self._json("log", "--all" if all else None, ["-n", str(limit)] if limit is not None else None, list(revisions)))

    def show(self, revision: str = "HEAD") -> Line:
        """A commit, and what it changed."""
        (line,) = self._json("show", names=[revision])
        return line

    def branches(self) -> list[Line]:
        """The branches."""
        return self._json("branch")

    def delete_branch(self, name: str, force: bool = False) -> None:
        """Deletes a branch; refused where commits would be lost from sight, unless ``force``."""
        self._json("branch", "-D" if force else "-d", names=[name])

    def switch(self, branch: str, create: bool = False) -> None:
        """Checks out a branch. Uncommitted changes stay with the branch that they were made on."""
        self._json("switch", "-c" if create else None, names=[branch])

    def tag(self, name: str, revision: str | None = None, message: str | None = None) -> None:
        """Names a commit for good."""
        self._json("tag", _message(message), names=[name, revision])

    def delete_tag(self, name: str) -> None:
        """Deletes a tag."""
        self._json("tag", "-d", names=[name])

    def rename_branch(self, old: str, new: str, force: bool = False) -> None:
        """Gives a branch another name; its uncommitted changes go with it. ``force`` lets it replace another branch."""
        self._json("branch", "-m", "--force" if force else None, names=[old, new])

    def bisect(self, good: str, bad: str, query: str) -> Line:
        """The commit at which a query that gives one value, true or false, turned from true to false."""
        return self._json("bisect", "--query", query, names=[good, bad])[-1]

    def tags(self) -> list[Line]:
        """The tags."""
        return self._json("tag")

    # Differences and merges

    def diff(self, a: str | None = None, b: str | None = None, table: str | None = None) -> Diff:
        """What changed, down to the cell: between HEAD and the working state, ``a`` and the working state, or ``a`` and ``b``."""
        words = [word for word in (a, b) if word is not None] + ([] if table is None else ["--", table])
        return Diff(self._json("diff", words), self, words)

    def merge(self, *revisions: str, message: str | None = None, strategy: Literal["ours", "theirs"] | None = None, dry_run: bool = False) -> str | None:
        """Merges other branches into this one, cell by cell; returns the commit, or None where all of it was here. Conflicts raise RefusedError: :meth:`conflicts` lists them."""
        options = [_message(message), ["--strategy", strategy] if strategy else None, "--dry-run" if dry_run else None]
        (line,) = self._json("merge", *options, list(revisions))
        commit: str | None = line["commit"]
        return commit

    def conflicts(self) -> list[Line]:
        """Conflicts of the merge in progress: table, row, column, and the cells of the base and both sides."""
        return self._json("conflicts")

    def resolve(
        self,
        take: Literal["ours", "theirs", "base", "keep"] | None = None,
        *,
        table: str | None = None,
        row: Any = None,
        column: str | None = None,
        value: Any = None,
        policy: str | None = None,
    ) -> int:
        """Settles conflicts of the merge in progress, all or those of a table, row or column: by a side, a value or a policy. Returns how many are left."""
        place = [str(part) for part in (table, row) if part is not None]
        if column is not None:
            place += [column] if row is not None else ["--column", column]
        how = [f"--{take}"] if take else ["--policy", policy] if policy else ["--null"] if value is None else ["--value", str(value)]
        (line,) = self._json("resolve", how, place)
        left: int = line["left"]
        return left

    def continue_merge(self, message: str | None = None) -> str:
        """Commits the merge in progress, once no conflict is left."""
        (line,) = self._json("merge", "--continue", _message(message))
        commit: str = line["commit"]
        return commit

    def abort_merge(self) -> None:
        """Gives up the merge in progress: the branch is as it was before."""
        self._json("merge", "--abort")

    def cherry_pick(self, *revisions: str) -> list[Line]:
        """Makes the changes of commits again, upon this branch."""
        return self._json("cherry-pick", list(revisions))

    def revert(self, *revisions: str) -> list[Line]:
        """Takes the changes of commits back, as new commits."""
        return self._json("revert", list(revisions))

    def rebase(self, upstream: str) -> list[Line]:
        """Makes this branch's commits again, upon another one."""
        return self._json("rebase", upstream)

    # Going back

    # Remotes

    def remotes(self) -> dict[str, str]:
        """The remotes: their addresses by name."""
        return {line["remote"]: line["url"] for line in self._json("remote")}

    def add_remote(self, name: str, url: str, *, endpoint: str | None = None, region: str | None = None) -> None:
        """Names another repository: a folder, ``s3://``, ``gs://``, ``az://`` or ``https://``. Credentials come from the environment or from profiles, and are not kept."""
        self._json("remote", "add", _network(endpoint, region), names=[name, url])

    def set_remote_url(self, name: str, url: str) -> None:
        """Gives a remote another address."""
        self._json("remote", "set-url", names=[name, url])

    def rename_remote(self, name: str, to: str) -> None:
        """Gives a remote another name."""
        self._json("remote", "rename", names=[name, to])

    def remove_remote(self, name: str) -> None:
        """Forgets a remote; nothing changes there."""
        self._json("remote", "remove", names=[name])

    def list_remote(self, remote: str | None = None) -> list[Line]:
        """The branches and tags of a remote, or of what is at an address."""
        return self._json("ls-remote", names=[remote])

    def fetch(self, remote: str | None = None, *branches: str, prune: bool = False) -> list[Line]:
        """Brings what a remote has and is not here; its branches are then called ``origin/main`` and so on. Returns the refs that moved."""
        return self._json("fetch", "--prune" if prune else None, names=[remote, *branches])

    def pull(self, remote: str | None = None, branch: str | None = None, *, rebase: bool = False) -> list[Line]:
        """Fetches, and merges what came into this branch, or with ``rebase`` puts its own commits on top. Returns what :meth:`merge` or :meth:`rebase` told. Conflicts raise RefusedError, and :meth:`conflicts` lists them."""
        return self._json("pull", "--rebase" if rebase else None, names=[remote, branch])

    def push(
        self,
        remote: str | None = None,
        *branches: str,
        all: bool = False,
        tags: bool = False,
        delete: bool = False,
        force: bool | Literal["lease"] = False,
        set_upstream: bool = False,
    ) -> list[Line]:
        """Sends what a remote lacks, and moves its branches; the remote is made where nothing is yet. A branch that others have moved is refused: pull first. ``branch:name`` gives it another name there,
        ``force="lease"`` goes over commits that were taken back, if nobody else has moved the branch. Returns what became of each ref."""
        flags = [flag for flag, wanted in [("--all", all), ("--tags", tags), ("--delete", delete), ("--force", force is True), ("--force-with-lease", force == "lease"), ("--set-upstream", set_upstream)] if wanted]
        return self._json("push", flags, names=[remote, *branches])


    def undo(self) -> None:
        """Takes back the last operation."""
        self._json("undo")

    def redo(self) -> None:
        """Takes back the last undo."""
        self._json("redo")

    def operations(self, limit: int | None = None) -> list[Line]:
        """What changed the repository, newest first."""
        return self._json("operations", ["-n", str(limit)] if limit is not None else None)

    def reset(self, revision: str = "HEAD", hard: bool = False) -> None:
        """Moves the branch to another commit; with ``hard`` uncommitted changes are dropped."""
        self._json("reset", "--hard" if hard else None, revision)

    # Checks and upkeep

    def add_check(
        self,
        name: str,
        predicate: str | None = None,
        *,
        table: str | None = None,
        query: str | None = None,
        not_null: str | None = None,
        unique: str | None = None,
        range: str | None = None,
        matches: str | None = None,
        references: str | None = None,
        decodes: str | None = None,
        no_near_duplicates: str | None = None,
        distribution: str | None = None,
        like: str | None = None,
        within: float | None = None,
        severity: Literal["error", "warn"] = "error",
    ) -> None:
        """Keeps a check with the data: commits that break it are refused, or with ``severity="warn"`` told of. Rules are written as at the command line: ``range="weight=0..20"``, ``matches="code=^[A-Z]+$"``, ``references="label=labels(name)"``, ``decodes="picture"``, ``no_near_duplicates="picture=4"``, ``distribution="weight"`` with ``like="v1.0"`` and ``within=0.1``."""
        named = {
            "--table": table,
            "--query": query,
            "--not-null": not_null,
            "--unique": unique,
            "--range": range,
            "--matches": matches,
            "--references": references,
            "--decodes": decodes,
            "--no-near-duplicates": no_near_duplicates,
            "--distribution": distribution,
            "--like": like,
            "--within": None if within is None else str(within),
        }
        options = [[option, value] for option, value in named.items() if value is not None]
        self._json("check", "add", name, *options, ["--severity", severity] if severity != "error" else None, predicate)

    def run_checks(self, at: str | None = None, *, since: str | None = None, junit: str | os.PathLike[str] | None = None) -> list[Line]:
        """Tests the checks on all rows, of the working state or of a revision, or only on what differs from the revision ``since``. ``junit`` is a file to write the outcome to, as CI systems read it."""
        options = [["--at", at] if at else None, ["--since", since] if since else None, ["--junit", os.fspath(junit)] if junit else None]
        return self._json("check", "run", *options)

    def drop_check(self, name: str) -> None:
        """Drops a check."""
        self._json("check", "drop", names=[name])

    def verify(self) -> Line:
        """Re-hashes everything reachable."""
        (line,) = self._json("verify")
        return line

    def gc(self) -> Line:
        """Deletes what nothing reaches."""
        (line,) = self._json("gc")
        return line

    def compact(self, *tables: str) -> list[Line]:
        """Rewrites pieces of columns into full chunks."""
        return self._json("compact", list(tables))

    def config(self, key: str | None = None, value: str | None = None) -> list[Line]:
        """Reads settings, or changes one."""
        return self._json("config", key, value)

    # Files

    def import_files(
        self,
        table: str,
        *files: Path,
        mode: Literal["create", "append", "replace"] = "create",
        key: str | Sequence[str] = (),
        media: str | Sequence[str] = (),
        types: Mapping[str, TypeLike] | None = None,
        options: Sequence[str] = (),
    ) -> Line:
        """Reads files into a table: CSV, JSON, Parquet, Arrow, NumPy, folders of pictures, WebDataset. ``options`` are those of ``dsv import``."""
        from .types import Type

        flags = words(
            f"--{mode}" if mode != "create" else None,
            ["--key", _joined(key)] if key else None,
            ["--media", _joined(media)] if media else None,
            ["--types", ",".join(f"{name}={Type(str(ty))}" for name, ty in types.items())] if types else None,
            list(options),
        )
        return self._json("import", flags, table, [os.path.abspath(os.fspath(file)) for file in files])[-1]

    def export(self, table: str, file: Path, *, at: str | None = None, where: str | None = None, columns: Sequence[str] = (), force: bool = False) -> None:
        """Writes a table or a view to a file, whose name tells the format."""
        name = os.fspath(file)
        target = os.path.abspath(name) + ("/" if name.endswith("/") else "")
        flags = words(["--at", at] if at else None, ["--where", where] if where else None, ["--columns", ",".join(columns)] if columns else None, "--force" if force else None)
        self._json("export", flags, table, target)

    # Together

    @contextmanager
    def transaction(self, message: str | None = None) -> Iterator[Handle]:
        """All that this handle changes within it, or nothing: after an exception its operations are taken back. With ``message`` it ends with a commit. Where another writer changed the
        repository meanwhile, nothing is taken back, and RefusedError says so: their work would go as well."""
        core, recorded = self._core, _Recorded(self._core)
        self._core = recorded  # type: ignore[assignment]
        try:
            yield self
            if message is not None:
                self.commit(message)
        except BaseException:
            recorded.take_back()
            raise
        finally:
            self._core = core


class _Recorded:
    """A handle that remembers which operations it made, and whether others made any meanwhile."""

    _WRITES = ("create_table", "execute", "insert", "insert_arrow", "set_key", "verb")

    def __init__(self, core: _dsv.Repository) -> None:
        self._core = core
        self._made: list[str] = []
        self._others = False
        self._before = self._newest(1)[0]

    def _newest(self, limit: int | None = None) -> list[str]:
        lines, _ = self._core.verb(words("operations", ["-n", str(limit)] if limit is not None else None))
        return [json.loads(line)["operation"] for line in lines.splitlines()]

    def _look(self, own: int) -> None:
        """Takes note of new operations, of which so many may be this handle's."""
        last = self._made[0] if self._made else self._before
        if self._newest(1) == [last]:
            return
        all_ = self._newest()
        new = all_[: all_.index(last)] if last in all_ else all_
        self._others = self._others or len(new) > own
        self._made = new + self._made

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._core, name)
        if name not in self._WRITES:
            return value

        def write(*arguments: Any, **named: Any) -> Any:
            self._look(0)
            try:
                return value(*arguments, **named)
            finally:
                self._look(1)

        return write

    def take_back(self) -> None:
        self._look(0)
        if self._others:
            raise RefusedError("the transaction cannot be taken back: another writer changed the repository meanwhile", ["ds.operations() lists what was done, ds.undo() takes back the last of it"])
        for operation in self._made:
            self._core.verb(["undo", operation])


class Repository(Handle):
    """A repository of tables. Made by :func:`dsv.init`, :func:`dsv.open`; one table is a :class:`Dataset`."""

    @property
    def branch_name(self) -> str | None:
        """The branch that this handle stays on, whatever is checked out; None where it goes along."""
        return self._core.branch

    def branch(self, name: str, revision: str | None = None) -> Repository:
        """Makes a branch and returns a handle that stays on it. Nothing is copied, and what is checked out stays checked out."""
        self._json("branch", names=[name, revision])
        return self.on_branch(name)

    def on_branch(self, name: str) -> Repository:
        """A handle that stays on a branch."""
        return Repository(shown(_dsv.Repository.open(self.path, name)))

    def __getitem__(self, name: str) -> Dataset:
        """A table, by its name."""
        return self.table(name)

    def __iter__(self) -> Iterator[str]:
        """The names of the tables."""
        return iter(self.tables())

    def __contains__(self, name: object) -> bool:
        return name in self.tables()

    def __repr__(self) -> str:
        return f"Repository({self.path!r}, branch={self.current_branch!r}, tables={self.tables()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopened, (self.path, self._core.branch))


def _message(message: str | None) -> str | None:
    return None if message is None else f"--message={message}"


def _network(endpoint: str | None, region: str | None) -> list[str]:
    return [word for name, value in [("--endpoint", endpoint), ("--region", region)] if value is not None for word in (name, value)]


def cloned(url: str, path: Path | None, branch: str | None, lazy: bool, endpoint: str | None, region: str | None) -> _dsv.Repository:
    """Clones what is at an address into a folder, by default one named as the address ends."""
    folder = os.fspath(path) if path is not None else url.rstrip("/").rpartition("/")[2]
    how = [*(["--branch", branch] if branch is not None else []), *(["--lazy"] if lazy else [])]
    words = ["clone", *_network(endpoint, region), *how, "--", url, folder]
    return _dsv.Repository.cloned(words, folder)


def _joined(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else ",".join(names)


def _reopened(path: str, branch: str | None) -> Repository:
    return Repository(_dsv.Repository.open(path, branch))


class Log(list[Line]):
    """Commits, newest first."""

    def _repr_html_(self) -> str:
        from .display import log_html

        return log_html(self)

    def __str__(self) -> str:
        return "\n".join(f"{line['commit'][:8]} {line['message'].splitlines()[0] if line['message'] else ''}" for line in self)

    __repr__ = __str__


class Diff(list[Line]):
    """Changes: of cells, rows, columns and tables. A notebook shows them with what was before and what is after, pictures as such."""

    def __init__(self, lines: Sequence[Line] = (), handle: Handle | None = None, words: Sequence[str] = ()) -> None:
        super().__init__(lines)
        self._handle, self._words = handle, list(words)

    def to_html(self, limit: int = 1000) -> str:
        """The changes as a page of its own, with at most so many rows of each table and kind."""
        if self._handle is None:
            raise UsageError("these changes are of no repository")
        with TemporaryDirectory() as folder:
            page = os.path.join(folder, "diff.html")
            self._handle._text("diff", ["--html", page, "-n", str(limit)], self._words)
            with open(page, encoding="utf-8") as file:
                return file.read()

    def _repr_html_(self) -> str:
        from .display import page_html

        return page_html(self.to_html(100))


__all__ = ["Diff", "Handle", "Line", "Log", "Path", "Repository", "speaks_arrow"]
