# The config, checked and completed, and the functions that rules take their inputs from.

import ast
import os
import sys
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import yaml


@lru_cache(maxsize=None)
def source(module):
    """Content of a file of scripts/, or nothing if there is no such file."""
    try:
        return Path(workflow.source_path(f"../scripts/{module}.py")).read_bytes()
    except (OSError, WorkflowError):
        return b""


@lru_cache(maxsize=None)
def imports_of(module):
    """The library modules that a file of scripts/ imports."""
    names = set()
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    paths = {Path(*name.split(".")).as_posix() for name in names if name.startswith("prism.")}
    return {one for path in paths for one in (path, f"{path}/__init__") if source(one)}


def modules_of(script):
    """The library modules that a script imports, and what they import in turn."""
    found, new = set(), imports_of(script)
    while new:
        found |= new
        new = set().union(*map(imports_of, new)) - found
    return sorted(found)


def code_of(script):
    """Hash of the library modules that a script uses.

    Snakemake sees an edit of a script, but not of a module that it imports; as a param of the
    rule, this makes such an edit rerun the rule's jobs.
    """
    return sha256(b"\0".join(map(source, modules_of(script)))).hexdigest()[:16]


modules_of("prism/config")  # where the workflow is remote, this fetches what is imported next
sys.path.insert(0, str(Path(workflow.source_path("../scripts/prism/config.py")).parents[1]))

from prism.config import complete
from prism.errors import InputError

try:
    config = complete(
        config,
        yaml.safe_load(Path(workflow.source_path("../config/schema.yaml")).read_text()),
        ", ".join(map(str, workflow.configfiles)) or "config",
    )
except InputError as error:
    sys.exit(str(error))

folder = Path("results", config["study"])
while not folder.exists():
    folder = folder.parent
if not (folder.is_dir() and os.access(folder, os.W_OK)):
    sys.exit(f"error: {folder}: expected a folder that can be written, for the results")


wildcard_constraints:
    study=re.escape(config["study"]),
    package=r"[A-Za-z0-9_][A-Za-z0-9_.+-]*",
    round=r"none|cumulative-\d+-\d+",
    batch=r"\d+",


@lru_cache(maxsize=None)
def rows(path, changed):
    """Rows of a small table; `changed` is when, so that a table made anew is read again."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def packages(wildcards):
    """The packages that have a model."""
    path = checkpoints.list_packages.get(study=wildcards.study).output[0]
    return [row["package"] for row in rows(path, os.stat(path).st_mtime_ns) if not row["reason"]]


def rounds(wildcards):
    """The rounds, in the order in which each adds to the one before."""
    path = checkpoints.plan_rounds.get(study=wildcards.study).output[0]
    return [row["round"] for row in rows(path, os.stat(path).st_mtime_ns)]


def batch(names, number, stage):
    """The names that make a batch: that many of them are handled by one job."""
    per_job = config[stage]["per_job"]
    return names[int(number) * per_job : (int(number) + 1) * per_job]


def batch_of(name, names, stage):
    """Folder of the batch in which a name is handled."""
    if name not in names:
        sys.exit(f"error: {name} is not among the {len(names)} {stage} of this study")
    return f"{stage}/batch_{names.index(name) // config[stage]['per_job']}"


def features_of_batch(wildcards):
    names = batch(packages(wildcards), wildcards.batch, "models")
    pattern = "results/{study}/features/{package}.parquet"
    return expand(pattern, study=wildcards.study, package=names)


def of_every_package(pattern):
    """Input function: `pattern` for every package that has a model."""
    return lambda wildcards: expand(pattern, study=wildcards.study, package=packages(wildcards))


def of_every_batch(pattern):
    """Input function: `pattern` for every batch of packages."""

    def paths(wildcards):
        count = -(-len(packages(wildcards)) // config["models"]["per_job"])
        return expand(pattern, study=wildcards.study, batch=range(count))

    return paths


def batch_of_package(wildcards):
    folder = batch_of(wildcards.package, packages(wildcards), "models")
    return f"results/{wildcards.study}/{folder}"


def batch_of_round(wildcards):
    folder = batch_of(wildcards.round, rounds(wildcards), "rounds")
    return f"results/{wildcards.study}/{folder}"


def rounds_of_batch(wildcards):
    return batch(rounds(wildcards), wildcards.batch, "rounds")


def every_round(wildcards):
    return expand(
        "results/{study}/rounds/{round}.parquet",
        study=wildcards.study,
        round=rounds(wildcards),
    )


def local_archive(source):
    """The source's archive in the folder that PRISM_DATA names, if it is there."""
    folder = os.environ.get("PRISM_DATA")
    path = Path(folder, source["archive"]) if folder and "archive" in source else None
    return str(path) if path and path.exists() else None


def sources(wildcards):
    """Where the raw records stand, or will stand once they are generated or fetched."""
    if "generate" in config["records"]:
        return [f"results/{wildcards.study}/records.tar.zst"]
    return [
        source.get("path") or local_archive(source) or f"data/downloads/{source['name']}.tar.zst"
        for source in config["records"]["sources"]
    ]
