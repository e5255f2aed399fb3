"""A small build space: specs to build, and raw records of their builds, whose truth is known.

The records have the layout of published ones (`labels/<package>.csv` and
`specs/<full hash>.yaml`, tar in zstd), so that a study of them goes the whole way from raw text,
and `FATES` gives the filter work to do. Whether a build succeeded is drawn from `truth`.

Builds prefer the versions that stand first, as a concretizer does, while clusters carry every
version equally often. That difference is what metadata can be worth: were builds drawn as evenly
as clusters, they would succeed on any cluster as often as on one like their own.
"""

import csv
import io
import math
import re
import tarfile
from base64 import b32encode
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from prism.errors import InputError
from prism.streams import stream
from prism.tables import replacing

# name@versions%compiler versions: dependencies@possible versions. Versions stand in the order in
# which builds prefer them; what has no compiler version is built with the first of COMPILERS.
TO_BUILD = """
hypre@2.24.0,2.20.0: cmake openblas openmpi
kokkos@3.5.00,3.2.00%11.2.0,9.4.0: cmake hwloc
netcdf-c@4.8.1,4.7.4: cmake hdf5 openmpi curl
superlu-dist@7.2.0,6.4.0: cmake openblas openmpi parmetis
caliper@2.7.0: cmake openmpi papi python@3.9.10
mfem@4.3.0,4.1.0: cmake hypre@2.24.0 metis openmpi zlib
sundials@6.1.1,5.8.0: cmake openblas openmpi
amrex@22.02,21.05: cmake hdf5@1.12.1 openmpi
boost@1.78.0,1.72.0,1.66.0%11.2.0,9.4.0: bzip2 python zlib
parallel-netcdf@1.12.2,1.11.2: m4 openmpi
dyninst@12.0.1,11.0.1: boost cmake elfutils libiberty
openpmd-api@0.14.4,0.13.4: cmake hdf5 openmpi
py-mpi4py@3.1.2,3.0.3: openmpi python py-setuptools
zfp@0.5.5: cmake python
arborx@1.1,1.0: cmake kokkos openmpi
metall@0.17,0.10: boost cmake
slate@2021.05.02: cmake openblas openmpi
h5bench@1.2: cmake hdf5 openmpi
heffte@2.2.0,2.0.0: cmake fftw openmpi
loki@0.1.7: cmake
hdf5@1.12.1,1.10.7%11.2.0,9.4.0: cmake openmpi zlib
petsc@3.16.4,3.14.6: hdf5@1.12.1 openblas openmpi python@3.9.10
slepc@3.16.2,3.14.2: openblas openmpi petsc@3.16.4 python@3.9.10
trilinos@13.2.0,12.18.1: cmake hdf5@1.12.1 openblas openmpi
tasmanian@7.7,7.3: cmake openblas python
pumi@2.2.6,2.2.2: cmake openmpi
omega-h@9.34.8,9.32.5: cmake openmpi zlib
umpire@6.0.0,4.1.2: camp cmake
raja@0.14.0,0.12.1: camp cmake
strumpack@6.3.0,5.1.1: cmake openblas openmpi parmetis
butterflypack@2.1.0,1.2.1: cmake openblas openmpi
conduit@0.8.2: cmake hdf5 python
mercury@2.1.0,1.0.1: cmake libfabric
upcxx@2021.9.0,2020.10.0: openmpi python@3.9.10
veloc@1.5,1.4: boost cmake openmpi
scr@3.0,2.0.0: cmake openmpi zlib
gotcha@1.0.3: cmake
plasma@21.8.29: cmake openblas python
lammps@20220107,20210310: cmake fftw openmpi python@3.9.10
adios2@2.7.1,2.6.0: cmake openmpi python@3.9.10 zlib
"""
TO_DEPEND_ON = """
bzip2@1.0.8
camp@0.2.2: cmake
cmake@3.22.2,3.18.4,3.14.7: ncurses
curl@7.80.0: zlib
elfutils@0.186,0.180
expat@2.4.6
fftw@3.3.10,3.3.8: openmpi
hwloc@2.7.0,1.11.13: pkgconf
libfabric@1.14.0,1.9.1
libiberty@2.37
m4@1.4.19
metis@5.1.0: cmake
ncurses@6.2: pkgconf
openblas@0.3.19,0.3.10,0.2.20: perl
openmpi@4.1.2,3.1.6,2.1.6: hwloc zlib
papi@6.0.0.1,5.7.0
parmetis@4.0.3: cmake metis openmpi
perl@5.34.0
pkgconf@1.8.0
py-setuptools@58.2.0: python
python@3.9.10,3.7.12,2.7.18: expat zlib
zlib@1.2.11,1.2.8
"""
COMPILERS = ("11.2.0", "9.4.0")  # of gcc
SMALL = 3  # builds of the last package: too few for a model
PREFERENCE = 3.0  # how much likelier a version is than the one after it

