"""Make what the reference pages show of signatures and docstrings readable to those who do not see the module.

Extensions of Griffe, which reads the code for the reference pages; mkdocs.yml names this file.
"""

from __future__ import annotations

import ast
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import griffe
from typing_extensions import override

if TYPE_CHECKING:
    from griffe import Module


class LinkErrors(griffe.Extension):
    """Let every module of a package see the names that the package's `errors` module exports.

    So the errors that docstrings name under `Raises:` become links, where no import names them either.
    """

    @override
    def on_package(self, *, pkg: Module, **_kwargs: Any) -> None:
        """Add the names to the package, where a module of it looks last."""
        errors = pkg.members.get("errors")
        if isinstance(errors, griffe.Module):
            for name in errors.exports or ():
                if isinstance(name, str) and name not in pkg.members:
                    pkg.set_member(name, griffe.Alias(name, f"{errors.path}.{name}"))


class ShowValues(griffe.Extension):
    """Write a private constant or type in a signature as what it stands for, and a field as it is described."""

    @override
    def on_package(self, *, pkg: Module, **_kwargs: Any) -> None:
        """Look through what the package has."""
        self._look_through(pkg)

    def _look_through(self, whole: griffe.Object) -> None:
        for member in whole.members.values():
            if isinstance(member, griffe.Function):
                for function in (member, *(member.overloads or ())):
                    function.returns = _shown(function.returns, member.module)
                    for parameter in function.parameters:
                        parameter.annotation = _shown(parameter.annotation, member.module)
                        parameter.default = _shown(parameter.default, member.module)
            elif isinstance(member, griffe.Attribute):
                member.annotation = _shown(member.annotation, member.module)
                member.value = _shown(member.value, member.module)
                _describe(member)
            elif isinstance(member, griffe.Object):
                self._look_through(member)


def _describe(member: griffe.Attribute) -> None:
    """Let a field of a model say what its description says, and have the default that it has."""
    call = member.value
    if not isinstance(call, griffe.ExprCall) or str(call.function) != "Field":
        return
    given = {one.name: one.value for one in call.arguments if isinstance(one, griffe.ExprKeyword)}
    if "description" in given and not member.docstring:
        member.docstring = griffe.Docstring(ast.literal_eval(str(given["description"])), parent=member)
        member.value = given.get("default")


def _shown(expression: Any, module: Module) -> Any:
    """Replace the private names in an expression by their values."""
    if isinstance(expression, list):
        return [_shown(one, module) for one in expression]
    if isinstance(expression, griffe.ExprName) and expression.name.startswith("_"):
        constant = module.members.get(expression.name)
        value = constant.value if isinstance(constant, griffe.Attribute) else None
        if isinstance(value, griffe.ExprSubscript) and str(value.left) == "Annotated":  # how it is read is no concern
            return value.slice.elements[0] if isinstance(value.slice, griffe.ExprTuple) else value
        return expression if value is None or "TypeVar" in str(value) else value
    if isinstance(expression, griffe.Expr) and not isinstance(expression, griffe.ExprName):
        for part in fields(expression):
            setattr(expression, part.name, _shown(getattr(expression, part.name), module))
    return expression
