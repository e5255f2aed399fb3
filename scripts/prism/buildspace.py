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
from collections import namedtuple
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from prism.errors import InputError
from prism.streams import stream
from prism.tables import replacing

# name@versions%compiler versions ...: what they depend on, @versions that they can use of it.
# Versions stand in the order in which builds prefer them.
TO_BUILD = """
kokkos@3.5.00,3.2.00%11.2.0,9.4.0: cmake hwloc
hypre@2.24.0,2.20.0 sundials@6.1.1,5.8.0: cmake openblas openmpi
netcdf-c@4.8.1,4.7.4: cmake curl hdf5 openmpi
boost@1.78.0,1.72.0,1.66.0%11.2.0,9.4.0: bzip2 python zlib
superlu-dist@7.2.0,6.4.0: cmake openblas openmpi parmetis
caliper@2.7.0: cmake openmpi papi python@3.9.10
mfem@4.3.0,4.1.0: cmake hypre@2.24.0 metis openmpi zlib
amrex@22.02,21.05: cmake hdf5@1.12.1 openmpi
parallel-netcdf@1.12.2,1.11.2: m4 openmpi
dyninst@12.0.1,11.0.1: boost cmake elfutils libiberty
h5bench@1.2 openpmd-api@0.14.4,0.13.4: cmake hdf5 openmpi
py-mpi4py@3.1.2,3.0.3: openmpi py-setuptools python
zfp@0.5.5: cmake python
arborx@1.1,1.0: cmake kokkos openmpi
metall@0.17,0.10: boost cmake
slate@2021.05.02: cmake openblas openmpi
heffte@2.2.0,2.0.0: cmake fftw openmpi
loki@0.1.7: cmake
hdf5@1.12.1,1.10.7%11.2.0,9.4.0 omega-h@9.34.8,9.32.5 scr@3.0,2.0.0: cmake openmpi zlib
petsc@3.16.4,3.14.6: hdf5@1.12.1 openblas openmpi python@3.9.10
trilinos@13.2.0,12.18.1: cmake hdf5@1.12.1 openblas openmpi
tasmanian@7.7,7.3 plasma@21.8.29: cmake openblas python
strumpack@6.3.0,5.1.1 butterflypack@2.1.0,1.2.1: cmake openblas openmpi parmetis
umpire@6.0.0,4.1.2 raja@0.14.0,0.12.1: camp cmake
lammps@20220107,20210310: cmake fftw openmpi python@3.9.10
adios2@2.7.1,2.6.0: cmake openmpi python@3.9.10 zlib
"""
TO_DEPEND_ON = """
bzip2@1.0.8 curl@7.80.0 expat@2.4.6 libiberty@2.37 m4@1.4.19 perl@5.34.0 pkgconf@1.8.0
elfutils@0.186,0.180 papi@6.0.0.1,5.7.0 zlib@1.2.11,1.2.8
hwloc@2.7.0,1.11.13 ncurses@6.2: pkgconf
cmake@3.22.2,3.18.4,3.14.7: ncurses
openblas@0.3.19,0.3.10,0.2.20: perl
openmpi@4.1.2,3.1.6,2.1.6: hwloc zlib
fftw@3.3.10,3.3.8: openmpi
python@3.9.10,3.7.12,2.7.18: expat zlib
py-setuptools@58.2.0: python
camp@0.2.2 metis@5.1.0: cmake
parmetis@4.0.3: cmake metis openmpi
"""
COMPILER = "11.2.0"  # of gcc, where the catalogue does not say
SMALL = 3  # builds of the last package: too few for a model
PREFERENCE = 3.0  # how much likelier a version is than the one after it