# packages (none named: all), what their environment must hold, effect on the log odds
RULES = (
    ("", "", 3.6),
    ("", "cmake@3.14.7", -2.2),
    ("", "openmpi@2.1.6", -2.4),
    ("amrex metall openpmd-api pumi raja", "", -1.0),
    ("boost kokkos parallel-netcdf", "", -0.5),
    ("hypre mfem petsc slate sundials superlu-dist trilinos", "openblas@0.2.20", -4.5),
    ("hypre mfem", "hypre@2.20.0 openmpi@3.1.6", -3.0),
    ("superlu-dist", "superlu-dist@6.4.0 openblas@0.3.10", -3.0),
    ("amrex h5bench netcdf-c", "hdf5%9.4.0", -1.5),
    ("conduit h5bench hdf5 netcdf-c openpmd-api", "hdf5@1.10.7", -2.0),
    ("boost caliper py-mpi4py tasmanian zfp", "python@2.7.18", -4.5),
    ("caliper", "papi@5.7.0", -1.5),
    ("arborx kokkos", "kokkos%9.4.0", -2.5),
    ("arborx", "kokkos@3.2.00 hwloc@1.11.13", -2.5),
    ("dyninst metall veloc", "boost@1.66.0", -4.5),
    ("dyninst metall", "boost@1.72.0", -1.0),
    ("parallel-netcdf", "openmpi@3.1.6", -1.5),
    ("heffte lammps", "fftw@3.3.8", -3.0),
    ("mercury", "libfabric@1.9.1", -2.0),
)

# what the filter is to find, as a share of all builds; a build meets one of them at most
FATES = {
    "no root failure": 0.02,
    "unknown status": 0.005,
    "no spec": 0.005,
    "duplicate": 0.005,
    "no label": 0.003,
    "conflicting": 0.003,
}

VARIANTS = ("debug", "fortran", "openmp", "pic", "shared", "tests")  # drawn, of the root node
PARAMETERS = {  # further ones of a node, as they stand in its spec
    "boost": ("cxxstd: '14'",),
    "cmake": ("build_type: Release",),
    "hdf5": ("api: default",),
    "openmpi": ("fabrics:\n      - ucx", "schedulers:\n      - slurm"),
}
TOOLS = {"cmake", "m4", "perl", "pkgconf", "py-setuptools"}  # needed to build, not to run
COLUMNS = (
    "", "name", "version", "level", "Status", "Reason", "full_hash", "hash", "Num Successes",
    "Num Fails", "Alloc Time", "yaml_file", "dependencies",
)  # fmt: skip
HEADER = "spec:\n  _meta:\n    version: 2\n  nodes:\n"
ARCH = """\
    arch:
      platform: linux
      platform_os: rocky8
      target:
        name: zen2
        vendor: AuthenticAMD
        features:
        - aes
        - avx
        - avx2
        - bmi1
        - bmi2
        - clwb
        - f16c
        - fma
        - sse4a
        generation: 0
        parents:
        - zen
"""
FLAGS = "".join(
    f"      {name}: []\n"
    for name in ("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs")
)


