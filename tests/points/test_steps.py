"""Steps by name: what the command line and the configurations use."""

from __future__ import annotations

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError
from nanospine.points.steps import Step, apply_steps, parse_step, step_help, step_names


def test_every_step_takes_and_gives_localizations() -> None:
    for name in step_names():
        line = step_help(name)
        assert line.startswith(name)
        assert ": " in line
        assert getattr(ns, name).__module__.startswith("nanospine.points.")


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("keep_range photons 500 2000", "keep_range", {"column": "photons", "low": 500,
                                                       "high": 2000}),
        ("keep_where 'photons >= 500'", "keep_where", {"expression": "photons >= 500"}),
        ("keep_box '[0, 0]' high_nm=(5,5)", "keep_box", {"low_nm": [0, 0], "high_nm": (5, 5)}),
        ("drop_outliers", "drop_outliers", {}),
    ],
)  # fmt: skip
def test_steps_as_written_on_the_command_line(
    text: str, name: str, arguments: dict[str, object]
) -> None:
    step = parse_step(text)
    assert (step.name, dict(step.arguments)) == (name, arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty step"),
        ("drop_spars 50", "did you mean 'drop_sparse'"),
        ("drop_sparse radius=50", "'radius' is not an argument; did you mean 'radius_nm'"),
        ("drop_sparse", "radius_nm must be given"),
        ("drop_sparse 50 5 7", "'7' is one value too many"),
        ("drop_sparse 50 radius_nm=60", "radius_nm is given twice"),
        ("keep_where 'a", "No closing quotation"),
        ("import_os", "is not known"),
    ],
)
def test_faults_are_said(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_step(text)


def test_arguments_of_the_wrong_kind_are_the_users_fault() -> None:
    locs = ns.from_arrays(np.eye(3))
    with pytest.raises(ConfigError, match="drop_sparse radius_nm='wide'"):
        apply_steps(locs, (Step("drop_sparse", {"radius_nm": "wide"}),))


def test_steps_follow_each_other() -> None:
    locs = ns.from_arrays(np.arange(60.0).reshape(-1, 3), photons=np.arange(20) * 100.0)
    seen: list[str] = []
    steps = (parse_step("keep_range photons 500"), parse_step("keep_where 'x_nm < 40'"))
    kept = apply_steps(locs, steps, progress=lambda stage, _: seen.append(stage))
    assert seen == ["keep_range", "keep_where"]
    assert [item["operation"] for item in kept.history[-2:]] == seen
    assert len(kept) == 9
