"""Named streams of random numbers: everything drawn comes from the study's seed.

A stream is named, never shared, so that what one stage draws does not depend on how much
another has drawn before it.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np


def _key(*names: object) -> int:
    """64 bits that depend on every name and on nothing else."""
    text = "\0".join(str(name) for name in names)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *names: object) -> np.random.Generator:
    """Random generator of the stream called `names`.

    Parameters
    ----------
    seed : int
        The study's seed.
    names : object
        What the stream is for, for example ``("clusters", "hdf5-version")``.

    Returns
    -------
    numpy.random.Generator
        PCG64, the same for the same seed and names on every machine.
    """
    return np.random.Generator(np.random.PCG64([seed, _key(*names)]))


def keys(names: Iterable[str]) -> np.ndarray:
    """64-bit key of every name (uint64); names alone decide it, not their order."""
    digests = (blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<u8")


def uniform(seed: int, name: str, keys: np.ndarray) -> np.ndarray:
    """One number in [0, 1) for every key, which depends on (seed, name, key) alone.

    Parameters
    ----------
    seed : int
        The study's seed.
    name : str
        What is drawn, for example the id of a round.
    keys : ndarray of uint64, shape (n,)
        Keys of the things drawn for, from `keys`.

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    The mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014, figure 17), which maps the 64-bit integers one
    to one; the top 53 bits make the float.
    """
    mixed = keys ^ np.uint64(_key(seed, name))
    with np.errstate(over="ignore"):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) * 2.0**-53
