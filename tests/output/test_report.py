"""The report holds its data, needs no network, and cannot be taken over by names in a file."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import trimesh

import nanospine as ns
from nanospine.output.report import write_report
from nanospine.output.report.scene import mesh_for_web, points_for_web

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href") and v]


def _written(run, tmp_path):
    path = tmp_path / "report.html"
    write_report(run, path)
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.S)[1])
    return text, page, data


def test_the_page_is_whole_and_asks_nothing_of_the_network(run, tmp_path):
    text, page, data = _written(run, tmp_path)
    assert "{{" not in text
    assert page.tags.count("script") == 2
    assert all(link.startswith(("data:", "#h-")) for link in page.links)
    assert "default-src 'none'" in text
    assert len(data["rows"]) == len(run.spines)
    assert data["profiles"][0]["s"][0] == 0.0
    assert {"#h-types", "#h-dist", "#h-continuum"} <= set(page.links)
    for word in ("cell 1.csv", "A note.", "simulate.localize", "ab" * 32):
        assert word in text


def test_quantised_surface_is_the_surface(run, tmp_path):
    _, _, data = _written(run, tmp_path)
    mesh = data["mesh"]
    packed = np.frombuffer(base64.b64decode(mesh["vertices"]), "<u2").reshape(-1, 3)
    xyz = packed / 65535 * mesh["span"] + mesh["low"]
    np.testing.assert_allclose(xyz, run.envelope.mesh.vertices, atol=0.2)
    faces = np.frombuffer(base64.b64decode(mesh["faces"]), "<u4").reshape(-1, 3)
    np.testing.assert_array_equal(faces, run.envelope.mesh.faces)


def test_names_from_files_cannot_become_code(run, tmp_path):
    table = run.spines.table.copy()
    table["note"] = EVIL
    hostile = type(run)(
        run.localizations.replace(
            table=run.localizations.table.assign(channel=EVIL), operation=EVIL
        ),
        type(run.spines)(**{**vars(run.spines), "table": table}),
        run.envelope,
        type(run.config)(Path("<script>alert(3)</script>.csv"), {"x": {EVIL: EVIL}}),
        notes=(EVIL,),
        versions={EVIL: EVIL},
    )
    text, page, data = _written(hostile, tmp_path)
    assert page.tags.count("script") == 2
    assert not re.search(r"<img[^>]*onerror", text)
    assert data["rows"][0]["note"] == EVIL


def test_no_shaft_is_said_in_plain_words(run, tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=300)
    locs = ns.from_arrays(ball.vertices)
    envelope = ns.envelope(locs)
    text, page, data = _written(type(run)(locs, ns.find_spines(envelope, locs), envelope), tmp_path)
    assert "No shaft with spines was found" in text
    assert data["rows"] == []
    # What would be empty is neither shown nor linked to
    assert '<main class="empty">' in text
    assert {"#h-view", "#h-table"} <= set(page.links)
    assert not {"#h-types", "#h-dist", "#h-continuum"} & set(page.links)


def test_large_surfaces_and_clouds_are_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr("nanospine.output.report.scene._MOST_FACES", 2000)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=500)
    labels = (ball.vertices[:, 0] > 0).astype(np.int64) - 1
    data, note = mesh_for_web(ball, labels)
    faces = np.frombuffer(base64.b64decode(data["faces"]), "<u4").reshape(-1, 3)
    assert 300 < len(faces) <= 2000
    assert "thinned from 20,480" in note
    kept = np.frombuffer(base64.b64decode(data["labels"]), "<i2")
    assert set(kept) == {-1, 0}
    points, note = points_for_web(np.random.default_rng(0).random((400_000, 3)), None)
    assert "one in 3 of 400,000" in note
    assert len(base64.b64decode(points["positions"])) == 6 * -(-400_000 // 3)
