"""The report: one HTML file that opens offline and shows everything of a run."""

from __future__ import annotations

from nanospine.output.report.stored import read_report, with_corrections, with_statistics
from nanospine.output.report.write import write_content, write_report

__all__ = ["read_report", "with_corrections", "with_statistics", "write_content", "write_report"]
