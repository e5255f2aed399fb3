import csv
import io
import math
import re
import tarfile
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import generate_records
from prism.buildspace import (
    CATALOGUE,
    COLUMNS,
    FATES,
    NAMES,
    RULES,
    SMALL,
    closure,
    generate,
    possible,
    truth,
)
from prism.errors import InputError

PACKAGES, BUILDS = 20, 2500
HASH = re.compile("[a-z2-7]{32}")
LEFT_OUT = (
    "not a root failure",
    "unknown status",
    "label without a spec",
    "spec without a label",
    "conflicting",
)


def unpack(path):
    """Label rows as dictionaries, and full hash -> text of the spec."""
    with (
        pa.CompressedInputStream(path, "zstd") as stream,
        tarfile.open(fileobj=io.BytesIO(stream.read())) as archive,
    ):
        members = archive.getmembers()
        texts = {member.name: archive.extractfile(member).read().decode() for member in members}
    assert list(texts) == sorted(texts)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    rows = {
        name[len("labels/") : -len(".csv")]: list(csv.DictReader(io.StringIO(text)))
        for name, text in texts.items()
        if name.startswith("labels/")
    }
    specs = {
        name[len("specs/") : -len(".yaml")]: text
        for name, text in texts.items()
        if name.startswith("specs/")
    }
    assert len(rows) + len(specs) == len(texts)
    return rows, specs


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "records.tar.zst"
    ledger = generate(path, packages=PACKAGES, builds=BUILDS, seed=1)
    return ledger, *unpack(path)


def parse(text):
    return yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))


@pytest.fixture(scope="module")
def nodes(space):
    """Full hash -> nodes of the spec; a node text that was met before is not parsed again."""
    known, found = {}, {}
    for full, text in space[2].items():
        head, *pieces = text.split("\n  - name: ")
        assert head == "spec:\n  _meta:\n    version: 2\n  nodes:"
        for piece in pieces:
            if piece not in known:
                (known[piece],) = parse("- name: " + piece.replace("\n  ", "\n").strip("\n"))
        found[full] = [known[piece] for piece in pieces]
    return found


def environment(nodes):
    return {
        key: value
        for node in nodes
        for key, value in (
            (f"{node['name']}-version", node["version"]),
            (f"{node['name']}-compiler_version", node["compiler"]["version"]),
        )
    }


def test_one_spec_in_twenty_parsed_whole_equals_its_nodes(space, nodes):
    for full in list(nodes)[::20]:
        document = parse(space[2][full])
        assert document == {"spec": {"_meta": {"version": "2"}, "nodes": nodes[full]}}


def test_nodes_have_the_published_shape(nodes):
    for found in nodes.values():
        for node in found:
            assert list(node)[:6] == [
                "name", "version", "arch", "compiler", "namespace", "parameters",
            ]  # fmt: skip
            assert list(node)[-3:] == ["hash", "full_hash", "build_hash"]
            assert all(HASH.fullmatch(node[kind]) for kind in list(node)[-3:])
            assert list(node["arch"]) == ["platform", "platform_os", "target"]
            target = node["arch"]["target"]
            assert list(target) == ["name", "vendor", "features", "generation", "parents"]
            assert isinstance(target["features"], list)
            assert isinstance(target["parents"], list)
            assert list(node["compiler"]) == ["name", "version"]
            assert node["version"] in CATALOGUE[node["name"]].versions
            for edge in node.get("dependencies", []):
                assert list(edge) == ["name", "build_hash", "type"]
                assert edge["type"] in (["build"], ["build", "link"])


def test_yaml_reads_every_version_as_text(space):
    versions = set()
    for text in space[2].values():
        versions |= set(re.findall("^  - name: .*\n    version: (.*)$", text, re.MULTILINE))
    assert {"'22.02'", "'0.17'", "'6.2'", "3.5.00", "6.0.0.1"} <= versions
    every = {version for package in CATALOGUE.values() for version in package.versions}
    assert {yaml.safe_load(version) for version in versions} <= every


def test_dependencies_are_acyclic_and_the_root_comes_first(nodes):
    sizes = set()
    for found in nodes.values():
        place = {node["build_hash"]: i for i, node in enumerate(found)}
        assert len({node["name"] for node in found}) == len(found)
        reached = {0}
        for i, node in enumerate(found):
            for edge in node.get("dependencies", []):
                below = place[edge["build_hash"]]
                assert below > i
                assert found[below]["name"] == edge["name"]
                reached.add(below)
        assert reached == set(range(len(found)))
        sizes.add(len(found))
    assert min(sizes) >= 4
    assert max(sizes) <= 12


