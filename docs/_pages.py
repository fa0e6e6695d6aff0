"""Pages that are written from the program itself, so that they cannot say something else."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer.main

import nanospine as ns
from nanospine.cli.app import app

# One call of each command, to begin with
EXAMPLES = {
    "demo": "nanospine demo",
    "inspect": "nanospine inspect cell1.csv",
    "convert": "nanospine convert cell1.csv cell1.parquet",
    "filter": 'nanospine filter cell1.csv clean.parquet -w "photons > 500" -s "drop_sparse 100"',
    "envelope": "nanospine envelope cell1.csv -o cell1.glb",
    "spines": "nanospine spines cell1.csv -o cell1-results",
    "run": "nanospine run config.toml",
    "batch": "nanospine batch batch.toml",
    "field": "nanospine field localizations/ -o field-results --alpha-nm 100 --jobs 2",
    "voxelize": "nanospine voxelize cell1.csv -o cell1.tif --voxel-nm 40",
    "segment": "nanospine segment cell1.tif --method otsu -o labels.tif",
    "export": "nanospine export cell1-results --to stl --to swc --to h5",
    "ripley": "nanospine ripley cell1.csv --channel pre --other post",
    "couple": "nanospine couple synapses.csv --channels pre,post",
    "report": "nanospine report cell1-results --corrections corrections.json",
    "view": "nanospine view cell1-results --png figure.png --camera tilted",
    "simulate": "nanospine simulate dendrite.csv",
    "doctor": "nanospine doctor",
}
# Where a name is told of in the reference: first part of its module, title
PARTS = {
    "core": "Localizations and regions",
    "io": "Reading and writing",
    "points": "Cleaning, clustering, channels",
    "surface": "Envelopes",
    "voxels": "Voxels and segmenters",
    "statistics": "Statistics",
    "spines": "Spines",
    "output": "Pictures and exports",
}


def write_commands(folder: Path) -> None:
    """Write a page for each command, with its arguments and options."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        lines = [f"# nanospine {name}", "", inspect.cleandoc(command.help or ""), ""]
        if name in EXAMPLES:
            lines += ["```sh", EXAMPLES[name], "```", ""]
        lines += [*_parameters(command), ""]
        _write(folder / f"{name}.md", "\n".join(lines))


def _parameters(command: Any) -> list[str]:
    rows = []
    for item in command.params:
        if getattr(item, "hidden", False) or "--help" in item.opts:
            continue
        names = ", ".join(f"`{text}`" for text in [*item.opts, *item.secondary_opts])
        if item.param_type_name == "argument":
            names = f"`{item.metavar or item.name.upper()}`"
        default = item.default
        if callable(default) or default is None or default in (False, (), ""):
            default = ""
        shown = getattr(default, "value", default)
        text = " ".join((getattr(item, "help", None) or "").split()).replace("|", "\\|")
        kind = "needed" if item.required else (f"`{shown}`" if shown != "" else "")
        rows.append(f"| {names} | {_escaped(text)} | {kind} |")
    if not rows:
        return ["It has no options."]
    return ["| argument or option | what | default |", "|---|---|---|", *rows]


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("$", "\\$")


def write_reference(folder: Path) -> None:
    """Write a page of the public names of each part."""
    by_part: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
    for name, module in sorted(ns._WHERE.items()):
        part = module.split(".")[1]
        by_part.setdefault(part, []).append((name, module))
    titles = []
    for part, names in by_part.items():
        if not names:
            continue
        titles.append(part)
        title = PARTS.get(part, part)
        lines = [title, "=" * len(title), ""]
        for name, module in names:
            kind = "autoclass" if inspect.isclass(getattr(ns, name)) else "autofunction"
            lines += [f".. {kind}:: {module}.{name}", ""]
        _write(folder / f"{part}.rst", "\n".join(lines))
    index = ["Reference", "=========", "", "What ``import nanospine as ns`` offers.", ""]
    index += [".. toctree::", "   :maxdepth: 1", "", *(f"   {part}" for part in titles), ""]
    _write(folder / "index.rst", "\n".join(index))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # What has not changed keeps its date: Sphinx reads it again otherwise
    if not path.is_file() or path.read_text(encoding="utf-8") != text + "\n":
        path.write_text(text + "\n", encoding="utf-8")