# packages (none named: all), what their environment must hold, effect on the log odds
RULES = (
    ("", "", 3.4),
    ("", "cmake@3.14.7", -2.2),
    ("", "openmpi@2.1.6", -2.4),
    ("amrex metall openpmd-api raja", "", -1.0),
    ("hypre mfem petsc slate sundials superlu-dist trilinos", "openblas@0.2.20", -4.5),
    ("hypre", "hypre@2.20.0 openmpi@3.1.6", -3.0),
    ("superlu-dist", "superlu-dist@6.4.0 openblas@0.3.10", -3.0),
    ("amrex h5bench netcdf-c", "hdf5%9.4.0", -1.5),
    ("h5bench hdf5 netcdf-c openpmd-api", "hdf5@1.10.7", -2.0),
    ("boost py-mpi4py tasmanian zfp", "python@2.7.18", -4.5),
    ("caliper", "papi@5.7.0", -1.5),
    ("arborx kokkos", "kokkos%9.4.0", -2.5),
    ("arborx", "kokkos@3.2.00 hwloc@1.11.13", -2.5),
    ("dyninst metall", "boost@1.66.0", -4.5),
    ("parallel-netcdf", "openmpi@3.1.6", -1.5),
    ("heffte lammps", "fftw@3.3.8", -3.0),
)

# what the filter is to find, as a share of all builds; a build meets one of them at most
FATES = {
    "not a root failure": 0.02, "unknown status": 0.005, "label without a spec": 0.005,
    "duplicate": 0.005, "spec without a label": 0.003, "conflicting": 0.003,
}  # fmt: skip

COLUMNS = (
    ",name,version,level,Status,Reason,full_hash,hash,Num Successes,Num Fails,Alloc Time,"
    "yaml_file,dependencies"
).split(",")
TOOLS = {"cmake", "m4", "perl", "pkgconf", "py-setuptools"}  # needed to build, not to run
DRAWN = ("debug", "fortran", "openmp", "pic", "shared", "tests")  # parameters of the root node
FIXED = {"boost": ["cxxstd: '14'"], "openmpi": ["fabrics:\n      - ucx"]}  # of any node
FLAGS = ("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs")
Hashes = namedtuple("Hashes", "hash full_hash build_hash")  # of a node
HEADER = "spec:\n  _meta:\n    version: 2\n  nodes:\n"
NODE = """\
  - name: {}
    version: {}
    arch:
      platform: linux
      platform_os: rocky8
      target:
        name: zen2
        vendor: AuthenticAMD
        features:
        - avx2
        - fma
        generation: 0
        parents:
        - zen
    compiler:
      name: gcc
      version: {}
    namespace: builtin
    parameters:
      {}
"""


class Package(NamedTuple):
    """What the catalogue says of one package."""

    versions: tuple[str, ...]
    compilers: tuple[str, ...]
    dependencies: dict[str, tuple[str, ...]]  # name -> versions that it can use, () = all


class Build(NamedTuple):
    """One concrete spec, and whether it builds."""

    package: str
    environment: dict[str, str]  # feature -> value
    success: bool
    spec: str
    hashes: Hashes
    dependencies: list[str]  # full hashes


def _items(text: str) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """`hdf5@1.12.1,1.10.7%9.4.0 ...` as name, versions, compiler versions of each."""
    for item in text.split():
        name, *values = re.findall(r"([^@%]+)(?:@([^%]+))?(?:%(.+))?", item)[0]
        versions, compilers = (tuple(filter(None, value.split(","))) for value in values)
        yield name, versions, compilers


def _catalogue(text: str) -> dict[str, Package]:
    catalogue = {}
    for line in text.split("\n"):
        names, _, below = line.partition(":")
        for name, versions, compilers in _items(names):
            dependencies = {other: usable for other, usable, _ in _items(below)}
            catalogue[name] = Package(versions, compilers or (COMPILER,), dependencies)
    return catalogue


def _features(text: str) -> dict[str, tuple[str, ...]]:
    """`hdf5@1.12.1%9.4.0 ...` as feature -> values."""
    values: dict[str, tuple[str, ...]] = {}
    for name, versions, compilers in _items(text):
        values |= {f"{name}-version": versions, f"{name}-compiler_version": compilers}
    return {feature: values[feature] for feature in values if values[feature]}


NAMES = tuple(_catalogue(TO_BUILD))
CATALOGUE = _catalogue(TO_BUILD + TO_DEPEND_ON)
_TRUTH = [(names.split(), _features(wanted), effect) for names, wanted, effect in RULES]


