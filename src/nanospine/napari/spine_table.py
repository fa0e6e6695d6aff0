"""The table of spines, tied to the selection in the viewer, and corrections by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from nanospine.core.colours import TYPE_COLOURS, rgb
from nanospine.core.errors import NanospineError
from nanospine.napari.layers import KEY
from nanospine.output.corrections import (
    Correction,
    corrected_table,
    read_corrections,
    write_corrections,
)
from nanospine.spines.model import Spine, Spines

if TYPE_CHECKING:
    import napari

__all__ = ["PLANES", "SpineTable", "split_plane"]

Triple = tuple[float, float, float]

#: Planes that a spine can be split by: across its middle, or between two lobes beside each other.
PLANES = ("across", "along")

_SHOWN = ("spine", "type", "neck_diameter_nm", "neck_diameter_low_nm", "neck_diameter_high_nm",
          "length_nm", "head_diameter_nm", "quality", "note")  # fmt: skip


class SpineTable(QWidget):  # type: ignore[misc]
    """A row per spine; picking a row selects the tip in the viewer and the other way round.

    Below the table: call a spine another type, reject it, merge two, split one across its middle or
    between its lobes. What was changed is kept in order and saved as a small JSON, which
    `nanospine spines --corrections` replays and `nanospine report` applies to a report.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.corrections: list[Correction] = []
        self._tips: Any = None
        self._surface: Any = None
        self._linking = False
        self._build()
        self.viewer.layers.events.inserted.connect(self.refresh)
        self.viewer.layers.events.removed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.table = QTableWidget()
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSortingEnabled(True)
        self.table.itemSelectionChanged.connect(self._row_picked)
        self.kind = QComboBox()
        self.kind.addItems(list(TYPE_COLOURS))
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("reason (optional)")
        self.status = QLabel("")
        self.status.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.kind)
        self.plane = QComboBox()
        self.plane.addItems(list(PLANES))
        self.plane.setToolTip("Where a spine is split")
        row.addWidget(self.plane)
        self.buttons = {}
        for name, call in (
            ("retype", self.retype), ("reject", self.reject), ("merge", self.merge),
            ("split", self.split), ("undo", self.undo), ("save ...", self._ask_and_save),
            ("load ...", self._ask_and_load),
        ):  # fmt: skip
            button = QPushButton(name)
            button.clicked.connect(lambda _checked=False, call=call: call())
            row.addWidget(button)
            self.buttons[name] = button
        layout = QVBoxLayout(self)
        for item in (self.table, self.reason):
            layout.addWidget(item)
        layout.addLayout(row)
        layout.addWidget(self.status)

    # -- what is shown ---------------------------------------------------------------------

    @property
    def spines(self) -> Spines | None:
        """The spines of the topmost layer of tips."""
        return None if self._tips is None else self._tips.metadata[KEY]

    def refresh(self, _event: Any = None) -> None:
        """Show the spines of the topmost layer that has a table of them."""
        held = [
            layer for layer in self.viewer.layers if isinstance(layer.metadata.get(KEY), Spines)
        ]
        tips = next((item for item in reversed(held) if hasattr(item, "selected_data")), None)
        if tips is not self._tips:
            self._tips = tips
            self.corrections = []
            if tips is not None:
                tips.selected_data.events.items_changed.connect(self._tip_picked)
        self._surface = next(
            (item for item in reversed(held) if hasattr(item, "vertex_colors")), None
        )
        self._fill()

    @property
    def frame(self) -> pd.DataFrame:
        """The table with the corrections applied."""
        if self.spines is None:
            return pd.DataFrame(columns=list(_SHOWN))
        return corrected_table(self.spines.table, self.corrections)[0]

    def _fill(self) -> None:
        frame = self.frame
        self._linking = True
        self.table.setSortingEnabled(False)
        self.table.setColumnCount(len(_SHOWN))
        self.table.setHorizontalHeaderLabels([name.replace("_", " ") for name in _SHOWN])
        self.table.setRowCount(len(frame))
        for row, (_, values) in enumerate(frame.iterrows()):
            for column, name in enumerate(_SHOWN):
                self.table.setItem(row, column, _cell(values[name]))
        self.table.setSortingEnabled(True)
        self._linking = False

    # -- picking ---------------------------------------------------------------------------

    def selected(self) -> list[int]:
        """Numbers of the spines whose rows are picked, in the order of the table."""
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [int(self.table.item(row, 0).data(Qt.ItemDataRole.DisplayRole)) for row in rows]

    def select(self, numbers: list[int]) -> None:
        """Pick the rows of spines."""
        self._linking = True
        self.table.clearSelection()
        mode = QAbstractItemView.SelectionMode
        self.table.setSelectionMode(mode.MultiSelection)
        for row in range(self.table.rowCount()):
            if int(self.table.item(row, 0).data(Qt.ItemDataRole.DisplayRole)) in numbers:
                self.table.selectRow(row)
        self.table.setSelectionMode(mode.ExtendedSelection)
        self._linking = False

    def _row_picked(self) -> None:
        if self._linking or self.spines is None:
            return
        numbers = self.selected()
        place = {int(number): row for row, number in enumerate(self.spines.table["spine"])}
        self._linking = True
        self._tips.selected_data = {place[number] for number in numbers}
        self._linking = False
        if len(numbers) == 1:
            self.viewer.camera.center = tuple(self._tips.data[place[numbers[0]]])
        self._paint()

    def _tip_picked(self, _event: Any = None) -> None:
        if self._linking or self.spines is None:
            return
        numbers = self.spines.table["spine"].to_numpy()
        self.select([int(numbers[row]) for row in self._tips.selected_data])
        self._paint()

    def _paint(self) -> None:
        """Colour the surface: types as corrected, picked spines lighter, rejected ones grey."""
        if self._surface is None or self.spines is None:
            return
        frame = self.frame
        colour = dict(zip(frame["spine"], frame["type"], strict=True))
        rgba = np.array(self._surface.vertex_colors, dtype=np.float32)
        joined = {item.other: item.spine for item in self.corrections if item.action == "merge"}
        picked = set(self.selected())
        for number in self.spines.table["spine"]:
            here = self.spines.vertex_spine == number
            owner = joined.get(int(number), int(number))
            paint = rgb(TYPE_COLOURS[colour[owner]]) if owner in colour else np.full(3, 0.35)
            rgba[here, :3] = 0.5 * paint + 0.5 if owner in picked else paint
        self._surface.vertex_colors = rgba

    # -- corrections -----------------------------------------------------------------------

    def retype(self) -> None:
        """Give the picked spines the type that is chosen."""
        self._apply(
            [self._made("retype", n, type=self.kind.currentText()) for n in self.selected()]
        )

    def reject(self) -> None:
        """Take the picked spines out."""
        self._apply([self._made("reject", n) for n in self.selected()])

    def merge(self) -> None:
        """Make the picked spines one: the first stays."""
        numbers = self.selected()
        if len(numbers) < 2:
            self.status.setText("Pick two spines or more to merge them.")
            return
        first, *others = numbers
        self._apply([self._made("merge", first, other=n) for n in others])

    def split(self) -> None:
        """Split the picked spine in two by the plane that is chosen."""
        numbers = self.selected()
        if len(numbers) != 1 or self.spines is None:
            self.status.setText("Pick one spine to split it.")
            return
        spine = next(item for item in self.spines.spines if item.id == numbers[0])
        point, normal = split_plane(spine, self.plane.currentText())
        self._apply([self._made("split", numbers[0], point_nm=point, normal=normal)])

    def undo(self) -> None:
        """Take the last change back."""
        if self.corrections:
            gone = self.corrections.pop()
            self._changed(f"taken back: {gone.words}")

    def save(self, path: Path) -> None:
        """Save the changes as JSON."""
        write_corrections(self.corrections, path)
        self.status.setText(f"{len(self.corrections)} corrections saved to {path}")

    def load(self, path: Path) -> None:
        """Take changes from a file, on top of none, and show them."""
        self.corrections = list(read_corrections(path))
        self._changed(f"{len(self.corrections)} corrections loaded from {path}")

    def _made(self, action: str, number: int, **more: Any) -> Correction:
        """One change, with the reason that is written and the tip that tells the spine."""
        tip = None
        for spine in () if self.spines is None else self.spines.spines:
            if spine.id == number:
                x, y, z = (round(float(v), 1) for v in spine.centreline_nm[-1])
                tip = (x, y, z)
        reason = str(self.reason.text()).strip()
        return Correction(action, number, reason=reason, tip_nm=tip, **more)

    def _apply(self, changes: list[Correction]) -> None:
        if not changes:
            self.status.setText("Pick a spine in the table first.")
            return
        self.corrections += changes
        self._changed(" ".join(item.words for item in changes))

    def _changed(self, text: str) -> None:
        self._fill()
        self._paint()
        self.status.setText(text)

    def _ask_and_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save corrections", "corrections.json", "*.json"
        )
        if not name:
            return
        self._tried(self.save, Path(name))

    def _ask_and_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load corrections", "", "*.json")
        if name:
            self._tried(self.load, Path(name))

    def _tried(self, call: Callable[[Path], None], path: Path) -> None:
        try:
            call(path)
        except NanospineError as error:
            self.status.setText(str(error))


