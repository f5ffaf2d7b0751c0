"""What can go wrong. All errors of dsv are :class:`DsvError`; each says in a line what is wrong, and in ``hints`` what to do about it."""

from __future__ import annotations


class DsvError(Exception):
    """An error of dsv.

    ``hints`` has a line for each thing that may help; they are part of ``str(error)``.
    """

    def __init__(self, message: str, hints: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hints: list[str] = list(hints or [])

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"hint: {hint}" for hint in self.hints)])


class UsageError(DsvError, ValueError):
    """Wrong use: a name, a type, a query or an option that cannot be. Nothing was changed."""


class NotFoundError(UsageError, LookupError):
    """A table, column, row, branch or revision that is not there; the hints name what comes near it."""


class RefusedError(DsvError):
    """The answer is no: nothing to commit, conflicts that are to be settled first, a check that is broken, another writer who was faster."""


class RepositoryError(DsvError):
    """The repository, a file or the data is at fault: damaged, full, not readable."""
