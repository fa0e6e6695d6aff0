"""The README promises only what is there."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from nanospine.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_set_up_is_two_commands_of_one_line_each() -> None:
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert lines[0].endswith("nanospine demo")
    assert lines[1].endswith("pytest")


def test_every_verb_is_in_the_readme_and_no_other() -> None:
    verbs = {command.name for command in app.registered_commands}
    assert set(re.findall(r"^\| `nanospine ([a-z]+)", README, re.MULTILINE)) == verbs
    named = set(re.findall(r"nanospine ([a-z]+) ", " ".join(re.findall(r"`(.+?)`", README))))
    assert named <= verbs


def test_every_option_in_the_readme_exists() -> None:
    verbs = [str(command.name) for command in app.registered_commands]
    words = [["--help"], *([verb, "--help"] for verb in verbs)]
    shown = "".join(CliRunner(env={"COLUMNS": "200"}).invoke(app, item).stdout for item in words)
    for option in re.findall(r"`(--[a-z-]+)", README):
        assert option in shown, option


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
