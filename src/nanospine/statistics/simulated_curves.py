"""A summary function of the data and of simulated patterns, several at once."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.progress import Progress, report
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.distance_laws import sized
from nanospine.statistics.patterns import Pattern, Points, checked_radii, pattern, shared_region
from nanospine.statistics.randomisation import (
    CompleteRandomness,
    FixedPatterns,
    NullModel,
    null_model,
    spawned,
)

__all__ = ["CurveFunction", "Curves", "FunctionName", "named_function", "simulated_curves"]

FloatArray = npt.NDArray[np.float64]
FunctionName = Literal["K", "L", "H", "g", "G", "F", "J"]
CurveFunction = Callable[..., SummaryFunction | npt.ArrayLike]

_WHERE = {
    "K": ("nanospine.statistics.ripley", "ripley_k"),
    "L": ("nanospine.statistics.ripley", "ripley_l"),
    "H": ("nanospine.statistics.ripley", "ripley_h"),
    "g": ("nanospine.statistics.pair_correlation", "pair_correlation"),
    "G": ("nanospine.statistics.nearest", "nearest_neighbour_g"),
    "F": ("nanospine.statistics.nearest", "empty_space_f"),
    "J": ("nanospine.statistics.nearest", "j_function"),
}
_STAGE = "simulating"
# Empty space is measured from the same places in the data and in each simulation, so that fewer
# do than for a value by itself.
_N_PLACES = 32_768


@dataclass(frozen=True, eq=False)
class Curves:
    """The function of the data and of each simulation.

    Attributes
    ----------
    observed : SummaryFunction
        Of the data.
    simulated : ndarray, shape (s, m)
        Of the simulations.
    null : str
        The null model.
    theory_holds : bool
        Whether the null model is the one that the theory of the function is of.
    """

    observed: SummaryFunction
    simulated: FloatArray = field(repr=False)
    null: str
    theory_holds: bool


@dataclass(frozen=True, eq=False)
class _Task:
    """All that one simulation needs; goes to other processes as it is."""

    function: CurveFunction
    options: dict[str, Any]
    first: Pattern
    second: Pattern | None
    radii_nm: FloatArray
    model: NullModel
    seeds: list[np.random.SeedSequence] = field(repr=False)

    def curve(self, points: FloatArray, other: FloatArray | None, region: Region) -> Any:
        """Compute the function of a pattern."""
        options = self.options if other is None else self.options | {"other": other}
        return self.function(points, self.radii_nm, region=region, **options)

    def simulate(self, number: int) -> FloatArray:
        """Draw pattern `number` and compute its function."""
        if isinstance(self.model, FixedPatterns):
            drawn = self.model.take(number, self.first, self.second)
        else:
            generator = np.random.default_rng(self.seeds[number])
            drawn = self.model.draw(self.first, self.second, generator)
        found = self.curve(drawn.points_nm, drawn.other_nm, drawn.region)
        return _values(found, len(self.radii_nm))


def named_function(function: str | CurveFunction) -> CurveFunction:
    """Give the summary function of a name; a function is given back.

    Examples
    --------
    >>> named_function("G").__name__
    'nearest_neighbour_g'
    """
    if callable(function):
        return function
    if function not in _WHERE:
        raise ConfigError(
            f"function: one of {', '.join(_WHERE)}, or a function, was expected, found "
            f"{function!r}."
        )
    module, name = _WHERE[function]
    found: CurveFunction = getattr(importlib.import_module(module), name)
    return found


def simulated_curves(
    points: Points,
    function: str | CurveFunction,
    radii_nm: npt.ArrayLike,
    *,
    null: str | NullModel,
    n_simulations: int,
    other: Points | None,
    region: Region | None,
    correction: str | None,
    seed: int,
    workers: int,
    processes: bool,
    progress: Progress | None,
) -> Curves:
    """Compute the function of the data and of `n_simulations` draws of the null model.

    Raises
    ------
    ConfigError
        For an unknown function or null model, less than one simulation or worker.
    """
    if n_simulations < 1 or workers < 1:
        raise ConfigError(
            f"at least one simulation and one worker were expected, found n_simulations "
            f"{n_simulations}, workers {workers}."
        )
    model = null_model(null)
    if isinstance(model, FixedPatterns):
        n_simulations = len(model.patterns_nm)
    radii = checked_radii(radii_nm)
    if other is None:
        first, second = sized(pattern(points, region)), None
    else:
        window = shared_region(points, other, region)
        first, second = sized(pattern(points, window)), pattern(other, window, name="other")
    called = named_function(function)
    task = _Task(
        called, _options(called, correction, workers), first, second, radii, model,
        spawned(seed, n_simulations),
    )  # fmt: skip
    observed = _observed(task)
    simulated = _all(task, n_simulations, workers, processes, progress)
    plain = isinstance(model, CompleteRandomness) and model.within is None
    return Curves(observed, simulated, model.name, plain)


def _options(function: CurveFunction, correction: str | None, workers: int) -> dict[str, Any]:
    options: dict[str, Any] = {} if correction is None else {"correction": correction}
    known = inspect.signature(function).parameters
    # Simulations at once, or threads inside each one: not both.
    if workers > 1 and "threads" in known:
        options["threads"] = 1
    if "n_places" in known:
        options["n_places"] = _N_PLACES
    return options


def _observed(task: _Task) -> SummaryFunction:
    second = task.second
    found = task.curve(
        task.first.points_nm, None if second is None else second.points_nm, task.first.region
    )
    notes = task.first.notes + (() if second is None else second.notes)
    if isinstance(found, SummaryFunction):
        _values(found, len(task.radii_nm))
        notes = tuple(dict.fromkeys(notes + found.notes))
        return SummaryFunction(
            found.name, task.radii_nm, found.values, found.theory, found.correction,
            found.n_points, found.n_other, found.region, notes,
        )  # fmt: skip
    return SummaryFunction(
        name=getattr(task.function, "__name__", type(task.function).__name__),
        radii_nm=task.radii_nm,
        values=_values(found, len(task.radii_nm)),
        theory=np.full(len(task.radii_nm), np.nan),
        correction=task.options.get("correction", "none"),
        n_points=len(task.first),
        n_other=0 if second is None else len(second),
        region=task.first.region,
        notes=notes,
    )


def _values(found: SummaryFunction | npt.ArrayLike, m: int) -> FloatArray:
    raw = found.values if isinstance(found, SummaryFunction) else found
    values = np.asarray(raw, dtype=np.float64)
    if values.shape != (m,):
        raise ConfigError(
            f"function: one value for each of the {m} radii was expected, found shape "
            f"{values.shape}."
        )
    return values


def _all(
    task: _Task, n: int, workers: int, processes: bool, progress: Progress | None
) -> FloatArray:
    simulated = np.empty((n, len(task.radii_nm)))
    report(progress, _STAGE, 0.0)
    if workers == 1 and not processes:
        for number in range(n):
            simulated[number] = task.simulate(number)
            report(progress, _STAGE, (number + 1) / n)
        return simulated
    with _pool(task, workers, processes) as start:
        waiting = {start(number): number for number in range(n)}
        for count, done in enumerate(as_completed(waiting), 1):
            simulated[waiting[done]] = done.result()
            report(progress, _STAGE, count / n)
    return simulated


@contextmanager
def _pool(
    task: _Task, workers: int, processes: bool
) -> Iterator[Callable[[int], Future[FloatArray]]]:
    """Give a function that starts a simulation; what was not begun is dropped after an error."""
    pool: Executor
    if processes:
        _check_movable(task)
        # Not forked: the threads of numerical libraries do not survive a fork.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, initializer=_keep, initargs=(task,))
    else:
        pool = ThreadPoolExecutor(workers)
    try:
        yield (
            lambda number: (
                pool.submit(_kept, number) if processes else pool.submit(task.simulate, number)
            )
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_movable(task: _Task) -> None:
    """Refuse what cannot go to another process: functions without a module of their own."""
    try:
        pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"processes=True: the function, null model and region must be importable from a "
            f"module, this one is not ({error}). Define it in a file, or use threads."
        ) from error


_KEPT: list[_Task] = []


def _keep(task: _Task) -> None:
    _KEPT[:] = [task]


def _kept(number: int) -> FloatArray:
    return _KEPT[0].simulate(number)
