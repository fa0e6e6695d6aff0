"""One configuration, one run: a file goes in, a folder with measured and typed spines comes out."""

from nanospine.pipeline.analysis import Analysis, analyse, require_points
from nanospine.pipeline.execution import RunResult, run

__all__ = ["Analysis", "RunResult", "analyse", "require_points", "run"]
