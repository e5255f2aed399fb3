r"""Concrete specs: their text becomes nodes, and every distinct piece of text is parsed once.

A study holds hundreds of thousands of node texts, but only some ten thousand distinct ones, of
only a few thousand distinct sections, and a general YAML parser takes half a millisecond for a
node. So a spec is cut at its nodes and a node at its sections where that is provably safe, and
every distinct section goes through the parser once.

Why the cut is safe: the header is exactly the expected one, every node starts with
``  - name: `` and all its other lines are indented by four or more. `_NODE` lets a line hold
nothing but ``key:``, ``key: scalar`` or ``- scalar`` in an alphabet without quotes that span
lines, flow collections other than ``[]``, comments, anchors, tags, block scalars, tabs or line
breaks other than ``\n``. So no token crosses a line's end but a plain scalar that goes on in
deeper lines, and at a line of a node's indent (or at a key of a section's indent) YAML closes all
that the lines above have opened. The parser's state where a node (or a section) starts is
therefore always the same, and parsing the pieces one by one gives what parsing the whole gives.
Any other text is parsed whole.
"""

import json
import re
from pathlib import PurePosixPath
from typing import NamedTuple

import yaml

_HEADER = b"spec:\n  _meta:\n    version: 2\n  nodes:\n"
_START = b"  - name: "
_TEXT = rb"(?:[A-Za-z0-9_/][A-Za-z0-9_./+-]*|'[A-Za-z0-9_./+ -]*')"
_VALUE = rb"(?:" + _TEXT + rb"|\[\])"
_KEY = rb"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}"
_LINE = rb" {4,40}(?:(?:- )?" + _KEY + rb":(?: " + _VALUE + rb")?|- " + _VALUE + rb")"
_NODE = re.compile(_TEXT + rb"(?:\n" + _LINE + rb")*")
_SECTION = re.compile(rb"\n(?=    [A-Za-z0-9_])")
_SCALAR = re.compile(rb"    (" + _KEY + rb"): (" + _TEXT + rb")")
_DEPENDENCIES = re.compile(
    rb"    dependencies:(?:\n    - name: "
    + _TEXT
    + rb"(?:\n      "
    + _KEY
    + rb": "
    + _TEXT
    + rb")*"
    rb"\n      type:(?:\n      - " + _TEXT + rb")+)+"
)

_DEEPEST = 50  # a spec nests nine levels deep

SUFFIXES = (".yaml", ".yml", ".json")


class SpecError(ValueError):
    """A spec that can't be read; the message is one line that says where and why."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Node(NamedTuple):
    """One package inside a concrete spec; None stands for what the spec does not say."""

    node: str
    version: str
    compiler: str | None
    compiler_version: str | None
    target: str | None
    os: str | None
    platform: str | None
    variants: str  # a JSON object of texts, keys sorted


class SpecReader:
    """Reads concrete specs and remembers every node that it has met.

    Attributes
    ----------
    nodes : list of Node
        The distinct nodes met so far; a spec is read as indices into this list.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._of_node: dict[Node, int] = {}
        self._of_text: dict[bytes, int] = {}
        self._sections: dict[bytes, tuple[str, object]] = {}

    def read(self, name: str, text: bytes) -> list[int]:
        """Read one concrete spec.

        Parameters
        ----------
        name : str
            The file's name; its ending tells JSON from YAML.
        text : bytes
            The file's content: ``spec: {nodes: [...]}``, the root node first.

        Returns
        -------
        list of int
            Where its nodes stand in `nodes`, in the order of the spec.

        Raises
        ------
        SpecError
            If the text is neither, or a node has no name or version.
        """
        json_text = PurePosixPath(name).suffix == ".json"
        texts = None if json_text else _cut(text)
        if texts is not None:
            known = self._of_text
            try:
                return [known[node] for node in texts]
            except KeyError:
                if all(node in known or self._learn(node) for node in texts):
                    return [known[node] for node in texts]
        document = _load_json(text) if json_text else _load_yaml(text)
        return [self._index(entry) for entry in _entries(document)]

    def _learn(self, text: bytes) -> bool:
        """Parse the text of a node never met; False if it must not be parsed apart."""
        if not _NODE.fullmatch(text):
            return False
        name, *sections = _SECTION.split(text)
        if b"\n" in name:
            return False
        try:
            entry = dict(map(self._section, sections))
            self._of_text[text] = self._index({"name": _unquoted(name)} | entry)
        except (yaml.YAMLError, SpecError):
            return False  # the whole spec is parsed and says what is wrong, and where
        return True

    def _section(self, text: bytes) -> tuple[str, object]:
        """Key and value of one section of a node; those that no node keeps are not parsed."""
        if scalar := _SCALAR.fullmatch(text):
            return scalar[1].decode(), _unquoted(scalar[2])
        if _DEPENDENCIES.fullmatch(text):
            return "dependencies", None
        if text not in self._sections:
            ((key, value),) = yaml.load(text, Loader=yaml.CBaseLoader).items()
            self._sections[text] = key, value
        return self._sections[text]

    def _index(self, entry: object) -> int:
        node = _node(entry)
        index = self._of_node.setdefault(node, len(self.nodes))
        if index == len(self.nodes):
            self.nodes.append(node)
        return index


