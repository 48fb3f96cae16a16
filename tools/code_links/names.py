"""What each name in a Python file stands for, as far as its imports, annotations and calls tell.

This is no type checker: where it is not sure, it says nothing, and a name gets no link. What it says is held against
what mypy infers by a test.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import griffe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tools.code_links.reference import Reference

__all__ = ["Found", "Shared", "names_of"]

_AWAITED = frozenset(
    f"{module}.{name}" for module in ("typing", "collections.abc") for name in ("Awaitable", "Coroutine")
)
_ITERATED = frozenset(
    f"{module}.{name}"
    for module in ("typing", "collections.abc")
    for name in ("AsyncGenerator", "AsyncIterator", "AsyncIterable", "Generator", "Iterator", "Iterable", "Sequence")
) | {"list", "tuple", "set", "frozenset"}
_MANAGERS = frozenset({"contextlib.AbstractAsyncContextManager", "contextlib.AbstractContextManager"})
_ENTERED = frozenset({"contextlib.asynccontextmanager", "contextlib.contextmanager"})


_LITERALS: dict[type[ast.expr], str] = {ast.Dict: "dict", ast.JoinedStr: "str", ast.List: "list", ast.Set: "set"}


class Found(NamedTuple):
    """A name in a file.

    Attributes:
        line: Its line, from 1.
        column: Where it begins on that line, in characters from 0.
        text: How it is written.
        path: Where what it stands for is defined, or where an inventory has it.
        owner: For an attribute without an entry of its own, the class that describes it.
    """

    line: int
    column: int
    text: str
    path: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class _Thing:
    """What an expression gives.

    Attributes:
        path: The module, class or function; of an instance, its class.
        kind: Which of them.
        arguments: Of an instance, those of its class, such as what an awaitable gives.
        receiver: Of a method, the class that it was taken from.
    """

    path: str
    kind: str = "instance"
    arguments: tuple[_Thing | None, ...] = ()
    receiver: str | None = None


class _Own(NamedTuple):
    """A class or a function that the examples define, with the text of its file."""

    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    scope: _Scope
    lines: list[str]


class _Scope:
    """Names that are known at a place."""

    def __init__(self, parent: _Scope | None = None) -> None:
        self.parent = parent
        self.things: dict[str, _Thing | None] = {}

    def find(self, name: str) -> _Thing | None:
        """Find a name here or around."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.things:
                return scope.things[name]
            scope = scope.parent
        return (
            _Thing(name, "class" if isinstance(getattr(builtins, name, None), type) else "function")
            if (hasattr(builtins, name))
            else None
        )


class Shared:
    """What the examples import from each other: each module is read once.

    Args:
        folder: Where their imports begin.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing is read yet."""
        self.own: dict[str, _Own] = {}
        self._folder = folder
        self._modules: dict[str, _Scope | None] = {}

    def module(self, name: str, reference: Reference) -> _Scope | None:
        """Read a module of the examples; `None` where it is not one of them."""
        if name not in self._modules:
            self._modules[name] = None  # while it is read, should it import itself by a detour
            place = self._folder / name.replace(".", "/") if self._folder else None
            files = (place.with_suffix(".py"), place / "__init__.py") if place else ()
            file = next((one for one in files if one.exists()), None)
            if file:
                source = file.read_text()
                scope = _Scope()
                _Reader(reference, source.splitlines(), self, name).read(ast.parse(source).body, scope, deep=False)
                self._modules[name] = scope
        return self._modules[name]


def names_of(source: str, reference: Reference, shared: Shared | None = None) -> list[Found]:
    """Find the names in a file that have an entry in the reference.

    Args:
        source: The file's text.
        reference: What has one.
        shared: The examples, where it may import from others of them.
    """
    reader = _Reader(reference, source.splitlines(), shared or Shared(), "file")
    reader.read(ast.parse(source).body, _Scope())
    return sorted(set(reader.found))


