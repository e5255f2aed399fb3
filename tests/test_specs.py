"""Cutting a spec at its nodes gives what parsing all of it gives, or refuses.

The truth is PyYAML's parse of the whole text and an extraction that shares no code with the
reader.
"""

import json
import random
import time

import pytest
import yaml

from prism.records import specs
from prism.records.archives import members
from prism.records.specs import Node, SpecError, SpecReader

ARCHIVES = ("rainbow-experiments-3e3ad136.tar.zst", "error-analysis-ce8be020.tar.zst")
HEADER = b"spec:\n  _meta:\n    version: 2\n  nodes:\n"
NEXT = b"\n  - name: "


# --------------------------------------------------------------------------------------- truth


def full_parse(text: bytes) -> list[Node] | None:
    """Nodes of a YAML spec, all of it parsed at once; None if it is not one."""
    try:
        return extracted(yaml.load(text, Loader=yaml.CBaseLoader))
    except (yaml.YAMLError, ValueError):
        return None


def extracted(document: object) -> list[Node]:
    """Nodes of a parsed spec; ValueError if it is none."""
    match document:
        case {"spec": {"nodes": [_, *_] as entries}}:
            return [node_of(entry) for entry in entries]
    raise ValueError("no nodes")


def node_of(entry: object) -> Node:
    match entry:
        case {"name": str(name), "version": str(version)} if name and version:
            pass
        case _:
            raise ValueError("no name or no version")
    parts = [entry.get(key, "") for key in ("arch", "compiler", "parameters")]
    arch, compiler, variants = ({} if part == "" else part for part in parts)
    if not all(isinstance(part, dict) for part in (arch, compiler, variants)):
        raise ValueError("not a mapping")
    target = arch.get("target")
    if isinstance(target, dict):
        target = target.get("name")
    stated = [compiler.get("name"), compiler.get("version"), target]
    stated += [arch.get("platform_os"), arch.get("platform")]
    stated = [text if isinstance(text, str) and text != "" else None for text in stated]
    pairs = ((key, as_text(variants[key])) for key in sorted(variants))
    return Node(name, version, *stated, json.dumps(dict(pairs)))


