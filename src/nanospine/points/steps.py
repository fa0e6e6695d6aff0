"""The functions from localizations to localizations by name, for the command line and configs."""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nanospine.core.errors import ConfigError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report

__all__ = ["Step", "apply_steps", "parse_step", "step_help", "step_names"]

# Name -> module of nanospine.points. Each takes Localizations first and gives Localizations.
_WHERE = {
    "keep_range": "filtering",
    "keep_where": "filtering",
    "keep_frames": "filtering",
    "keep_time": "filtering",
    "keep_box": "areas",
    "keep_ellipse": "areas",
    "keep_polygon": "areas",
    "keep_density": "neighbours",
    "drop_sparse": "neighbours",
    "drop_outliers": "neighbours",
    "drop_duplicates": "neighbours",
    "correct_drift": "drift",
    "link_localizations": "linking",
    "keep_long_traces": "traces",
    "trim_traces": "traces",
    "aggregate_traces": "traces",
    "aggregate_photons": "traces",
    "add_trace_precision": "traces",
    "add_precision": "precision",
    "add_nena_precision": "nena",
    "efo_cut": "minflux_quality",
    "cfr_cut": "minflux_quality",
    "assign_dcr": "channels",
    "assign_ratio": "channels",
}


@dataclass(frozen=True)
class Step:
    """One operation with its arguments, checked against the function when it is made.

    Raises
    ------
    ConfigError
        For an unknown name, or an argument that is unknown or missing.

    Examples
    --------
    >>> Step("keep_range", {"column": "photons", "low": 500}).text
    "keep_range column='photons' low=500"
    >>> Step("keep_rang", {})
    Traceback (most recent call last):
    ...
    nanospine.core.errors.ConfigError: step 'keep_rang' is not known; did you mean 'keep_range'? ...
    """

    name: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.name not in _WHERE:
            close = difflib.get_close_matches(self.name, _WHERE, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(
                f"step {self.name!r} is not known; {hint}Known: {', '.join(sorted(_WHERE))}."
            )
        parameters = _parameters(self.name)
        for given in self.arguments:
            if given not in parameters:
                close = difflib.get_close_matches(given, parameters, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else "."
                raise ConfigError(
                    f"step {self.name}: {given!r} is not an argument{hint} Arguments: "
                    f"{', '.join(parameters)}."
                )
        missing = [
            name
            for name, parameter in parameters.items()
            if parameter.default is inspect.Parameter.empty and name not in self.arguments
        ]
        if missing:
            raise ConfigError(f"step {self.name}: {', '.join(missing)} must be given.")

    @property
    def text(self) -> str:
        """The step as it is written on the command line."""
        return " ".join([self.name, *(f"{key}={value!r}" for key, value in self.arguments.items())])

    def apply(self, localizations: Localizations) -> Localizations:
        """Do it."""
        try:
            result: Localizations = _function(self.name)(localizations, **self.arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"step {self.text}: {error}.") from error
        return result


def apply_steps(
    localizations: Localizations, steps: tuple[Step, ...], *, progress: Progress | None = None
) -> Localizations:
    """Do one step after the other.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [1, 1, 1]], photons=[100, 900])
    >>> len(apply_steps(locs, (parse_step("keep_range photons low=500"),)))
    1
    """
    for number, step in enumerate(steps):
        report(progress, step.name, number / len(steps))
        localizations = step.apply(localizations)
    return localizations


def parse_step(text: str) -> Step:
    """Read a step as it is written on the command line: the name, then values and name=value.

    Raises
    ------
    ConfigError
        For text that is no step.

    Examples
    --------
    >>> parse_step("drop_sparse 50 min_neighbours=5").arguments
    {'radius_nm': 50, 'min_neighbours': 5}
    >>> parse_step("keep_where 'photons > 500'").arguments
    {'expression': 'photons > 500'}
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"step {text!r}: {error}.") from None
    if not words:
        raise ConfigError("an empty step; expected a name and its arguments.")
    name, *rest = words
    if name not in _WHERE:
        return Step(name, {})
    known = list(_parameters(name))
    arguments: dict[str, Any] = {}
    places = iter(known)
    for word in rest:
        key, sign, value = word.partition("=")
        if not (sign and key.isidentifier()):
            key, value = next(places, ""), word
            if not key:
                raise ConfigError(f"step {text!r}: {word!r} is one value too many.")
        if key in arguments:
            raise ConfigError(f"step {text!r}: {key} is given twice.")
        arguments[key] = _value(value)
    return Step(name, arguments)


def step_names() -> tuple[str, ...]:
    """Give the names of all steps."""
    return tuple(_WHERE)


def step_help(name: str) -> str:
    """Give what a step does, in one line, with its arguments.

    Examples
    --------
    >>> step_help("drop_duplicates")
    'drop_duplicates tolerance_nm=0.0: Drop repeated rows: the same position in the same ...'
    """
    words = [name]
    for parameter in _parameters(name).values():
        bare = parameter.default is inspect.Parameter.empty
        words.append(parameter.name if bare else f"{parameter.name}={parameter.default!r}")
    first = (inspect.getdoc(_function(name)) or "").split("\n\n")[0].replace("\n", " ")
    return f"{' '.join(words)}: {first}"


def _function(name: str) -> Callable[..., Any]:
    module = importlib.import_module(f"nanospine.points.{_WHERE[name]}")
    function: Callable[..., Any] = getattr(module, name)
    return function


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = list(inspect.signature(_function(name)).parameters.values())[1:]
    return {item.name: item for item in parameters if item.name != "progress"}


def _value(text: str) -> Any:
    """Read a number, a text in quotes, a list; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