class _Reader:
    """Reads a file from top to bottom, as Python does; bodies of functions after the rest, which they may use."""

    def __init__(self, reference: Reference, lines: list[str], shared: Shared, module: str) -> None:
        self.reference = reference
        self.found: list[Found] = []
        self._lines = lines
        self._shared = shared
        self._module = module
        self._own = shared.own

    # -- statements ----------------------------------------------------------------------------------------------

    def read(self, body: Sequence[ast.stmt], scope: _Scope, *, deep: bool = True) -> None:
        """Read statements; the bodies of functions unless it is only asked what there is."""
        later: list[Callable[[], None]] = []
        for statement in body:
            self._statement(statement, scope, later)
        for one in later if deep else ():
            one()

    def _statement(self, node: ast.stmt, scope: _Scope, later: list[Callable[[], None]]) -> None:  # noqa: C901, PLR0912, PLR0915 - a case for each kind
        match node:
            case ast.Import():
                self._import(node, scope)
            case ast.ImportFrom(module=str(module), level=0):
                self._import_from(node, module, scope)
            case ast.ClassDef():
                self._class(node, scope, later)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                decorators = [self.infer(one, scope) for one in node.decorator_list]
                inner = self._parameters(node.args, scope)
                if node.returns:
                    self.infer(node.returns, scope)
                scope.things[node.name] = self._remember(node, scope)
                if decorators and decorators[0] and decorators[0].path == "collections.abc.Callable":
                    scope.things[node.name] = decorators[0].arguments[-1]  # what the decorator makes of it
                later.append(lambda: self.read(node.body, inner))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                for one, given in zip(targets, [self.infer(one, scope) for one in values], strict=True):
                    self._bind(one, given, scope)
            case ast.Assign():
                value = self.infer(node.value, scope)
                for target in node.targets:
                    self._bind(target, value, scope)
            case ast.AnnAssign():
                declared = self.annotation(node.annotation, scope)
                if node.value:
                    self.infer(node.value, scope)
                self._bind(node.target, declared, scope)
            case ast.Assert(test=ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), asserted])):
                self.infer(node.test, scope)
                scope.things[name] = _instance(self.infer(asserted, scope))
            case ast.For() | ast.AsyncFor():
                self._bind(node.target, self._item(self.infer(node.iter, scope)), scope)
                self._all([*node.body, *node.orelse], scope, later)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    entered = self._entered(self.infer(item.context_expr, scope))
                    if item.optional_vars:
                        self._bind(item.optional_vars, entered, scope)
                self._all(node.body, scope, later)
            case ast.Try() | ast.TryStar():
                self._all(node.body, scope, later)
                for handler in node.handlers:
                    kind = self.infer(handler.type, scope) if handler.type else None
                    if handler.name:
                        scope.things[handler.name] = _instance(kind)
                    self._all(handler.body, scope, later)
                self._all([*node.orelse, *node.finalbody], scope, later)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.stmt):
                        self._statement(child, scope, later)
                    elif isinstance(child, ast.expr):
                        self.infer(child, scope)
                    elif isinstance(child, ast.match_case):
                        self._all(child.body, scope, later)

    def _all(self, body: Iterable[ast.stmt], scope: _Scope, later: list[Callable[[], None]]) -> None:
        for one in body:
            self._statement(one, scope, later)

    def _import(self, node: ast.Import, scope: _Scope) -> None:
        for one in node.names:
            self._note(one.lineno, one.col_offset, one.name, one.name)
            head = one.name.partition(".")[0]
            scope.things[one.asname or head] = _Thing(one.name if one.asname else head, "module")

    def _import_from(self, node: ast.ImportFrom, module: str, scope: _Scope) -> None:
        line = self._lines[node.lineno - 1]
        self._note(node.lineno, len(line[: line.index("from", node.col_offset) + 5]), module, module)
        other = self._shared.module(module, self.reference)
        for one in node.names:
            thing = other.things.get(one.name) if other else self._member(_Thing(module, "module"), one.name)
            scope.things[one.asname or one.name] = thing
            if thing:
                self._note(one.lineno, one.col_offset, one.name, thing.path)

    def _class(self, node: ast.ClassDef, scope: _Scope, later: list[Callable[[], None]]) -> None:
        for one in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.infer(one, scope)
        inner = _Scope(scope)
        thing = scope.things[node.name] = self._remember(node, scope)
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.args.args:
                first = statement.args.args[0].arg
                methods: list[Callable[[], None]] = []
                self._statement(statement, inner, methods)
                later += [_with_self(method, inner, first, thing) for method in methods]
            else:
                self._statement(statement, inner, later)

    def _remember(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> _Thing:
        path = f"<{self._module}>.{node.name}@{node.lineno}"
        self._own[path] = _Own(node, scope, self._lines)
        return _Thing(path, "class" if isinstance(node, ast.ClassDef) else "function")

    def _parameters(self, given: ast.arguments, scope: _Scope) -> _Scope:
        inner = _Scope(scope)
        for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            inner.things[one.arg] = self.annotation(one.annotation, scope) if one.annotation else None
        for several in filter(None, (given.vararg, given.kwarg)):
            inner.things[several.arg] = None
            if several.annotation:
                self.infer(several.annotation, scope)
        for default in (*given.defaults, *given.kw_defaults):
            if default:
                self.infer(default, scope)
        return inner

    def _bind(self, target: ast.expr, thing: _Thing | None, scope: _Scope) -> None:
        if isinstance(target, ast.Name):
            scope.things[target.id] = thing
        elif isinstance(target, (ast.Tuple, ast.List)):
            for one in target.elts:
                self._bind(one, None, scope)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, None, scope)
        else:
            self.infer(target, scope)

    # -- expressions ---------------------------------------------------------------------------------------------

    def infer(self, node: ast.expr, scope: _Scope) -> _Thing | None:  # noqa: C901, PLR0911, PLR0912 - a case a kind
        """Find out what an expression gives, and note the names in it."""
        match node:
            case ast.Name():
                thing = scope.find(node.id)
                if thing and thing.kind != "instance":
                    self._note(node.lineno, self._column(node.lineno, node.col_offset), node.id, thing.path)
                return thing.arguments[0] or thing if thing and thing.kind == "attribute" else thing
            case ast.Attribute():
                return self._attribute(node, scope)
            case ast.Call():
                called = self.infer(node.func, scope)
                for one in (*node.args, *(keyword.value for keyword in node.keywords)):
                    self.infer(one, scope)
                return self._called(called)
            case ast.Await():
                return self._awaited(self.infer(node.value, scope))
            case ast.Subscript():
                whole = self.infer(node.value, scope)
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                first, *_ = [self.infer(one, scope) for one in parts]
                if whole and whole.path == "typing.Annotated":
                    return first
                return whole if whole and whole.kind == "class" else None
            case ast.NamedExpr():
                value = self.infer(node.value, scope)
                self._bind(node.target, value, scope)
                return value
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._inner(node, scope)
                return None
            case ast.Constant(value=str() | bytes()):
                return _Thing(type(node.value).__name__)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.infer(child, scope)
                return _Thing(_LITERALS[type(node)]) if type(node) in _LITERALS else None

    def _inner(
        self, node: ast.Lambda | ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: _Scope
    ) -> None:
        """Note the names in an expression that has names of its own."""
        if isinstance(node, ast.Lambda):
            self.infer(node.body, self._parameters(node.args, scope))
            return
        inner = _Scope(scope)
        for one in node.generators:
            self._bind(one.target, self._item(self.infer(one.iter, inner)), inner)
            for condition in one.ifs:
                self.infer(condition, inner)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.infer(part, inner)

    def _attribute(self, node: ast.Attribute, scope: _Scope) -> _Thing | None:
        whole = self.infer(node.value, scope)
        if whole is None or node.end_lineno is None or node.end_col_offset is None:
            return None
        thing = self._member(whole, node.attr)
        if thing is None:
            return None
        line = self._lines[node.end_lineno - 1].encode()[: node.end_col_offset].decode()
        column = len(line) - len(node.attr)
        if thing.kind == "attribute":
            self._note(node.end_lineno, column, node.attr, thing.path, thing.receiver)
            return thing.arguments[0]
        self._note(node.end_lineno, column, node.attr, thing.path)
        return self._property(thing)

    def _member(self, whole: _Thing, name: str) -> _Thing | None:  # noqa: PLR0911 - each says what is found
        """Find a member of a module, a class or an instance."""
        if whole.kind == "function":
            return None
        own = self._own.get(whole.path)
        if own:
            return self._member_of_own(own, whole, name)
        found = self.reference.find(whole.path)
        if found is None:
            bases = self.reference.libraries.get(whole.path, {}).get("bases", ())
            several = (self._elsewhere(f"{one}.{name}", whole.path) for one in (whole.path, *bases))
            return next(filter(None, several), None)
        member = found.members.get(name) if found.is_module else _inherited(found, name)
        if member is None:
            classes = [found, *found.mro()] if isinstance(found, griffe.Class) else []
            bases = [base for one in classes for base in one.bases]
            paths = [path for one in bases if (path := self._path_of(getattr(one, "left", one)))]
            return next(filter(None, (self._elsewhere(f"{one}.{name}", whole.path) for one in paths)), None)
        if member.is_module and name in (found.exports or ()):  # what a package exports hides a module of that name
            member = member.members.get(name, member)
        try:
            target = member.final_target if isinstance(member, griffe.Alias) else member
        except (griffe.AliasResolutionError, griffe.CyclicAliasError):
            path = member.target_path if isinstance(member, griffe.Alias) else member.path
            return self._elsewhere(path)
        receiver = whole.path if not found.is_module else None
        if target.is_module or target.is_class:
            return _Thing(target.canonical_path, "module" if target.is_module else "class")
        if isinstance(target, griffe.Function):
            return _Thing(target.canonical_path, "function", receiver=receiver)
        thing = self._of_annotation(getattr(target, "annotation", None), receiver)
        return _Thing(
            target.canonical_path, "attribute", (thing,), target.parent.canonical_path if target.parent else None
        )

    def _member_of_own(self, own: _Own, whole: _Thing, name: str) -> _Thing | None:
        """Find a member of a class of the examples: its own, or one that it inherits."""
        if not isinstance(own.node, ast.ClassDef):
            return None
        quiet = self._aside(own)
        for statement in own.node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == name:
                path = f"{whole.path}.{name}"
                self._own[path] = _Own(statement, own.scope, own.lines)
                return _Thing(path, "function", receiver=whole.path)
            if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", None) == name:
                return _Thing("<attribute>", "attribute", (quiet.annotation(statement.annotation, own.scope),))
            if any(getattr(target, "id", None) == name for target in getattr(statement, "targets", [])):
                return None
        for base in own.node.bases:
            inherited = quiet.infer(base, own.scope)
            if inherited and inherited.kind == "class":
                found = self._member(_Thing(inherited.path, whole.kind), name)
                if found:
                    return found
        return None

    def _elsewhere(self, path: str, receiver: str | None = None) -> _Thing | None:
        """Find out what a path of another library is."""
        about = self.reference.libraries.get(path, {})
        if "is" in about:
            return self._elsewhere(about["is"], receiver)
        role = self.reference.roles.get(path, "")
        kinds = {"py:module": "module", "py:class": "class", "py:exception": "class"}
        if role in {"py:attribute", "py:data", "py:property"}:
            return _Thing(path, "attribute", (self._of_text(about.get("gives"), receiver),))
        if not role and not about and path not in self.reference.modules:
            return None
        return _Thing(path, kinds.get(role, "function" if role or about else "module"), receiver=receiver)

    def _of_text(self, written: str | None, receiver: str | None) -> _Thing | None:
        """Read a type as `libraries.json` has it."""
        if written is None or written == "None":
            return None
        if written == "Self":
            return _Thing(receiver) if receiver else None
        node = ast.parse(written, mode="eval").body
        if isinstance(node, ast.Subscript):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            arguments = tuple(self._of_text(ast.unparse(one), receiver) for one in inner)
            return _Thing(ast.unparse(node.value), "instance", arguments)
        return _Thing(written)

    def _called(self, called: _Thing | None) -> _Thing | None:
        """Find out what a call gives."""
        if called is None or called.kind not in {"class", "function"}:
            return None
        if called.kind == "class":
            return _Thing(called.path)
        own = self._own.get(called.path)
        if own:
            return self._called_own(own)
        found = self.reference.find(called.path)
        if not isinstance(found, griffe.Function):
            about = self.reference.libraries.get(called.path, {})
            return self._of_text(about.get("gives"), called.receiver) if found is None else None
        given = self._of_annotation(found.returns, called.receiver)
        if any(self._path_of(one.value) in _ENTERED for one in found.decorators):
            return _Thing("<entered>", "instance", (self._item(given),))
        return _Thing("typing.Awaitable", "instance", (given,)) if "async" in found.labels else given

    def _called_own(self, own: _Own) -> _Thing | None:
        node = own.node
        if isinstance(node, ast.ClassDef) or node.returns is None:
            return None
        quiet = self._aside(own)
        given = quiet.annotation(node.returns, own.scope)
        for one in node.decorator_list:
            decorator = quiet.infer(one, own.scope)
            if decorator and decorator.path in _ENTERED:
                return _Thing("<entered>", "instance", (self._item(given),))
            if decorator and decorator.path not in {"classmethod", "staticmethod"}:
                return None
        return _Thing("typing.Awaitable", "instance", (given,)) if isinstance(node, ast.AsyncFunctionDef) else given

    def _property(self, thing: _Thing) -> _Thing | None:
        """Follow a property to what it gives."""
        own = self._own.get(thing.path)
        if own and any(getattr(one, "id", None) == "property" for one in own.node.decorator_list):
            returns = getattr(own.node, "returns", None)
            return self._aside(own).annotation(returns, own.scope) if returns else None
        found = self.reference.find(thing.path)
        if isinstance(found, griffe.Function) and "property" in found.labels:
            return self._of_annotation(found.returns, thing.receiver)
        return thing

    def _entered(self, thing: _Thing | None) -> _Thing | None:
        """Find out what a context manager gives to its block."""
        if thing is None:
            return None
        if thing.path == "<entered>" or (thing.path in _MANAGERS and thing.arguments):
            return thing.arguments[0]
        for name in ("__aenter__", "__enter__"):
            method = self._member(thing, name) if thing.kind == "instance" else None
            if method:
                given = self._called(method)
                return self._awaited(given) if name == "__aenter__" else given
        return None

    def _awaited(self, thing: _Thing | None) -> _Thing | None:
        """Find out what an awaitable gives."""
        if thing is None or thing.kind != "instance":
            return None
        if thing.path in _AWAITED:
            return thing.arguments[-1] if thing.arguments else None
        method = self._member(thing, "__await__")
        waiting = self._called(method) if method else None
        return waiting.arguments[-1] if waiting and waiting.arguments else None

    @staticmethod
    def _item(thing: _Thing | None) -> _Thing | None:
        """Find out what iterating gives."""
        return thing.arguments[0] if thing and thing.path in _ITERATED and thing.arguments else None

    # -- annotations ---------------------------------------------------------------------------------------------

    def annotation(self, node: ast.expr, scope: _Scope) -> _Thing | None:
        """Read an annotation of the file."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return None
        if isinstance(node, ast.BinOp):
            sides = [self.annotation(side, scope) for side in (node.left, node.right)]
            options = [side for side in sides if side]
            none = any(isinstance(side, ast.Constant) and side.value is None for side in (node.left, node.right))
            return options[0] if len(options) == 1 and none else None
        if isinstance(node, ast.Subscript):
            taken = self.infer(node.value, scope)
            whole = _instance(taken)
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            arguments = tuple(self.annotation(one, scope) for one in inner)
            if taken and taken.path in {"typing.Annotated", "typing.Optional", "typing.ClassVar"}:
                return arguments[0]
            return _Thing(whole.path, "instance", arguments) if whole else None
        return _instance(self.infer(node, scope)) if isinstance(node, (ast.Name, ast.Attribute)) else None

    def _of_annotation(self, annotation: Any, receiver: str | None) -> _Thing | None:  # noqa: PLR0911 - as above
        """Read an annotation of the library."""
        if isinstance(annotation, griffe.ExprSubscript):
            whole = self._of_annotation(annotation.left, receiver)
            inner = annotation.slice
            parts = inner.elements if isinstance(inner, griffe.ExprTuple) else [inner]
            arguments = tuple(self._of_annotation(one, receiver) for one in parts)
            return _Thing(whole.path, "instance", arguments) if whole else None
        if isinstance(annotation, griffe.ExprBinOp):
            if "None" not in {str(annotation.left), str(annotation.right)}:
                return None
            other = annotation.left if str(annotation.right) == "None" else annotation.right
            return self._of_annotation(other, receiver)
        path = self._path_of(annotation)
        if path in {"typing.Self", "typing_extensions.Self"}:
            return _Thing(receiver) if receiver else None
        if path is None:
            return None
        found = self.reference.find(path)
        if found is not None:
            return _Thing(found.canonical_path) if found.is_class else self._of_variable(path, receiver)
        return _Thing(path) if "." in path or hasattr(builtins, path) else None

    def _of_variable(self, path: str, receiver: str | None) -> _Thing | None:
        """Find out what a class puts in the place of a type variable of its base, as in `class Ints(Many[int])`."""
        found = self.reference.find(receiver) if receiver else None
        for base in found.bases if isinstance(found, griffe.Class) else ():
            if not isinstance(base, griffe.ExprSubscript):
                continue
            generic = self.reference.find(self._path_of(base.left) or "")
            for variables in generic.bases if isinstance(generic, griffe.Class) else ():
                if isinstance(variables, griffe.ExprSubscript) and self._path_of(variables.slice) == path:
                    return self._of_annotation(base.slice, receiver)
        return None

    @staticmethod
    def _path_of(expression: Any) -> str | None:
        return expression.canonical_path if isinstance(expression, (griffe.ExprName, griffe.ExprAttribute)) else None

    def _aside(self, own: _Own) -> _Reader:
        """Make a reader of another place in the examples, whose notes are not wanted."""
        return _Reader(self.reference, own.lines, self._shared, self._module)

    # -- notes ---------------------------------------------------------------------------------------------------

    def _column(self, line: int, offset: int) -> int:
        """Turn an offset in bytes, as Python counts, into characters."""
        return len(self._lines[line - 1].encode()[:offset].decode())

    def _note(self, line: int, column: int, text: str, path: str, owner: str | None = None) -> None:
        if not path.startswith("<"):
            self.found.append(Found(line, column, text, path, owner))


def _instance(thing: _Thing | None) -> _Thing | None:
    return _Thing(thing.path) if thing and thing.kind == "class" else None


def _inherited(found: griffe.Object, name: str) -> griffe.Object | griffe.Alias | None:
    """Find a member of a class, or of one that it derives from."""
    if not isinstance(found, griffe.Class):
        return None
    if name in found.members:
        return found.members[name]
    for base in found.mro():
        if name in base.members:
            return base.members[name]
    return None


def _with_self(read: Callable[[], None], scope: _Scope, name: str, thing: _Thing) -> Callable[[], None]:
    """Let a method know its `self` while its body is read."""

    def go() -> None:
        scope.things[name] = _Thing(thing.path)
        read()
        del scope.things[name]

    return go
