"""The plots: tables in, a matplotlib figure out, and one way to save it.

Every title is computed from the tables, so that it is true of the study that is shown.
"""

from prism.figures.calibration import plot_calibration
from prism.figures.clusters import plot_clusters
from prism.figures.packages import plot_packages
from prism.figures.scores import plot_scores
from prism.figures.style import save
from prism.figures.subsystems import plot_subsystems

__all__ = [
    "plot_calibration",
    "plot_clusters",
    "plot_packages",
    "plot_scores",
    "plot_subsystems",
    "save",
]
