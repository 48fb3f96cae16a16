"""Make the errors that docstrings name under `Raises:` links to their reference, where no import names them either.

An extension of Griffe, which reads the code for the reference pages; mkdocs.yml names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import griffe
from typing_extensions import override

if TYPE_CHECKING:
    from griffe import Module


class LinkErrors(griffe.Extension):
    """Let every module of a package see the names that the package's `errors` module exports."""

    @override
    def on_package(self, *, pkg: Module, **_kwargs: Any) -> None:
        """Add the names to the package, where a module of it looks last."""
        errors = pkg.members.get("errors")
        if isinstance(errors, griffe.Module):
            for name in errors.exports or ():
                if isinstance(name, str) and name not in pkg.members:
                    pkg.set_member(name, griffe.Alias(name, f"{errors.path}.{name}"))
