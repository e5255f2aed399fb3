"""Checks a study's config against `config/schema.yaml` and completes it; writes the manual.

The schema is the one place where a key stands with its meaning, bounds and default.
``python -m prism.config`` prints ``config/README.md`` with the manual of every key made anew.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from prism.errors import InputError

Schema = Mapping[str, Any]

FOLDER = Path(__file__).parents[2] / "config"
MARKERS = (
    "<!-- manual of every key, from schema.yaml: make docs -->",
    "<!-- end of the manual -->",
)


def complete(config: Mapping[str, Any], schema: Schema, name: str) -> dict[str, Any]:
    """Check a config and fill in the defaults.

    Parameters
    ----------
    config : mapping
        As Snakemake read it; it is not changed. Text where a number is wanted is read as a number,
        because nested values of ``--config`` arrive as text.
    schema : mapping
        What `config/schema.yaml` holds.
    name : str
        The config file or files, for messages.

    Returns
    -------
    dict
        Every key of the schema that applies, in the schema's order.

    Raises
    ------
    prism.errors.InputError
        One line: ``config error: <name>: <place>: <what was expected>``.

    Examples
    --------
    >>> import yaml
    >>> schema = yaml.safe_load((FOLDER / "schema.yaml").read_text())
    >>> study = {"study": "mine", "records": {"generate": {}}, "rounds": {"orders": "3"}}
    >>> complete(study, schema, "mine.yaml")["rounds"]
    {'orders': 3, 'per_job': 1}
    >>> complete(study | {"clusters": {"cuont": 7}}, schema, "mine.yaml")
    Traceback (most recent call last):
        ...
    prism.errors.InputError: config error: mine.yaml: clusters.cuont: unknown key; did you mean 'count'?
    """  # noqa: E501
    filled = _fill(config, schema)
    errors = list(_leaves(Draft202012Validator(schema).iter_errors(filled)))
    if errors:  # a misspelt key first: it may be the reason for the others
        error = min(errors, key=lambda error: error.validator != "additionalProperties")
        raise InputError(f"config error: {name}: {_say(error, schema)}")
    names = [source["name"] for source in filled["records"].get("sources", ()) if "name" in source]
    for source in names:
        if names.count(source) > 1:
            raise InputError(
                f"config error: {name}: records.sources: expected a name of its own for every "
                f"source, found {source!r} {names.count(source)} times"
            )
    return filled


def _fill(value: Any, schema: Schema) -> Any:  # noqa: ANN401
    """`value` with defaults and read numbers; what does not fit the schema is left as it is."""
    if isinstance(value, Mapping):
        known = (_branch(schema, value) or schema).get("properties", {})
        filled = {
            key: _fill(value.get(key, sub.get("default")), sub)
            for key, sub in known.items()
            if key in value or "default" in sub
        }
        return filled | {key: value[key] for key in value if key not in known}
    if isinstance(value, list):
        return [_fill(item, schema.get("items", {})) for item in value]
    if schema.get("type") in ("integer", "number") and type(value) in (int, float, str):
        return _number(value, schema["type"])
    return value


def _number(value: float | str, kind: str) -> float | str:
    """A number in one form, however it was written; text where it is no finite number."""
    try:
        number = float(value)
        if kind == "integer" and number.is_integer():
            return int(value) if re.fullmatch(r"\d+", str(value)) else int(number)
    except (ValueError, OverflowError):
        return value
    return number if math.isfinite(number) else str(value)


def _branch(schema: Schema, value: object) -> Schema | None:
    """The branch of a `oneOf` that `value` means: the one whose first required key it has."""
    if not isinstance(value, Mapping):
        return None
    meant = [branch for branch in schema.get("oneOf", ()) if branch["required"][0] in value]
    return meant[0] if len(meant) == 1 else None


def _leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """The errors, and in place of one about a `oneOf` those of the branch that was meant."""
    for error in errors:
        branch = _branch(error.schema, error.instance) if error.validator == "oneOf" else None
        if branch is None:
            yield error
        else:
            index = error.schema["oneOf"].index(branch)
            yield from _leaves(e for e in error.context or () if e.schema_path[0] == index)


def _say(error: ValidationError, schema: Schema) -> str:
    """Say in words where the error is and what was expected there."""
    found, here, place = error.instance, error.schema, list(error.absolute_path)
    if error.validator in ("additionalProperties", "oneOf") and isinstance(found, Mapping):
        keys = [key for _, key in _keys(here, deep=False)]
        for key in found:
            if key not in keys:
                there = _place([*place, str(key)])
                return f"{there}: unknown key; {_instead(there, str(key), keys, schema)}"
        return f"{_place(place)}: expected {_expected(here)}, found {_and(found) or 'none of them'}"
    if error.validator in ("required", "dependentRequired"):
        wanted = error.validator_value
        if error.validator == "dependentRequired":
            wanted = [key for having in wanted if having in found for key in wanted[having]]
        key = next(key for key in wanted if key not in found)
        return f"{_place([*place, key])}: missing; expected {_expected(here['properties'][key])}"
    return f"{_place(place)}: expected {_expected(here)}, found {_shown(found)}{_hint(found, here)}"


def _hint(found: object, here: Schema) -> str:
    if here.get("type") == "string" and not isinstance(found, str | list | Mapping | None):
        return "; put it in quotes"
    close = difflib.get_close_matches(str(found), here.get("enum", ()), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _place(path: Iterable[str | int]) -> str:
    """As in the manual, with the number of an item: ``records.sources[0].commit``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _instead(place: str, key: str, siblings: list[str], schema: Schema) -> str:
    """What to write instead of an unknown key: a close sibling, or the key where it belongs."""
    close = difflib.get_close_matches(key, siblings, n=1)
    if not close:
        here = re.sub(r"\[\d+\]", "[]", place)
        close = [other for other, name in _keys(schema) if name == key and other != here]
    if close:
        return f"did you mean {' or '.join(map(repr, dict.fromkeys(close)))}?"
    return f"the keys here are {_and(siblings)}"


