"""Configs are completed or refused with one line; schema, manual and shipped studies agree."""

import copy
import doctest
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.utils import update_config

import prism.config
from prism.config import complete, readme
from prism.errors import InputError

CONFIG = Path(__file__).parents[1] / "config"
SCHEMA = yaml.safe_load((CONFIG / "schema.yaml").read_text())
STUDIES = sorted(set(CONFIG.glob("*.yaml")) - {CONFIG / "schema.yaml"})
README = (CONFIG / "README.md").read_text()

COMMIT, SHA256 = "0123456789" * 4, "0123456789abcdef" * 4
PATH = {"path": "builds.tar.zst"}
GIT = {"name": "a", "git": "https://example.org/a", "commit": COMMIT, "folder": "data/specs"}
URL = {"name": "b", "url": "https://example.org/b.zip", "sha256": SHA256}
STUDY = {"study": "mine", "records": {"generate": {}}}
DEFAULTS = {
    "study": "mine",
    "seed": 20240320,
    "records": {"generate": {"packages": 20, "builds": 2500}},
    "features": {"properties": ["version", "compiler_version"], "variants": []},
    "models": {"min_builds": 5, "smoothing": 1.0, "folds": 10, "per_job": 10},
    "clusters": {"count": 1000, "design": "balanced"},
    "rounds": {"orders": 1, "per_job": 1},
}


def sources(*given):
    return STUDY | {"records": {"sources": list(given)}}


