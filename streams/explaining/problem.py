"""Why a customer can't be explained."""

from __future__ import annotations


class ExplainError(Exception):
    """A message that a user can act on; it names the file and line, or the address."""
