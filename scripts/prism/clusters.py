"""Designs of cluster populations: every cluster has one value for every feature."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from prism import tables
from prism.errors import InputError
from prism.streams import stream

COLOURS = (
    "amber azure beige black blue bronze brown copper coral cream crimson cyan dark ebony emerald "
    "fair gold green grey indigo ivory jade khaki lemon light lilac lime magenta maroon mauve "
    "mint navy ochre olive orange pale peach pearl pink plum purple red rose ruby rust sable sage "
    "sand scarlet silver sky slate steel tan teal topaz umber violet white yellow"
).split()
ANIMALS = (
    "ant badger bat bear beaver bee bison boar bream camel carp cat cobra cod condor crab crane "
    "crow deer dingo dog dove duck eagle eel elk emu falcon ferret finch fox frog gecko goat "
    "goose gull hare hawk heron horse ibex ibis jay koala kite lark lion llama lynx mole moose "
    "moth mouse newt okapi orca otter owl panda perch pike pony puffin puma rabbit raven robin "
    "rook seal shark sheep shrew skunk sloth snail snake sparrow squid stork swan swift tapir "
    "tiger toad trout turtle viper vole walrus wasp whale wolf wombat wren yak zebra"
).split()


def values(features: Iterable[pa.Table]) -> dict[str, list[str]]:
    """Distinct values of every feature over all packages, both sorted.

    Parameters
    ----------
    features : iterable of pyarrow.Table
        Features tables; where a spec has no node of that name it offers no value.
    """
    found = defaultdict(set)
    for table in features:
        for name in table.column_names[2:]:
            found[name].update(table[name].unique().to_pylist())
    return {name: sorted(found[name] - {None}) for name in sorted(found)}


def balanced(values: dict[str, list[str]], count: int, seed: int) -> pa.Table:
    """Clusters among which each value of a feature occurs equally often, in a drawn order.

    Features are drawn independently of each other. Where `count` is no multiple of the number of
    values, which values occur once more is drawn too.

    Parameters
    ----------
    values : dict of str to list of str
        Values of every feature, from `values`.
    count : int
        Number of clusters.
    seed : int
        The study's seed.

    Returns
    -------
    pyarrow.Table
        The clusters table, `count` rows.

    Raises
    ------
    prism.errors.InputError
        If there is no feature: no package has builds that differ from each other.
    """
    if not values:
        raise InputError(
            "no package has a feature: expected builds whose environments differ from each other"
        )
    columns = {"cluster": names(count, seed)}
    for feature, offered in values.items():
        draw = stream(seed, "clusters", feature)
        codes = np.resize(draw.permutation(len(offered)), count)
        draw.shuffle(codes)
        columns[feature] = tables.coded(codes, offered)
    return tables.table("clusters", columns)


DESIGNS = {"balanced": balanced}


def names(count: int, seed: int) -> list[str]:
    """Draw `count` distinct names that people can say; numbered when the words run out."""
    pairs = [f"{colour}-{animal}" for colour in COLOURS for animal in ANIMALS]
    stream(seed, "clusters", "names").shuffle(pairs)
    laps = -(-count // len(pairs))
    return [pair if lap == 0 else f"{pair}-{lap + 1}" for lap in range(laps) for pair in pairs][
        :count
    ]
