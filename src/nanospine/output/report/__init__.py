"""The report: one HTML file that opens offline and shows everything of a run."""

from __future__ import annotations

from nanospine.output.report.write import write_report

__all__ = ["write_report"]