def as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(as_text(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)


def read(reader: SpecReader, text: bytes, name: str = "x.yaml") -> list[Node] | None:
    """What the reader makes of a text; None if it refuses."""
    try:
        return [reader.nodes[index] for index in reader.read(name, text)]
    except SpecError:
        return None


def agree(reader: SpecReader, text: bytes) -> bool:
    """Check one text; says whether it is a spec."""
    wanted, found = full_parse(text), read(reader, text)
    if found is None and b"*" in text:
        return False  # aliases are refused, though the full parse follows them
    assert found == wanted, text.decode(errors="backslashreplace")
    return wanted is not None


# --------------------------------------------------------------------------- published records


TRUTH: dict[bytes, list[Node] | None] = {}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_distinct_published_node_equals_its_own_parse(published, archive):
    reader, node_of_text, whole = SpecReader(), {}, []
    for number, (name, text) in enumerate(
        members(published(archive), lambda name: name.endswith(".yaml"))
    ):
        read_as = reader.read(name, text)
        texts = text.removeprefix(HEADER + NEXT[1:]).removesuffix(b"\n").split(NEXT)
        for node, index in zip(texts, read_as, strict=True):
            assert node_of_text.setdefault(node, index) == index, f"{name}: {node.decode()}"
        if number % 97 == 0:
            whole.append(text)
    for node, index in node_of_text.items():
        if node not in TRUTH:  # most nodes stand in both archives
            TRUTH[node] = full_parse(HEADER + NEXT[1:] + node)
        assert TRUTH[node] == [reader.nodes[index]], node.decode()
    assert len(whole) > 150
    assert all(agree(reader, text) for text in whole)


@pytest.mark.exhaustive
@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_published_spec_equals_its_full_parse(published, archive):
    reader = SpecReader()
    for name, text in members(published(archive), lambda name: name.endswith(".yaml")):
        assert agree(reader, text), name


# ----------------------------------------------------------------------------------- mutations

VELORA = b"""  - name: velora
    version: 1.10
    arch:
      platform: linux
      platform_os: rhel7
      target:
        name: broadwell
        features:
        - adx
    compiler:
      name: gcc
      version: 9.3.1
    parameters:
      shared: true
      patches:
      - 0a1b
      cxxstd: '14'
      cflags: []
    dependencies:
    - name: zlib-ng
      build_hash: 2a
      type:
      - build
    hash: x7
"""
ZLIB = b"""  - name: zlib-ng
    version: 2021.4.0
    arch:
      platform: linux
      target: ppc64le
    compiler:
      name: clang
      version: 1e5
    parameters:
      pic: true
    hash: y8
"""
PIGZ = b"  - name: pigz\n    version: 9e\n    parameters:\n      cflags: []\n    hash: z9\n"
NODES = '{"spec": {"nodes": [%s]}}'  # in JSON
DOCUMENTS = [HEADER + VELORA + ZLIB, HEADER + PIGZ + ZLIB, HEADER + ZLIB + PIGZ + PIGZ]

NASTY = (
    "\t¦\r¦\r\n¦\x85¦\u2028¦\u2029¦\ufeff¦\xa0¦'¦\"¦''¦#¦ # c¦&a ¦*a¦&a *a¦!!str ¦!t ¦|¦|-¦>¦>-¦"
    "!!python/object:os.system ¦{¦}¦[¦]¦[]¦{}¦, ¦: ¦:¦? ¦?¦- ¦-¦---¦--- ¦...¦%¦@¦`¦~¦<<: ¦null¦=¦"
    "\0¦\x1b¦\ue000¦\U0001f600¦\\¦\\n¦\n¦\n\n¦\n    ¦\n  - name: ¦  "
).encode().split("¦".encode())  # fmt: skip
NASTY += [b"|2\n", b"\xff", b"\xed\xa0\x80", b"k" * 1100, b"k" * 1100 + b": "]
LINES = (
    "¦ ¦    ¦        ¦\t¦    \t¦    x¦    x y: 1¦    1: 2¦    'q': 1¦    \"q\": 1¦    ? k¦    : v¦"
    "    - v¦    - - v¦    -¦    k: |¦    k: >-¦      text¦      - text¦    k: 'a¦    b'¦"
    "    k: {a: 1,¦    b: 2}¦    k: &a v¦    k: *a¦    k: !!int 3¦    # c¦    k: v # c¦...¦---¦"
    "--- a¦%YAML 1.1¦    <<: *a¦    <<: {a: 1}¦    : 1¦    k:: 1¦    k:1¦    k:  1¦    k: 1 ¦"
    "    k:¦    name: other¦    version: 3¦    version:¦    arch: []¦    arch:¦   k: v¦  k: v¦"
    "  nodes: []¦spec: x¦  - name: third¦  - version: 1¦  -¦  - x¦  - ¦    parameters: x¦"
    "      k: v¦     k: v¦    compiler: 'gcc'¦    target:¦    k: v:¦    k: -¦    k: '¦    - name: x"
).encode().split("¦".encode())  # fmt: skip
LINES += [b"    " + b"k" * length + b": 1" for length in (100, 101, 1100)]


def mutated(text: bytes, rng: random.Random) -> bytes:
    """The text after one random change."""
    at = rng.randrange(len(text) + 1)
    match rng.randrange(11):
        case 0:
            return text[:at] + text[at + rng.choice((1, 2, 5)) :]
        case 1 | 2:
            return text[:at] + rng.choice(NASTY) + text[at + rng.choice((0, 0, 1, 1, 2, 5)) :]
        case 3:
            return text[:at]
    return b"\n".join(with_other_lines(text.split(b"\n"), rng))


def with_other_lines(lines: list[bytes], rng: random.Random) -> list[bytes]:
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    line = lines[at]
    bare = line.lstrip()
    match rng.randrange(8):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, line)
        case 2:
            lines[at], lines[other] = lines[other], line
        case 3:
            lines[at : at + 2] = [rng.choice((b"", b" ", b": ", b"\t")).join(lines[at : at + 2])]
        case 4:
            lines[at] = b" " * rng.randrange(14) + bare
        case 5:
            lines.insert(at, rng.choice(LINES))
        case 6:
            lines[at] = line.rstrip() + rng.choice((b":", b" ", b"- ", b" x", b": x", b" []", b"'"))
        case 7:
            mark = rng.choice((b"- ", b"? ", b": ", b"'", b"! ", b"# ", b"-"))
            lines[at] = line.removesuffix(bare) + mark + bare
    return lines


def test_mutated_specs_are_read_as_their_full_parse_or_refused():
    rng, reader, accepted = random.Random(3), SpecReader(), 0
    for number in range(30_000):
        text = DOCUMENTS[number % len(DOCUMENTS)]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            text = mutated(text, rng)
        accepted += agree(reader, text)
        if number % 500 == 0:  # what was read before must not have spoiled what is remembered
            assert all(agree(reader, document) for document in DOCUMENTS)
    assert 3_000 < accepted < 27_000  # both kinds are met