def _keys(schema: Schema, place: str = "", *, deep: bool = True) -> Iterator[tuple[str, str]]:
    """The place and the name of every key of a section, those of all branches included."""
    for key, sub in schema.get("properties", {}).items():
        yield place + key, key
        if deep:
            yield from _keys(sub, f"{place}{key}.")
            yield from _keys(sub.get("items", {}), f"{place}{key}[].")
    for branch in schema.get("oneOf", ()):
        yield from _keys(branch, place, deep=deep)


def _and(words: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, words)))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str | list | dict | bool) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _expected(schema: Schema) -> str:
    """What the schema wants, in words."""
    if "title" in schema:
        return schema["title"]
    if "enum" in schema:
        return f"one of {_and(schema['enum'])}" if len(schema["enum"]) > 1 else schema["enum"][0]
    if "oneOf" in schema:
        return f"exactly one of {_and(branch['required'][0] for branch in schema['oneOf'])}"
    if schema["type"] == "object":
        return f"a section with the keys {_and(schema['properties'])}"
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    bounds = {
        "exclusiveMinimum": "greater than",
        "minimum": "of at least",
        "maximum": "and at most",
    }
    return " ".join([noun, *(f"{bounds[key]} {schema[key]}" for key in bounds if key in schema)])


def manual(schema: Schema, place: str = "", title: str = "The study") -> Iterator[str]:
    """Lines of the manual in Markdown: for every section of keys a heading and a table.

    Parameters
    ----------
    schema : mapping
        What `config/schema.yaml` holds, or a section of it.
    place, title : str
        Where the section stands, and its heading.
    """
    sections = {}
    rows = []
    for key, sub in schema.get("properties", {}).items():
        if sub.get("type") == "object" or "oneOf" in sub.get("items", {}):
            sections[key] = sub
        else:
            default = "required" if key in schema.get("required", ()) else "none"
            if "default" in sub:
                default = f"`{_written(sub['default'])}`"
            rows.append(f"| `{place}{key}` | {_expected(sub)} | {default} | {sub['description']} |")
    if rows or "description" in schema:
        yield from ("", f"### {title}")
    if "description" in schema:
        yield from ("", schema["description"])
    if rows:
        yield from ("", "| key | value | default | meaning |", "|---|---|---|---|", *rows)
    for key, sub in sections.items():
        yield from manual(sub, f"{place}{key}.", f"`{place}{key}`")
        for branch in sub.get("items", {}).get("oneOf", ()):
            start = branch["required"][0]
            yield from manual(branch, f"{place}{key}[].", f"`{place}{key}` with `{start}`")
    for branch in schema.get("oneOf", ()):
        yield from manual(branch, place)


def _written(value: object) -> str:
    return f"[{_and(value)}]" if isinstance(value, list) else str(value)


def readme(text: str, schema: Schema) -> str:
    """Put the manual of the schema's keys between the markers of the README's text."""
    before, rest = text.split(MARKERS[0])
    after = rest.split(MARKERS[1])[1]
    return "\n".join([before + MARKERS[0], *manual(schema), "", MARKERS[1] + after])


if __name__ == "__main__":
    import yaml

    print(
        readme(
            (FOLDER / "README.md").read_text(encoding="utf-8"),
            yaml.safe_load((FOLDER / "schema.yaml").read_text(encoding="utf-8")),
        ),
        end="",
    )