def closure(package: str) -> list[str]:
    """The package and all that it depends on, each before its own dependencies."""
    below = [name for other in CATALOGUE[package].dependencies for name in closure(other)[::-1]]
    return [package, *reversed(dict.fromkeys(below))]


@cache
def possible(package: str) -> dict[str, tuple[str, ...]]:
    """Feature -> values that builds of the package can have, the preferred one first."""
    names, values = closure(package), {}
    for name in names:
        usable = [CATALOGUE[other].dependencies.get(name) or () for other in names]
        values[f"{name}-version"] = tuple(
            version
            for version in CATALOGUE[name].versions
            if all(version in versions for versions in usable if versions)
        )
        values[f"{name}-compiler_version"] = CATALOGUE[name].compilers
    return values


def truth(package: str, environment: Mapping[str, str]) -> float:
    """Probability that a package builds in an environment.

    Parameters
    ----------
    package : str
        One of `NAMES`.
    environment : mapping of str to str
        Feature -> value, of a build or of a cluster; only nodes that the package has count.

    Returns
    -------
    float
        The logistic function of the sum of the effects of all `RULES` that apply.
    """
    own = possible(package)
    odds = sum(
        effect
        for names, wanted, effect in _TRUTH
        if (not names or package in names)
        and all(name in own and environment.get(name) in wanted[name] for name in wanted)
    )
    return 1 / (1 + math.exp(-odds))


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
        The ledger: number of builds to be kept, then of those that meet each of `FATES`. A
        duplicate is kept, and its second row is one row too many.

    Raises
    ------
    prism.errors.InputError
        If there are not so many packages or specs, or if the archive can't be written.
    """
    counts = _share(packages, builds)
    made = [build for name in counts for build in _builds(name, counts[name], seed)]
    fates = _fates(builds - SMALL, seed) + [""] * SMALL
    rows: dict[str, list] = {name: [] for name in counts}
    members = {}
    for build, fate in zip(made, fates, strict=True):
        rows[build.package] += _rows(build, fate)
        if fate != "label without a spec":
            members[f"specs/{build.hashes.full_hash}.yaml"] = build.spec
    _write(path, members | {f"labels/{name}.csv": _csv(rows[name]) for name in rows})
    ledger = {fate: fates.count(fate) for fate in FATES}
    return {"kept": builds - sum(ledger.values()) + ledger["duplicate"], **ledger}


def _share(packages: int, builds: int) -> dict[str, int]:
    """Package -> number of its builds."""
    if not (2 <= packages <= len(NAMES) and builds >= SMALL * packages):
        raise InputError(
            f"build space: expected 2 to {len(NAMES)} packages and at least {SMALL} builds a "
            f"package, found packages {packages}, builds {builds}"
        )
    each, rest = divmod(builds - SMALL, packages - 1)
    counts = {name: each + (place < rest) for place, name in enumerate(NAMES[:packages])}
    return counts | {NAMES[packages - 1]: SMALL}


def _builds(package: str, count: int, seed: int) -> Iterator[Build]:
    """Draw distinct specs of a package and whether they build."""
    features = possible(package)
    shape = [len(values) for values in features.values()] + [2] * len(DRAWN)
    if count > (most := math.prod(shape)):
        raise InputError(f"build space: builds: {package} has {most} specs, {count} are wanted")
    random = stream(seed, "build space", package)
    choices = _draw(shape, len(features), count, random)
    for choice, draw in zip(choices, random.random(count).tolist(), strict=True):
        environment = {
            name: values[at] for (name, values), at in zip(features.items(), choice, strict=False)
        }
        spec, hashes = _spec(package, environment, choice[len(features) :])
        success = draw < truth(package, environment)
        below = [hashes[name].full_hash for name in CATALOGUE[package].dependencies]
        yield Build(package, environment, success, spec, hashes[package], below)


def _draw(
    shape: list[int], preferring: int, count: int, random: np.random.Generator
) -> list[tuple[int, ...]]:
    """Draw distinct cells of a grid, those that stand first on its `preferring` axes likelier.

    The cells of greatest log weight + Gumbel noise are what drawing one by one without
    replacement gives (Yellott, Journal of Mathematical Psychology 15, 1977).
    """
    places = np.ix_(*(np.arange(size) * (axis < preferring) for axis, size in enumerate(shape)))
    noisy = random.gumbel(size=shape) - math.log(PREFERENCE) * sum(places)
    drawn = np.argsort(-noisy.ravel(), kind="stable")[:count]
    return list(zip(*(axis.tolist() for axis in np.unravel_index(drawn, shape)), strict=True))


def _spec(
    package: str, environment: Mapping[str, str], drawn: tuple[int, ...]
) -> tuple[str, dict[str, Hashes]]:
    """The spec's text, and the hashes of each of its nodes."""
    texts, hashes = [], dict[str, Hashes]()
    for name in reversed(closure(package)):
        version, compiler = (environment[f"{name}-{of}"] for of in ("version", "compiler_version"))
        below = tuple((other, hashes[other]) for other in CATALOGUE[name].dependencies)
        of_root = drawn if name == package else (0, 0, 0, 1, 1, 0)
        text, hashes[name] = _node(name, version, compiler, of_root, below)
        texts.append(text)
    return HEADER + "".join(reversed(texts)), hashes