def refusal(config):
    with pytest.raises(InputError) as caught:
        complete(config, SCHEMA, "mine.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("config error: mine.yaml: ")
    return message.removeprefix("config error: mine.yaml: ")


def test_defaults():
    assert complete(STUDY, SCHEMA, "x") == DEFAULTS


def test_what_comes_back_is_new_and_complete():
    config = sources(PATH, GIT | {"archive": "a.tar.zst", "sha256": SHA256}, URL)
    before = copy.deepcopy(config)
    once = complete(config, SCHEMA, "x")
    assert once == DEFAULTS | {"records": config["records"]}
    assert complete(once, SCHEMA, "x") == once
    once["records"]["sources"].clear()
    once["features"]["variants"].append("mpi")
    assert config == before
    assert complete(STUDY, SCHEMA, "x") == DEFAULTS


@pytest.mark.parametrize(
    ("given", "read"),
    [("7", 7), (7.0, 7), ("1e3", 1000), ("9007199254740993", 9007199254740993)],
)
def test_whole_numbers_however_written(given, read):
    found = complete(STUDY | {"seed": given}, SCHEMA, "x")["seed"]
    assert (found, type(found)) == (read, int)


@pytest.mark.parametrize("given", [1, 1.0, "1", "1e0"])
def test_numbers_however_written(given):
    found = complete(STUDY | {"models": {"smoothing": given}}, SCHEMA, "x")["models"]["smoothing"]
    assert (found, type(found)) == (1.0, float)


WHOLE = "expected a whole number of at least 1, found"
REFUSED = [
    # unknown keys
    ({"clusters": {"cuont": 7}}, "clusters.cuont: unknown key; did you mean 'count'?"),
    ({"cluster": {"count": 7}}, "cluster: unknown key; did you mean 'clusters'?"),
    ({"min_builds": 7}, "min_builds: unknown key; did you mean 'models.min_builds'?"),
    ({"per_job": 7}, "per_job: unknown key; did you mean 'models.per_job' or 'rounds.per_job'?"),
    ({"clusters": {"zzz": 7}}, "clusters.zzz: unknown key; the keys here are count, design"),
    ({"clusters": {True: 7}}, "clusters.True: unknown key; the keys here are count, design"),
    ({"records": {"sorces": []}}, "records.sorces: unknown key; did you mean 'sources'?"),
    (sources({"pat": "x"}), "records.sources[0].pat: unknown key; did you mean 'path'?"),
    (
        sources(GIT, PATH | {"sha256": SHA256}),
        "records.sources[1].sha256: unknown key; the keys here are path",
    ),
    # wrong values
    ({"clusters": {"count": "many"}}, f"clusters.count: {WHOLE} 'many'"),
    ({"clusters": {"count": 0}}, f"clusters.count: {WHOLE} 0"),
    ({"clusters": {"count": "2.5"}}, f"clusters.count: {WHOLE} 2.5"),
    ({"clusters": {"count": True}}, f"clusters.count: {WHOLE} True"),
    ({"clusters": {"count": None}}, f"clusters.count: {WHOLE} nothing"),
    ({"clusters": {"count": [3]}}, f"clusters.count: {WHOLE} [3]"),
    ({"clusters": {"count": float("inf")}}, f"clusters.count: {WHOLE} 'inf'"),
    ({"models": {"smoothing": 0}}, "models.smoothing: expected a number greater than 0, found 0.0"),
    (
        {"models": {"smoothing": float("nan")}},
        "models.smoothing: expected a number greater than 0, found 'nan'",
    ),
    (
        {"records": {"generate": {"packages": 41}}},
        "records.generate.packages: expected a whole number of at least 2 and at most 33, found 41",
    ),
    (
        {"clusters": {"design": "balaced"}},
        "clusters.design: expected balanced, found 'balaced'; did you mean 'balanced'?",
    ),
    (
        {"features": {"properties": ["versoin"]}},
        "features.properties[0]: expected one of version, compiler, compiler_version, target, os, "
        "platform, found 'versoin'; did you mean 'version'?",
    ),
    (
        {"features": {"properties": ["os", "os"]}},
        "features.properties: expected a list without repeats of: version, compiler, "
        "compiler_version, target, os, platform, found ['os', 'os']",
    ),
    (
        {"rounds": None},
        "rounds: expected a section with the keys orders, per_job, found nothing",
    ),
    (
        {"rounds": "x" * 99},
        f"rounds: expected a section with the keys orders, per_job, found '{'x' * 76}...",
    ),
    # the study's name
    (
        {"study": 2024},
        "study: expected a name of letters, digits, '.', '_' and '-' that starts with a letter or "
        "a digit, found 2024; put it in quotes",
    ),
    # the records
    ({"records": {}}, "records: expected exactly one of generate, sources, found none of them"),
    (
        {"records": {"generate": {}, "sources": [PATH]}},
        "records: expected exactly one of generate, sources, found generate, sources",
    ),
    ({"records": "x"}, "records: expected exactly one of generate, sources, found 'x'"),
    (sources(), "records.sources: expected a list of sources, at least one, found []"),
    (
        sources({"name": "x"}),
        "records.sources[0]: expected exactly one of path, git, url, found name",
    ),
    (
        sources({"git": "x", "url": "y"}),
        "records.sources[0]: expected exactly one of path, git, url, found git, url",
    ),
    (
        sources(GIT | {"commit": "main"}),
        "records.sources[0].commit: expected a full commit, 40 hexadecimal digits (0-9, a-f), "
        "found 'main'",
    ),
    (
        sources(GIT | {"commit": int("9" * 40)}),
        "records.sources[0].commit: expected a full commit, 40 hexadecimal digits (0-9, a-f), "
        f"found {'9' * 40}; put it in quotes",
    ),
    (
        sources({"git": "x", "commit": COMMIT, "name": "a"}),
        "records.sources[0].folder: missing; expected a folder inside the repository, such as "
        "data/specs (no '.' or '..' in it)",
    ),
    (
        sources(PATH, GIT | {"archive": "a.tar.zst"}),
        "records.sources[1].sha256: missing; expected a SHA-256 checksum, 64 hexadecimal digits "
        "(0-9, a-f)",
    ),
    (
        sources(GIT, URL | {"name": "a"}),
        "records.sources: expected a name of its own for every source, found 'a' 2 times",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_refused_with_one_line(wrong, message):
    assert refusal(STUDY | wrong) == message


def test_a_misspelt_key_is_named_before_what_follows_from_it():
    assert refusal({"studdy": "x", "records": {}}) == "studdy: unknown key; did you mean 'study'?"
    assert refusal({"records": {"generate": {}}}).startswith("study: missing; expected a name of")


@pytest.mark.parametrize("bad", ["", "../x", "/x", "a b", "-x", ".x", "x\n", "é", "a/b"])
def test_names_are_safe_in_file_names(bad):
    assert refusal(STUDY | {"study": bad}).startswith("study: expected a name")
    for key in ("name", "archive"):
        assert f".{key}: expected" in refusal(sources(URL | {key: bad}))


@pytest.mark.parametrize(
    "bad", ["", ".", "/etc", "../x", "a/../../x", "a/..", "a/./b", "a//b", "-x", "a\n"]
)
def test_folders_stay_inside_the_repository(bad):
    assert refusal(sources(GIT | {"folder": bad})).startswith("records.sources[0].folder: expected")


@pytest.mark.parametrize("good", ["data", "data/", "a/b c/d", "a..b/c", ".hidden/x", "..."])
def test_folders_that_are_inside(good):
    assert complete(sources(GIT | {"folder": good}), SCHEMA, "x")


@pytest.mark.parametrize("bad", ["ftp://x/y", "--upload-pack=x", "https://", "b.zip"])
def test_addresses(bad):
    assert refusal(sources(URL | {"url": bad})).startswith("records.sources[0].url: expected")


def parts(value):
    """The sections and lists of a config."""
    if isinstance(value, dict | list) and value:
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from parts(item)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused_with_one_line(data):
    config = copy.deepcopy(data.draw(st.sampled_from([DEFAULTS, sources(PATH, GIT, URL)])))
    part = data.draw(st.sampled_from(list(parts(config))))
    key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
    part[key] = data.draw(anything)
    try:
        jsonschema.validate(complete(config, SCHEMA, "mine.yaml"), SCHEMA)
    except InputError:
        assert refusal(config)


def described(schema, place=""):
    """Every key of the schema: its place, its subschema and the section that it stands in."""
    for key, sub in schema.get("properties", {}).items():
        yield place + key, sub, schema
        yield from described(sub, f"{place}{key}.")
        yield from described(sub.get("items", {}), f"{place}{key}[].")
    for branch in schema.get("oneOf", ()):
        yield from described(branch, place)


def test_schema_describes_every_key_and_forbids_unknown_ones():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for place, sub, section in described(SCHEMA):
        assert sub["description"].endswith("."), place
        assert section["additionalProperties"] is False, place
        key = re.split(r"\W", place)[-1]
        optional = key in ("archive", "sha256")  # those alone may be left out and have no default
        assert ("default" in sub) != (key in section.get("required", ()) or optional), place
        if "default" in sub:
            jsonschema.validate(sub["default"], sub)


def test_manual_is_that_of_the_schema():
    assert readme(README, SCHEMA) == README, "run: make docs"
    manual = README.partition("## Every key")[2]
    for place, sub, _ in described(SCHEMA):
        assert f"`{place}`" in manual
        assert sub["description"] in manual


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_shipped_studies_are_complete_alone_and_in_the_readme(path):
    config = complete(yaml.safe_load(path.read_text()), SCHEMA, path.name)
    assert f"config/{path.name}" in README
    if path.name != "config.yaml":
        assert config["study"] == path.stem


def test_every_example_in_the_readme_is_right():
    for text in re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S):
        assert complete(yaml.safe_load(text), SCHEMA, "README.md")
    lines = re.findall(r"^snakemake .* --config (.*)$", README, re.M)
    assert len(lines) == 3
    for line in lines:
        config = yaml.safe_load((CONFIG / "config.yaml").read_text())
        update_config(config, parse_config(shlex.split(line)))
        assert complete(config, SCHEMA, "README.md")
    assert refusal(STUDY | {"clusters": {"cuont": 7}}) in README


def test_nested_values_of_the_command_line_arrive_as_text():
    given = parse_config(["rounds={per_job: 10}", "features={variants: [mpi]}"])
    assert given["rounds"] == {"per_job": "10"}
    found = complete(STUDY | given, SCHEMA, "x")
    assert found["rounds"] == {"orders": 1, "per_job": 10}
    assert found["features"]["variants"] == ["mpi"]


def test_examples_in_the_docstrings():
    assert not doctest.testmod(prism.config).failed