def _cut(text: bytes) -> list[bytes] | None:
    """The texts of a spec's nodes, or None if the spec is not of the expected form."""
    if not (text.startswith(_HEADER + _START) and text.endswith(b"\n")):
        return None
    return text[len(_HEADER) + len(_START) : -1].split(b"\n" + _START)


def _unquoted(scalar: bytes) -> str:
    return scalar.strip(b"'").decode()


def _load_yaml(text: bytes) -> object:
    """Parse YAML with every scalar as the text that stands there (1.10 stays 1.10).

    The events are looked through first, as they come without recursion: nesting that would
    exhaust the stack and aliases that would multiply never reach the composer.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise SpecError(f"line {event.start_mark.line + 1}: nested too deeply for a spec")
            if isinstance(event, yaml.AliasEvent):
                raise SpecError(f"line {event.start_mark.line + 1}: aliases are not read")
        return yaml.load(text, Loader=yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SpecError(f"{where}not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"not YAML: {error}") from None


def _load_json(text: bytes) -> object:
    """Parse JSON with every number as the text that stands there."""
    try:
        document = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError(f"{where}: not JSON: {error.msg}") from None
    except (UnicodeError, RecursionError) as error:
        raise SpecError(f"not JSON: {error}") from None
    level = [document]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise SpecError("nested too deeply for a spec")
    return document


def _entries(document: object) -> list:
    nodes = document.get("spec") if isinstance(document, dict) else None
    nodes = nodes.get("nodes") if isinstance(nodes, dict) else None
    if not isinstance(nodes, list) or not nodes:
        raise SpecError("expected `spec: nodes: [...]` with at least one node")
    return nodes


def _node(entry: object) -> Node:
    if not isinstance(entry, dict):
        raise SpecError(f"a node is {type(entry).__name__}, expected a mapping")
    name, version = entry.get("name"), entry.get("version")
    for key, value in (("name", name), ("version", version)):
        if not isinstance(value, str) or not value:
            raise SpecError(f"node {name!r} has no {key}")
    arch, compiler = _mapping(entry, "arch"), _mapping(entry, "compiler")
    target = arch.get("target")
    return Node(
        name,
        version,
        _filled(compiler.get("name")),
        _filled(compiler.get("version")),
        _filled(target.get("name") if isinstance(target, dict) else target),
        _filled(arch.get("platform_os")),
        _filled(arch.get("platform")),
        json.dumps(
            {key: _flat(value) for key, value in sorted(_mapping(entry, "parameters").items())}
        ),
    )


def _mapping(entry: dict, key: str) -> dict:
    value = entry.get(key)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise SpecError(f"{key} of node {entry['name']!r} is not a mapping")
    return value


def _filled(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _flat(value: object) -> str:
    """A variant's value as one text; JSON and YAML agree: true, false, null."""
    if isinstance(value, list):
        return ",".join(map(_flat, value))
    value = _texts(value)
    return value if isinstance(value, str) else json.dumps(value)


def _texts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)
