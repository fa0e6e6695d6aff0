"""What the demo finds out about its two synaptic channels, beside what was planted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from nanospine.core.localizations import Localizations

__all__ = ["couple_channels"]

_RADII_NM = tuple(range(20, 301, 20))
_SIMULATIONS = 99


def couple_channels(
    folder: Path, localizations: Localizations, coupled_fraction: float, distance_nm: float
) -> pd.DataFrame:
    """Couple the channels pre and post, and show it in the report of a run.

    Writes `statistics/soda.csv` (rings), `statistics/cross_L.csv` (Ripley's L with the envelope of
    random patterns) and `coupling.csv` (planted and measured), and the report again.

    Returns
    -------
    pandas.DataFrame
        `what`, `planted`, `measured`, `low`, `high`: share of post that is coupled; distance.
    """
    import pandas as pd

    from nanospine.output.report import read_report, with_statistics, write_content
    from nanospine.statistics.envelopes import simulation_envelope
    from nanospine.statistics.soda import soda

    pre, post = localizations.channel("pre"), localizations.channel("post")
    found = soda(pre, post, _RADII_NM)
    curve = simulation_envelope(pre, "L", _RADII_NM, other=post, n_simulations=_SIMULATIONS)
    place = folder / "statistics"
    place.mkdir()
    for name, table in (("soda", found.rings), ("cross_L", curve.to_frame())):
        table.to_csv(place / f"{name}.csv", index=False, lineterminator="\n")
    share = found.coupled_fraction_b, found.coupled_fraction_b_low, found.coupled_fraction_b_high
    summary = pd.DataFrame(
        [
            ("share of post that is coupled with pre", coupled_fraction, *share),
            ("distance of coupled pairs, nm", distance_nm, found.mean_distance_nm, None, None),
        ],
        columns=["what", "planted", "measured", "low", "high"],
    )
    summary.to_csv(folder / "coupling.csv", index=False, lineterminator="\n")
    content, picture = read_report(folder / "report.html")
    tables = sorted(place.glob("*.csv"))
    write_content(with_statistics(content, tables), picture, folder / "report.html")
    return summary