@pytest.mark.parametrize("package", NAMES)
def test_every_package_of_the_catalogue_can_be_built(package):
    assert 4 <= len(closure(package)) <= 12
    assert closure(package)[0] == package
    assert set(closure(package)) <= set(CATALOGUE)
    assert all(possible(package).values())


def test_specs_are_distinct(space, nodes):
    ledger, rows, specs = space
    assert len(specs) == len(set(specs.values())) == BUILDS - ledger["label without a spec"]
    described = Counter(
        repr((environment(found), found[0]["name"], found[0]["parameters"]))
        for found in nodes.values()
    )
    assert set(described.values()) == {1}
    assert all(found[0]["full_hash"] == full for full, found in nodes.items())
    every = set(specs) | {row["full_hash"] for table in rows.values() for row in table}
    assert len(every) == BUILDS


def test_label_tables_have_the_published_columns(space, nodes):
    _, rows, _ = space
    assert list(rows) == sorted(NAMES[:PACKAGES])
    for package, table in rows.items():
        assert [row[""] for row in table] == sorted(row[""] for row in table)
        for row in table:
            full = row["full_hash"]
            assert list(row) == COLUMNS
            assert row[""] == full
            assert HASH.fullmatch(full)
            assert row["name"] == package
            assert row["yaml_file"] == f"specs/{full}.yaml"
            if full in nodes:
                root, *others = nodes[full]
                by_build = {node["build_hash"]: node["full_hash"] for node in others}
                below = [by_build[edge["build_hash"]] for edge in root["dependencies"]]
                assert (root["name"], root["version"]) == (row["name"], row["version"])
                assert row["hash"] == root["hash"]
                assert row["dependencies"] == repr(below)


def count(rows, specs):
    """The ledger, counted from the records alone."""
    seen = defaultdict(list)
    for table in rows.values():
        for row in table:
            seen[row["full_hash"]].append((row["Status"], row["Reason"]))
    good = {("SUCCESS", "Not Scheduled"), ("FAILED", "Root Failure")}
    ledger = Counter({"kept": 0} | dict.fromkeys(FATES, 0))
    for full in specs.keys() | seen.keys():
        outcomes = seen[full]
        ledger["spec without a label"] += not outcomes
        ledger["label without a spec"] += full not in specs
        ledger["conflicting"] += len(set(outcomes)) == 2
        ledger["duplicate"] += len(outcomes) == 2 and len(set(outcomes)) == 1
        ledger["unknown status"] += any(status == "UNKNOWN" for status, _ in outcomes)
        ledger["not a root failure"] += ("FAILED", "Dependency Failure") in outcomes
        ledger["kept"] += full in specs and len(set(outcomes)) == 1 and set(outcomes) <= good
    return dict(ledger)


def test_ledger_equals_an_independent_count(space):
    ledger, rows, specs = space
    assert ledger == count(rows, specs)
    assert ledger["kept"] + sum(ledger[fate] for fate in LEFT_OUT) == BUILDS
    for fate, share in FATES.items():
        assert ledger[fate] == round(share * (BUILDS - SMALL)) > 0


def test_the_last_package_is_too_small_for_a_model(space):
    sizes = {name: len({row["full_hash"] for row in table}) for name, table in space[1].items()}
    assert sizes.pop(NAMES[PACKAGES - 1]) == SMALL < 5
    assert min(sizes.values()) > 100


@settings(max_examples=15, deadline=None)
@given(packages=st.integers(2, 8), each=st.integers(3, 30), seed=st.integers(0, 2**32))
def test_ledger_of_any_size(tmp_path_factory, packages, each, seed):
    path = tmp_path_factory.mktemp("any") / "records.tar.zst"
    ledger = generate(path, packages=packages, builds=packages * each, seed=seed)
    rows, specs = unpack(path)
    assert ledger == count(rows, specs)
    assert len(rows) == packages


