"""Names of spine types: ordered rule sets from the literature on the same raw numbers.

The same spine gets different names from different rule sets, and from the same rules in another
order. So a rule set is a named, documented preset; the raw numbers stay beside the name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError

__all__ = ["PRESETS", "TYPES", "Preset", "Rule", "classify", "classify_table", "preset_frame"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Types, in the order of tables and legends.
TYPES: tuple[str, ...] = ("stubby", "thin", "mushroom", "filopodium", "branched")


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Raw numbers of spines, all of one length; NaN where not measured."""

    length_nm: FloatArray
    head_diameter_nm: FloatArray
    neck_diameter_nm: FloatArray
    neck_length_nm: FloatArray
    n_heads: FloatArray

    @property
    def head_to_neck(self) -> FloatArray:
        """Head diameter over neck diameter."""
        return self.head_diameter_nm / self.neck_diameter_nm

    @property
    def length_to_head(self) -> FloatArray:
        """Length over head diameter."""
        return self.length_nm / self.head_diameter_nm


@dataclass(frozen=True)
class Rule:
    """One rule of a preset: the type, the condition in words, and the condition."""

    type: str
    text: str
    holds: Callable[[_Numbers], BoolArray]


@dataclass(frozen=True)
class Preset:
    """Ordered rules, the first that holds names the type; `otherwise` names the rest.

    A comparison with a number that was not measured (NaN) does not hold, so such a spine falls
    through to later rules and at last to `otherwise`.
    """

    name: str
    source: str
    rules: tuple[Rule, ...]
    otherwise: str


_BRANCHED = Rule("branched", "more than one head", lambda s: s.n_heads > 1)

#: The rule sets by name.
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "nanospine",
            "Risher et al. 2014 with the presence of a neck made a number: a head at least 1.2 "
            "times as wide as the neck. Default.",
            (
                _BRANCHED,
                Rule("filopodium", "length > 2000 nm and head/neck < 1.5 (or no neck measured)",
                     lambda s: (s.length_nm > 2000) & ~(s.head_to_neck >= 1.5)),
                Rule("mushroom", "head >= 600 nm and head/neck >= 1.2",
                     lambda s: (s.head_diameter_nm >= 600) & (s.head_to_neck >= 1.2)),
                Rule("stubby", "head/neck < 1.2 and length < 2.5 head, "
                     "or length <= head and length < 1000 nm",
                     lambda s: ((s.head_to_neck < 1.2) & (s.length_to_head < 2.5))
                     | ((s.length_to_head <= 1) & (s.length_nm < 1000))),
            ),
            "thin",
        ),
        Preset(
            "risher",
            "Risher et al. 2014, PLoS ONE 9:e107591, thresholds as implemented in VSOT "
            "(classification_dendrite_spine.m); more than one head: from memory.",
            (
                _BRANCHED,
                Rule("filopodium", "length > 2000 nm and head/neck < 1.5",
                     lambda s: (s.length_nm > 2000) & (s.head_to_neck < 1.5)),
                Rule("mushroom", "head > 600 nm", lambda s: s.head_diameter_nm > 600),
                Rule("thin", "length > 1000 nm, or length/head > 1",
                     lambda s: (s.length_nm > 1000) | (s.length_to_head > 1)),
            ),
            "stubby",
        ),
        Preset(
            "rodriguez",
            "NeuronStudio, Rodriguez et al. 2008, PLoS ONE 3:e1997: the tree from its source "
            "code; the numbers 1.1, 350 nm and 2.5 from memory.",
            (
                Rule("mushroom", "head/neck > 1.1 and head >= 350 nm",
                     lambda s: (s.head_to_neck > 1.1) & (s.head_diameter_nm >= 350)),
                Rule("thin", "head/neck > 1.1, or length/head >= 2.5",
                     lambda s: (s.head_to_neck > 1.1) | (s.length_to_head >= 2.5)),
            ),
            "stubby",
        ),
        Preset(
            "imaris",
            "Default rules of the Classify Spines XTension: the first from the vendor's page, the "
            "others from memory. Widths there are of the fluorescence image.",
            (
                Rule("stubby", "length < 1000 nm", lambda s: s.length_nm < 1000),
                Rule("mushroom", "length < 3000 nm and head > 2 neck",
                     lambda s: (s.length_nm < 3000) & (s.head_to_neck > 2)),
                Rule("thin", "head >= neck", lambda s: s.head_to_neck >= 1),
            ),
            "filopodium",
        ),
        Preset(
            "harris",
            "Harris, Jensen and Tsao 1992, J. Neurosci. 12:2685, in words: stubby, neck as wide as "
            "the spine is long; mushroom, head much wider than the neck; thin, longer than wide. "
            "The thresholds put to these words are this program's.",
            (
                _BRANCHED,
                Rule("stubby", "length < 1.5 neck",
                     lambda s: s.length_nm < 1.5 * s.neck_diameter_nm),
                Rule("mushroom", "head/neck >= 2 and head >= 600 nm",
                     lambda s: (s.head_to_neck >= 2) & (s.head_diameter_nm >= 600)),
            ),
            "thin",
        ),
    )
}  # fmt: skip