WORDS = [b"1.10", b"'14'", b"''", b"[]", b"x", b"'a b'", b"010", b"a/b+c"]
KEYS = [b"a", b"0", b"b-c", b"target", b"platform"] * 5
KEYS += [b"name", b"version", b"arch", b"compiler"]


def block(rng: random.Random, indent: int, depth: int) -> list[bytes]:
    """Lines of a mapping in the alphabet of published specs."""
    lines = []
    for key in rng.choices(KEYS, k=rng.choice((1, 1, 2, 3))):
        start = b" " * indent + key + b":"
        deeper = rng.choice((indent + 2, indent + 2, indent + 1, indent + 5))
        listed = b" " * rng.choice((indent, indent, indent + 2)) + b"- "
        match rng.randrange(6 if depth else 3):
            case 0 | 1:
                lines.append(start + b" " + rng.choice(WORDS))
            case 2:
                words = rng.choices(WORDS, k=rng.randrange(3))
                lines += [start, *(listed + word for word in words)]
            case 3 | 4:
                lines += [start, *block(rng, deeper, depth - 1)]
            case 5:
                first, *rest = block(rng, len(listed), depth - 1)
                lines += [start, listed + first.lstrip(), *rest]
    return lines


def disturbed(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    """The lines after a change that keeps to the alphabet."""
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines[at] = b" " * rng.choice((4, 4, 5, 6, 8)) + lines[at].lstrip()
        case 1:
            lines[at], lines[other] = lines[other], lines[at]
        case 2:
            lines.insert(at, lines[other])
        case 3:
            lines[at] = b" " * rng.choice((4, 5, 6, 8)) + b"- " + lines[at].strip().strip(b"- ")
        case 4:
            lines[at] = lines[at].partition(b": ")[0] + b": " + rng.choice(WORDS)
    return lines


def test_plain_lines_in_any_order_are_read_as_their_full_parse_or_refused(monkeypatch):
    """The alphabet is that of published specs, so that the reader cuts; the order is anything."""
    wholes = []
    load = specs._load_yaml
    monkeypatch.setattr(specs, "_load_yaml", lambda text: wholes.append(text) or load(text))
    rng, reader, accepted, count = random.Random(4), SpecReader(), 0, 20_000
    for _ in range(count):
        text = HEADER
        for name in rng.choices((b"x", b"'y'", b"z-1"), k=rng.choice((1, 2))):
            lines = [b"    version: 1", b"    parameters:", *block(rng, 6, 2), *block(rng, 4, 1)]
            for _ in range(rng.choice((0, 0, 1, 1, 2))):
                lines = disturbed(rng, lines)
            text += b"  - name: " + name + b"\n" + b"\n".join(lines) + b"\n"
        accepted += agree(reader, text)
    assert count / 5 < accepted < count * 4 / 5  # both kinds are met
    assert len(wholes) < (count - accepted) + accepted / 5  # and most are cut


# ---------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    "version", ["1.10", "2021.4.0", "9e", "1e5", "0x10", "010", "1_000", "true", "null", "1.0-rc1"]
)
def test_versions_stay_the_text_that_stands_there(version):
    reader = SpecReader()
    plain = HEADER + ZLIB.replace(b"2021.4.0", version.encode())
    quoted = HEADER + ZLIB.replace(b"2021.4.0", f"'{version}'".encode())
    flow = f"spec: {{nodes: [{{name: zlib-ng, version: {version}}}]}}".encode()
    for text in (plain, quoted, flow):
        assert read(reader, text)[0].version == version
    text = NODES % f'{{"name": "zlib-ng", "version": "{version}"}}'
    assert read(reader, text.encode(), "x.json")[0].version == version


@pytest.mark.parametrize("version", ["1.10", "1e5", "10", "-0", "1.0E+2", "9" * 5_000])
def test_numbers_in_json_stay_the_text_that_stands_there(version):
    text = NODES % f'{{"name": "a", "version": {version}}}'
    assert read(SpecReader(), text.encode(), "x.json")[0].version == version


NESTED = HEADER + PIGZ.replace(b"cflags: []", b"p:\n        a: true\n        b: [1, {c: null}]")