@lru_cache(10_000)  # most nodes stand in many specs
def _node(
    name: str, version: str, compiler: str, drawn: tuple[int, ...], below: tuple
) -> tuple[str, Hashes]:
    """A node's text and hashes; it names its dependencies' hashes, so its own depend on them."""
    variants = [f"{key}: {('false', 'true')[on]}" for key, on in zip(DRAWN, drawn, strict=True)]
    parameters = sorted(variants + FIXED.get(name, [])) + [f"{flag}: []" for flag in FLAGS]
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", version):
        version = f"'{version}'"  # YAML would read a number
    text = NODE.format(name, version, compiler, "\n      ".join(parameters))
    text += "    dependencies:\n" if below else ""
    for other, hashes in below:
        text += f"    - name: {other}\n      build_hash: {hashes.build_hash}\n"
        text += "      type:\n      - build\n" + ("" if other in TOOLS else "      - link\n")
    found = Hashes(*(_hash(kind, text) for kind in Hashes._fields))
    fields = zip(Hashes._fields, found, strict=True)
    return text + "".join(f"    {kind}: {value}\n" for kind, value in fields), found


def _hash(kind: str, text: str) -> str:
    """32 characters, as Spack's hashes have."""
    digest = blake2b(text.encode(), digest_size=20, person=kind.encode()).digest()
    return b32encode(digest).decode().lower()


def _fates(builds: int, seed: int) -> list[str]:
    """What becomes of the record of each build, "" = nothing; how many meet each is not drawn."""
    fates = [fate for fate, share in FATES.items() for _ in range(round(share * builds))]
    fates += [""] * (builds - len(fates))
    return [fates[at] for at in stream(seed, "build space", "fates").permutation(builds)]


def _rows(build: Build, fate: str) -> list[list]:
    """Rows of the label table about one build."""
    succeeded, failed = ("SUCCESS", "Not Scheduled", 1, 0), ("FAILED", "Root Failure", 0, 1)
    outcome = succeeded if build.success else failed
    outcomes = {
        "spec without a label": [],
        "not a root failure": [("FAILED", "Dependency Failure", 0, 1)],
        "unknown status": [("UNKNOWN", "Timeout", 0, 0)],
        "conflicting": [succeeded, failed],
        "duplicate": [outcome, outcome],
    }.get(fate, [outcome])
    name, (short, full, _) = build.package, build.hashes
    return [
        [full, name, build.environment[f"{name}-version"], 0, status, reason, full, short,
         successes, failures, 3600, f"specs/{full}.yaml", build.dependencies]
        for status, reason, successes, failures in outcomes
    ]  # fmt: skip


def _csv(rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *sorted(rows)])
    return text.getvalue()


def _write(path: str | Path, members: Mapping[str, str]) -> None:
    """Write a tar in zstd that holds nothing that another machine or day would change."""
    with (
        replacing(path) as temporary,
        pa.CompressedOutputStream(temporary, "zstd") as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(members):
            content = members[name].encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
