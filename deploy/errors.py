"""What a user sees when a file can't be made or can't be trusted; always one line."""

from __future__ import annotations

from supernet.values import UserError


class DeployError(UserError, ValueError):
    """The one class a caller must catch."""


class ExportError(DeployError):
    """A module that can't be turned into a file, or a file that can't be written."""


class PackageError(DeployError):
    """A file or folder that is not what its name says, or holds what the evaluator doesn't know."""
