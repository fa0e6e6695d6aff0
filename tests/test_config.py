"""A configuration is checked whole: every fault in one message, nothing silently not used."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nanospine.config import EXAMPLE, RunConfig
from nanospine.core.errors import ConfigError

MINIMAL: dict[str, Any] = {"input": {"path": "a.csv"}, "output": {"folder": "out"}}


def with_values(section: str, **values: Any) -> dict[str, Any]:
    return MINIMAL | {section: MINIMAL.get(section, {}) | values}


def message(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(values)
    return str(caught.value)


def test_the_example_is_valid_with_and_without_its_comments() -> None:
    config = RunConfig.from_dict(tomllib.loads(EXAMPLE))
    assert config.envelope.alpha_nm == "auto"
    lines = [line.removeprefix("# ") if "=" in line or "[[" in line else line
             for line in EXAMPLE.splitlines()]  # fmt: skip
    full = RunConfig.from_dict(tomllib.loads("\n".join(lines)))
    assert full.spines.precision_nm == (10, 10, 20)
    assert full.filter[0].min == 500
    assert full.input.units == "nm"


def test_the_example_states_the_true_defaults() -> None:
    values = tomllib.loads("\n".join(line.removeprefix("# ") for line in EXAMPLE.splitlines()[2:]))
    config = RunConfig.from_dict(MINIMAL)
    for name in ("min_length_nm", "seed"):
        assert values["spines"][name] == getattr(config.spines, name)
    assert values["output"]["overwrite"] is config.output.overwrite
    assert values["envelope"]["label"] == config.envelope.label


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (with_values("envelope", alfa_nm=80), "[envelope] alfa_nm: not a key here; did you mean"),
        (with_values("envelope", alfa_nm=80), "Keys of [envelope]: alpha_nm, label"),
        (MINIMAL | {"enveloppe": {}}, "enveloppe: not a key here; did you mean 'envelope'?"),
        (with_values("envelope", alpha_nm=-1), "[envelope] alpha_nm: \"auto\" or a positive"),
        (with_values("envelope", alpha_nm=True), "[envelope] alpha_nm: \"auto\" or a positive"),
        (with_values("envelope", alpha_nm=math.inf), "[envelope] alpha_nm: \"auto\" or a positive"),
        (with_values("envelope", alpha_nm=10**400), "[envelope] alpha_nm: \"auto\" or a positive"),
        (with_values("spines", precision_nm=[1, math.nan, 2]), "[spines] precision_nm: one number"),
        (with_values("spines", base_nm=math.inf), "[spines] base_nm: input should be a finite"),
        (with_values("spines", seed=-1), "[spines] seed: input should be greater than or equal"),
        (MINIMAL | {"filter": [{"column": "a", "min": math.nan}]}, "min: a number was expected"),
        (with_values("envelope", label="shell"), "'membrane' or 'filled', found 'shell'"),
        (with_values("spines", precision_nm=[1, 2]), "[spines] precision_nm: one number"),
        (with_values("spines", seed=1.5), "[spines] seed: "),
        (with_values("input", units="inch"), "[input] units: "),
        (with_values("input", pixel_size_nm=0), "[input] pixel_size_nm: "),
        (MINIMAL | {"filter": [{"min": 3}]}, "[[filter]] number 1 column: missing"),
        (MINIMAL | {"filter": [{"column": "a"}, {"column": "b", "maxi": 1}]},
         "[[filter]] number 2 maxi: not a key here; did you mean 'max'?"),
        ({"input": {"path": "a.csv"}}, "output: missing"),
        (MINIMAL | {"input": "a.csv"}, "input: "),
        (MINIMAL | {"base_folder": "/"}, "base_folder is not a key"),
    ],
)  # fmt: skip
def test_a_fault_names_the_key_and_what_is_allowed(values: dict[str, Any], said: str) -> None:
    assert said in message(values)


def test_all_faults_come_in_one_message() -> None:
    said = message({"input": {"pth": 1}, "spines": {"seed": "a"}})
    assert said.startswith("config: 4 faults:")


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[input]\npath = "data/a.csv"\n[output]\nfolder = "/elsewhere/out"\n')
    config = RunConfig.from_toml(file)
    assert config.input_path == tmp_path / "data" / "a.csv"
    assert config.output_folder == Path("/elsewhere/out")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[input\n", "not valid TOML"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"", "2 faults"),
        (b"a = " + b"[" * 3000, "not valid TOML"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
    ],
)
def test_a_broken_file_is_one_clear_error(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        RunConfig.from_toml(file)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        RunConfig.from_toml(tmp_path / "c.toml")


def test_a_configuration_survives_its_own_json() -> None:
    config = RunConfig.from_dict(
        MINIMAL | {"filter": [{"column": "photons", "min": 500}], "spines": {"precision_nm": 12}}
    )
    assert RunConfig.from_dict(config.model_dump(mode="json")) == config


def test_steps_are_checked_when_the_file_is_read() -> None:
    config = RunConfig.from_dict(
        MINIMAL | {"step": [{"do": "drop_sparse", "radius_nm": 50.0, "min_neighbours": 5}]}
    )
    assert config.step[0].step.text == "drop_sparse radius_nm=50.0 min_neighbours=5"
    with pytest.raises(ConfigError, match="did you mean 'drop_sparse'"):
        RunConfig.from_dict(MINIMAL | {"step": [{"do": "drop_spars"}]})
    with pytest.raises(ConfigError, match="'radius' is not an argument; did you mean 'radius_nm'"):
        RunConfig.from_dict(MINIMAL | {"step": [{"do": "drop_sparse", "radius": 50.0}]})
    with pytest.raises(ConfigError, match=r"\[\[step\]\] number 1 do: missing"):
        RunConfig.from_dict(MINIMAL | {"step": [{"radius_nm": 50.0}]})