class Package(NamedTuple):
    """What the catalogue says of one package."""

    versions: tuple[str, ...]
    compilers: tuple[str, ...]
    dependencies: dict[str, tuple[str, ...]]  # name -> versions that are possible, () = all


class Hashes(NamedTuple):
    """The three hashes that a node of a spec has."""

    run: str
    full: str
    build: str


class Build(NamedTuple):
    """One concrete spec and what became of it."""

    package: str
    environment: dict[str, str]  # feature -> value
    success: bool
    spec: str
    hashes: Hashes
    dependencies: list[str]  # full hashes


def _values(item: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """`hdf5@1.12.1,1.10.7%9.4.0` as name, versions, compiler versions."""
    name, versions, compilers = re.fullmatch(r"([^@%]+)(?:@([^%]+))?(?:%(.+))?", item).groups("")
    return name, tuple(filter(None, versions.split(","))), tuple(filter(None, compilers.split(",")))


def _catalogue(text: str) -> dict[str, Package]:
    catalogue = {}
    for line in text.strip().splitlines():
        head, _, tail = line.partition(":")
        name, versions, compilers = _values(head)
        dependencies = {name: wanted for name, wanted, _ in map(_values, tail.split())}
        catalogue[name] = Package(versions, compilers or COMPILERS[:1], dependencies)
    return catalogue


def _conditions(text: str) -> dict[str, tuple[str, ...]]:
    """`hdf5@1.12.1%9.4.0` as feature -> values that meet the condition."""
    found = {}
    for name, versions, compilers in map(_values, text.split()):
        found |= {f"{name}-version": versions} if versions else {}
        found |= {f"{name}-compiler_version": compilers} if compilers else {}
    return found


NAMES = tuple(_catalogue(TO_BUILD))
CATALOGUE = _catalogue(TO_BUILD + TO_DEPEND_ON.lstrip())
_TRUTH = [(names.split(), _conditions(wanted), effect) for names, wanted, effect in RULES]


def truth(package: str, environment: Mapping[str, str]) -> float:
    """Probability that a package builds in an environment.

    Parameters
    ----------
    package : str
        One of `NAMES`.
    environment : mapping of str to str
        Feature -> value, of a build's nodes or of a cluster. A rule about a feature that is not
        there has no effect.

    Returns
    -------
    float
        The logistic function of the sum of the effects of all `RULES` that apply.
    """
    known = possible(package)
    odds = sum(
        effect
        for names, wanted, effect in _TRUTH
        if (not names or package in names)
        and all(name in known and environment.get(name) in wanted[name] for name in wanted)
    )
    return 1 / (1 + math.exp(-odds))


def closure(package: str) -> list[str]:
    """The package and all that it depends on, each before its own dependencies."""
    below = [name for other in CATALOGUE[package].dependencies for name in closure(other)[::-1]]
    return [package, *reversed(dict.fromkeys(below))]


@cache
def possible(package: str) -> dict[str, tuple[str, ...]]:
    """Feature -> values that builds of a package can have, the preferred one first."""
    names = closure(package)
    features = {}
    for name in names:
        wanted = [CATALOGUE[other].dependencies.get(name) for other in names]
        features[f"{name}-version"] = tuple(
            version
            for version in CATALOGUE[name].versions
            if all(version in versions for versions in wanted if versions)
        )
        features[f"{name}-compiler_version"] = CATALOGUE[name].compilers
    return features


def generate(path: str | Path, *, packages: int, builds: int, seed: int) -> dict[str, int]:
    """Write an archive of build records: label tables and concrete specs.

    Parameters
    ----------
    path : path
        Where the archive (tar, zstd) will stand.
    packages : int
        How many packages are built, the first of `NAMES`; the last of them `SMALL` times only.
    builds : int
        How many distinct specs are built, shared evenly among the other packages.
    seed : int
        The study's seed; it decides every byte.

    Returns
    -------
    dict of str to int
        The ledger: how many builds are to be kept, and how many records are to be rejected for
        each reason of `FATES` (of a duplicate, the second row; of a conflict, the hash).

    Raises
    ------
    prism.errors.InputError
        If there are not so many packages, or not so many distinct specs of one, or if the archive
        can't be written.
    """
    counts = _share(packages, builds)
    nodes: dict = {}
    made = [build for name in counts for build in _builds(name, counts[name], seed, nodes)]
    fates = _fates(len(made) - SMALL, seed) + [""] * SMALL
    rows: dict[str, list[list[object]]] = {package: [] for package in counts}
    members = {}
    for build, fate in zip(made, fates, strict=True):
        rows[build.package] += _rows(build, fate)
        if fate != "no spec":
            members[f"specs/{build.hashes.full}.yaml"] = build.spec
    _write(path, members | {f"labels/{name}.csv": _csv(rows[name]) for name in rows})
    return {"kept": fates.count("") + fates.count("duplicate")} | {
        fate: fates.count(fate) for fate in FATES
    }


def _share(packages: int, builds: int) -> dict[str, int]:
    """Package -> number of its builds."""
    if not 2 <= packages <= len(NAMES):
        raise InputError(
            f"build space: packages: expected 2 to {len(NAMES)} packages, found {packages}"
        )
    if builds < SMALL * packages:
        raise InputError(
            f"build space: builds: expected at least {SMALL} a package, so {SMALL * packages}, "
            f"found {builds}"
        )
    each, rest = divmod(builds - SMALL, packages - 1)
    large = {name: each + (i < rest) for i, name in enumerate(NAMES[: packages - 1])}
    return large | {NAMES[packages - 1]: SMALL}


def _builds(package: str, count: int, seed: int, nodes: dict) -> Iterator[Build]:
    """Draw distinct specs of a package and whether they build."""
    features = possible(package)
    shape = [len(values) for values in features.values()] + [2] * len(VARIANTS)
    if count > math.prod(shape):
        raise InputError(
            f"build space: builds: {package} has {math.prod(shape)} distinct specs, "
            f"{count} were asked for"
        )
    random = stream(seed, "build space", package)
    choices = zip(*_draw(shape, len(features), count, random), strict=True)
    for choice, draw in zip(choices, random.random(count).tolist(), strict=True):
        environment = {
            name: values[i] for (name, values), i in zip(features.items(), choice, strict=False)
        }
        spec, hashes = _spec(package, environment, choice[len(features) :], nodes)
        success = draw < truth(package, environment)
        below = [hashes[name].full for name in CATALOGUE[package].dependencies]
        yield Build(package, environment, success, spec, hashes[package], below)


def _draw(
    shape: list[int], preferring: int, count: int, random: np.random.Generator
) -> list[list[int]]:
    """Draw distinct cells of a grid, those that stand first on its `preferring` axes likelier.

    The cells of greatest log weight + Gumbel noise are what drawing one by one without
    replacement gives (Yellott, "The relationship between Luce's choice axiom, Thurstone's theory
    of comparative judgment, and the double exponential distribution", J. Math. Psych. 15, 1977).
    """
    weights = np.zeros(())
    for axis, size in enumerate(shape):
        step = -math.log(PREFERENCE) if axis < preferring else 0.0
        weights = np.add.outer(weights, step * np.arange(size))
    noisy = weights.ravel() + random.gumbel(size=weights.size)
    drawn = np.argsort(-noisy, kind="stable")[:count]
    return [axis.tolist() for axis in np.unravel_index(drawn, shape)]


def _spec(
    package: str, environment: Mapping[str, str], variants: tuple[int, ...], nodes: dict
) -> tuple[str, dict[str, Hashes]]:
    """The spec's text, and the hashes of each of its nodes; `nodes` remembers texts."""
    texts, hashes = {}, {}
    for name in reversed(closure(package)):
        version = environment[f"{name}-version"]
        compiler = environment[f"{name}-compiler_version"]
        below = tuple((other, hashes[other]) for other in CATALOGUE[name].dependencies)
        key = (name, version, compiler, variants if name == package else (), below)
        if key not in nodes:
            nodes[key] = _node(*key)
        texts[name], hashes[name] = nodes[key]
    return HEADER + "".join(reversed(texts.values())), hashes


def _node(
    name: str,
    version: str,
    compiler: str,
    variants: tuple[int, ...],
    dependencies: tuple[tuple[str, Hashes], ...],
) -> tuple[str, Hashes]:
    """A node's text and hashes; as the text names its dependencies' hashes, so do its own."""
    variants = variants or (False, True, False, True, True, False)
    drawn = (
        f"{key}: {'true' if on else 'false'}" for key, on in zip(VARIANTS, variants, strict=True)
    )
    parameters = sorted([*drawn, *PARAMETERS.get(name, ())])
    number = re.fullmatch(r"[0-9]+(\.[0-9]*)?", version)  # what YAML would not read as text
    quote = "'" if number else ""
    text = f"  - name: {name}\n    version: {quote}{version}{quote}\n{ARCH}"
    text += f"    compiler:\n      name: gcc\n      version: {compiler}\n"
    text += "    namespace: builtin\n    parameters:\n"
    text += "".join(f"      {parameter}\n" for parameter in parameters) + FLAGS
    text += "    dependencies:\n" if dependencies else ""
    for other, hashes in dependencies:
        text += (
            f"    - name: {other}\n      build_hash: {hashes.build}\n      type:\n      - build\n"
        )
        text += "" if other in TOOLS else "      - link\n"
    found = Hashes(*(_hash(kind, text) for kind in Hashes._fields))
    text += f"    hash: {found.run}\n    full_hash: {found.full}\n    build_hash: {found.build}\n"
    return text, found


def _hash(kind: str, text: str) -> str:
    """32 characters, as Spack's hashes have."""
    digest = blake2b(text.encode(), digest_size=20, person=kind.encode()).digest()
    return b32encode(digest).decode().lower()


def _fates(builds: int, seed: int) -> list[str]:
    """What becomes of the record of each build, "" for nothing; a share of each is exact."""
    fates = [fate for fate, share in FATES.items() for _ in range(round(share * builds))]
    drawn = stream(seed, "build space", "fates").permutation(builds)
    found = [""] * builds
    for build, fate in zip(drawn.tolist(), fates, strict=False):
        found[build] = fate
    return found


def _rows(build: Build, fate: str) -> list[list[object]]:
    """Rows of the label table about one build."""
    succeeded = ("SUCCESS", "Not Scheduled", 1, 0)
    failed = ("FAILED", "Root Failure", 0, 1)
    outcome = succeeded if build.success else failed
    outcomes = {
        "no label": [],
        "no root failure": [("FAILED", "Dependency Failure", 0, 1)],
        "unknown status": [("UNKNOWN", "Timeout", 0, 0)],
        "conflicting": [succeeded, failed],
        "duplicate": [outcome, outcome],
    }.get(fate, [outcome])
    full = build.hashes.full
    version = build.environment[f"{build.package}-version"]
    return [
        [full, build.package, version, 0, status, reason, full, build.hashes.run, successes,
         failures, 3600, f"specs/{full}.yaml", build.dependencies]
        for status, reason, successes, failures in outcomes
    ]  # fmt: skip


def _csv(rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [COLUMNS, *sorted(rows, key=lambda row: row[0])]
    )
    return text.getvalue()


def _write(path: str | Path, members: Mapping[str, str]) -> None:
    """Write a tar in zstd that holds nothing that another machine or day would change."""
    with (
        replacing(path) as temporary,
        pa.CompressedOutputStream(temporary, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(members):
            content = members[name].encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