@overload
def classify(
    length_nm: float,
    head_diameter_nm: float,
    neck_diameter_nm: float = ...,
    n_heads: int = ...,
    neck_length_nm: float = ...,
    *,
    preset: str = ...,
) -> str: ...
@overload
def classify(
    length_nm: npt.ArrayLike,
    head_diameter_nm: npt.ArrayLike,
    neck_diameter_nm: npt.ArrayLike = ...,
    n_heads: npt.ArrayLike = ...,
    neck_length_nm: npt.ArrayLike = ...,
    *,
    preset: str = ...,
) -> str | npt.NDArray[np.object_]: ...
def classify(
    length_nm: npt.ArrayLike,
    head_diameter_nm: npt.ArrayLike,
    neck_diameter_nm: npt.ArrayLike = np.nan,
    n_heads: npt.ArrayLike = 1,
    neck_length_nm: npt.ArrayLike = np.nan,
    *,
    preset: str = "nanospine",
) -> str | npt.NDArray[np.object_]:
    """Name the type of one spine or many by an ordered rule set.

    Parameters
    ----------
    length_nm, head_diameter_nm, neck_diameter_nm, neck_length_nm : float or array_like
        Nanometres; NaN where not measured. `neck_diameter_nm` is the constriction.
    n_heads : int or array_like
    preset : {"nanospine", "risher", "rodriguez", "imaris", "harris"}
        See :data:`PRESETS` and :func:`preset_frame` for rules and sources.

    Returns
    -------
    str or ndarray of str
        One of :data:`TYPES` for each spine. A rule that needs a number that is NaN does not
        hold; where no rule holds, the type is the preset's `otherwise`.

    Raises
    ------
    ConfigError
        For an unknown preset.
    SchemaError
        When arrays have different lengths or a length is negative.

    Examples
    --------
    >>> classify(1200, 800, 180)
    'mushroom'
    >>> classify([900, 2600], [350, 160], [110, 150]).tolist()
    ['thin', 'filopodium']
    """
    rules = _preset(preset)
    given = (length_nm, head_diameter_nm, neck_diameter_nm, neck_length_nm, n_heads)
    try:
        arrays = np.broadcast_arrays(*[np.asarray(value, dtype=np.float64) for value in given])
    except ValueError as error:
        raise SchemaError(f"classify: arrays of one length expected: {error}.") from None
    for name, values in zip(("length_nm", "head_diameter_nm", "neck_diameter_nm"), arrays,
                            strict=False):  # fmt: skip
        if (values < 0).any():
            raise SchemaError(f"classify: {name} must not be negative, found {values.min():g}.")
    numbers = _Numbers(*[np.atleast_1d(values).ravel() for values in arrays])
    result = np.full(len(numbers.length_nm), rules.otherwise, dtype=object)
    open_ = np.ones(len(result), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for rule in rules.rules:
            hit = open_ & rule.holds(numbers)
            result[hit] = rule.type
            open_ &= ~hit
    if arrays[0].ndim == 0:
        return str(result[0])
    return result.reshape(arrays[0].shape)


def classify_table(table: pd.DataFrame, *, preset: str = "nanospine") -> pd.Series[str]:
    """Name the types of a table of spines as `find_spines` gives it.

    Examples
    --------
    >>> table = pd.DataFrame({"length_nm": [700.0], "head_diameter_nm": [800.0],
    ...                       "neck_diameter_nm": [780.0]})
    >>> classify_table(table).tolist()
    ['stubby']
    """
    needed = ("length_nm", "head_diameter_nm", "neck_diameter_nm")
    missing = [name for name in needed if name not in table]
    if missing:
        raise SchemaError(f"classify_table: columns missing: {', '.join(missing)}.")
    length, head, neck = (table[name].to_numpy(dtype=np.float64) for name in needed)
    kinds = classify(
        length,
        head,
        neck,
        n_heads=table["n_heads"].to_numpy() if "n_heads" in table else 1,
        neck_length_nm=table["neck_length_nm"].to_numpy() if "neck_length_nm" in table else np.nan,
        preset=preset,
    )
    return pd.Series(kinds, index=table.index, name="type", dtype="object")


def preset_frame(preset: str = "nanospine") -> pd.DataFrame:
    """Give the rules of a preset as a table, in their order.

    Examples
    --------
    >>> preset_frame("rodriguez")["type"].tolist()
    ['mushroom', 'thin', 'stubby']
    """
    rules = _preset(preset)
    rows = [(rule.type, rule.text) for rule in rules.rules] + [(rules.otherwise, "all others")]
    return pd.DataFrame(rows, columns=["type", "rule"])


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        known = ", ".join(PRESETS)
        raise ConfigError(f"unknown rule set for spine types {name!r}; known: {known}.")
    return PRESETS[name]