@pytest.mark.parametrize("document", [*DOCUMENTS, NESTED])
def test_json_of_the_same_shape_gives_the_same_nodes(document):
    """As Spack writes it: true and false are no texts in JSON, nor are numbers."""
    reader = SpecReader()
    typed = yaml.safe_load(document.replace(b"1.10", b"'1.10'").replace(b"1e5", b"'1e5'"))
    text = json.dumps(typed).encode()
    assert reader.read("x.json", text) == reader.read("x.yaml", document)
    assert reader.read("x.json", b"\xef\xbb\xbf" + text) == reader.read("x.yaml", document)


def test_a_node_says_what_the_spec_says():
    variants = '{"cflags": "", "cxxstd": "14", "patches": "0a1b", "shared": "true"}'
    assert read(SpecReader(), HEADER + VELORA + ZLIB) == [
        Node("velora", "1.10", "gcc", "9.3.1", "broadwell", "rhel7", "linux", variants),
        Node("zlib-ng", "2021.4.0", "clang", "1e5", "ppc64le", None, "linux", '{"pic": "true"}'),
    ]


def test_equal_nodes_are_kept_once_in_the_order_of_the_spec():
    reader = SpecReader()
    assert reader.read("x.yaml", HEADER + PIGZ + ZLIB + PIGZ) == [0, 1, 0]
    assert reader.read("y.yaml", HEADER + ZLIB.replace(b"hash: y8", b"hash: other")) == [1]
    assert len(reader.nodes) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "expected `spec: nodes: [...]`"),
        (b"- spec: {nodes: []}", "expected `spec: nodes: [...]`"),
        (b"spec:\n\tnodes: []\n", "line 2, column 1: not YAML"),
        (b"spec: \xff", "not YAML"),
        (b"spec: \0", "not YAML"),
        (b"spec: {nodes: [x]}", "a node is str, expected a mapping"),
        (b"spec: {nodes: [{version: 1}]}", "no name"),
        (HEADER + b"  - name: pigz\n    hash: z9\n", "node 'pigz' has no version"),
        (HEADER + PIGZ + b"    arch: linux\n", "arch of node 'pigz' is not a mapping"),
        (HEADER + PIGZ + b"--- a\n", "not YAML"),
        ("", "line 1, column 1: not JSON"),
        ("{\n", "line 2, column 1: not JSON"),
        (NODES % '{"name": "a", "version": null}', "node 'a' has no version"),
        (NODES % '{"name": "a", "version": "1"}' + " x", "not JSON"),
        (NODES % '{"name": "a", "version": "\\ud800"}', ""),  # half a character: no table holds it
        (DOCUMENTS[0].decode(), "not JSON"),
    ],
)
def test_what_is_no_spec_is_refused_in_one_line(text, says):
    name = "x.yaml" if isinstance(text, bytes) else "x.json"
    with pytest.raises(SpecError) as error:
        SpecReader().read(name, text if isinstance(text, bytes) else text.encode())
    assert says in str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------- attacks

LAUGHS = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % (c + 1, c + 1, *[c] * 9)
    for c in range(ord("a"), ord("k"))
)
VARIANT = (NODES % '{"name": "a", "version": "1", "parameters": {"p": %b}}').encode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.yaml", LAUGHS),
        ("x.yaml", LAUGHS + b"spec: {nodes: [{name: a, version: 1, parameters: {p: *k}}]}"),
        ("x.yaml", b"spec: &a [*a]\n"),
        *(("x.yaml", mark * 10**6) for mark in (b"[", b"{", b"- ", b"? ", b'"', b"&a ", b"[],")),
        ("x.yaml", b"".join(b" " * n + b"k:\n" for n in range(2_000))),
        ("x.yaml", HEADER + PIGZ + b"    k: " + b"[" * 10**6 + b"]" * 10**6 + b"\n"),
        ("x.yaml", HEADER + PIGZ + b"".join(b" " * n + b"k:\n" for n in range(4, 2_000))),
        ("x.yaml", b"\n" * 10**6 + b"%"),
        ("x.json", b"[" * 10**6),
        ("x.json", b'{"a":' * 10**6),
        *(("x.json", VARIANT % (b"[" * deep + b"]" * deep)) for deep in (500, 900, 3_000)),
        *(("x.json", VARIANT % (b'{"a":' * deep + b"1" + b"}" * deep)) for deep in (500, 20_000)),
    ],
)  # fmt: skip
def test_an_attack_is_refused_quickly(name, text):
    start = time.process_time()
    assert read(SpecReader(), text, name) is None
    assert time.process_time() - start < 2