def test_same_seed_same_bytes_and_another_seed_other_builds(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / name, packages=5, builds=300, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    a, c = unpack(tmp_path / "a")[1], unpack(tmp_path / "c")[1]
    assert len(set(a) & set(c)) < len(a) / 2


def outcomes(space, nodes):
    """Package, environment and success of every build whose outcome is its own."""
    _, rows, _ = space
    seen = Counter(row["full_hash"] for table in rows.values() for row in table)
    for package, table in rows.items():
        for row in table:
            own = row["Reason"] in ("Not Scheduled", "Root Failure")
            if own and row["full_hash"] in nodes and seen[row["full_hash"]] == 1:
                yield package, environment(nodes[row["full_hash"]]), row["Status"] == "SUCCESS"


def test_success_rates_agree_with_the_truth(space, nodes):
    groups = defaultdict(list)
    for package, values, success in outcomes(space, nodes):
        chance = truth(package, values)
        for group in ("all", package, f"chance {round(chance, 1)}", *values.items()):
            groups[group].append((success, chance))
    assert len(groups) > 60
    for group, found in groups.items():
        success, chance = np.array(found, float).T
        deviation = math.sqrt((chance * (1 - chance)).sum())
        assert abs(success.sum() - chance.sum()) < 4 * deviation + 1, group


def test_truth_is_the_logistic_function_of_the_rules_that_apply():
    odds = {names: effect for names, wanted, effect in RULES if not wanted}
    old = {effect for names, wanted, effect in RULES if wanted == "openmpi@2.1.6"}
    base = 1 / (1 + math.exp(-odds[""]))
    assert truth("h5bench", {}) == truth("h5bench", {"cmake-version": "9"}) == base
    with_old = truth("h5bench", {"openmpi-version": "2.1.6"})
    assert math.log(with_old / (1 - with_old)) == pytest.approx(odds[""] + sum(old))
    assert truth("zfp", {"openmpi-version": "2.1.6"}) == base  # zfp's specs have no openmpi
    both = {"kokkos-version": "3.2.00", "hwloc-version": "1.11.13"}
    assert truth("arborx", both) < 0.8 < truth("arborx", {"kokkos-version": "3.2.00"})


def test_every_rule_can_apply():
    for names, wanted, _ in RULES:
        for package in names.split():
            assert package in NAMES
            for item in wanted.split():
                name, mark, value = re.fullmatch("([^@%]+)([@%])(.+)", item).groups()
                feature = f"{name}-version" if mark == "@" else f"{name}-compiler_version"
                assert value in possible(package)[feature], (package, item)


def test_metadata_is_worth_something_and_much_of_it_nothing(space, nodes):
    """Builds do better than clusters at random, and only some features decide about that."""
    builds = [truth(package, values) for package, values, _ in outcomes(space, nodes)]
    random = np.random.default_rng(5)
    clusters = [
        truth(package, {name: random.choice(values) for name, values in possible(package).items()})
        for package in NAMES[: PACKAGES - 1]
        for _ in range(100)
    ]
    assert np.mean(builds) - np.mean(clusters) > 0.2
    varying = {
        name for package in NAMES[: PACKAGES - 1] for name, values in possible(package).items()
        if len(values) > 1
    }  # fmt: skip
    assert 20 <= len({name.rpartition("-")[0] for name in varying}) <= 30
    mentioned = " ".join(wanted for _, wanted, _ in RULES)
    assert sum(name.rpartition("-")[0] + "@" not in mentioned for name in varying) > 8


@pytest.mark.parametrize(
    ("packages", "builds", "message"),
    [
        (1, 100, "2 to"),
        (len(NAMES) + 1, 10_000, "2 to"),
        (20, 30, "at least 3 builds"),
        (2, 10_000, "kokkos has 1536 specs"),
    ],
)
def test_impossible_sizes_get_one_line(tmp_path, packages, builds, message):
    with pytest.raises(InputError, match=message) as raised:
        generate(tmp_path / "records.tar.zst", packages=packages, builds=builds, seed=1)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_gets_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        generate(tmp_path / "file" / "records.tar.zst", packages=2, builds=10, seed=1)


def test_the_script_prints_the_ledger(tmp_path, capsys):
    out = tmp_path / "records.tar.zst"
    generate_records.main(packages=3, builds=200, seed=4, out=str(out))
    printed = capsys.readouterr().out
    rows, specs = unpack(out)
    for fate, number in count(rows, specs).items():
        assert f" {number} {fate}\n" in printed