def split_plane(spine: Spine, kind: str) -> tuple[Triple, Triple]:
    """Give a point and the normal of the plane that splits a spine.

    "across" goes through the middle of the centreline; "along" lies between the two lobes in
    which the outer half of the surface falls apart best: for two spines that were taken for one.
    """
    line = np.asarray(spine.centreline_nm, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    middle = int(np.clip(np.searchsorted(along, along[-1] / 2), 1, len(line) - 2))
    point, normal = line[middle], line[middle + 1] - line[middle - 1]
    if kind == "along":
        from scipy.cluster.vq import kmeans2

        xyz = np.asarray(spine.mesh.vertices, dtype=np.float64)
        height = (xyz - line[0]) @ (line[-1] - line[0])
        outer = xyz[height >= np.median(height)]
        first = outer[int(np.linalg.norm(outer - outer.mean(axis=0), axis=1).argmax())]
        second = outer[int(np.linalg.norm(outer - first, axis=1).argmax())]
        lobes, _ = kmeans2(outer, np.stack([first, second]), minit="matrix")
        point, normal = lobes.mean(axis=0), lobes[1] - lobes[0]
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
    return _triple(point), _triple(normal)


def _triple(values: Any) -> Triple:
    x, y, z = (round(float(v), 4) for v in values)
    return x, y, z


def _cell(value: Any) -> QTableWidgetItem:
    """A cell that sorts numbers as numbers."""
    item = QTableWidgetItem()
    if isinstance(value, float | np.floating):
        if np.isfinite(value):
            item.setData(Qt.ItemDataRole.DisplayRole, round(float(value), 2))
    elif isinstance(value, int | np.integer):
        item.setData(Qt.ItemDataRole.DisplayRole, int(value))
    elif value is not None and value == value:
        item.setData(Qt.ItemDataRole.DisplayRole, str(value))
    return item
