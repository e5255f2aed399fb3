"""Keeps pandas out of a process that does not need it; import this before pyarrow.

pyarrow imports pandas behind one's back (`pa.array`, `pa.table`, `to_numpy` …) where it is
installed, which costs about 250 ms, more than all the work of a short job.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType


class _NoPandas(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process by prism.lean", name=name)
        return None


sys.meta_path.insert(0, _NoPandas())
