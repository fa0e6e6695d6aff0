"""Widgets: clean localizations, wrap them, find spines; each with progress and a stop button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSpinBox,
    Label,
    LineEdit,
    ProgressBar,
    PushButton,
    TextEdit,
)

from nanospine.core.errors import NanospineError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.napari.jobs import Job, StoppedError
from nanospine.napari.layers import (
    KEY,
    LayerData,
    envelope_layer,
    localization_layer,
    spine_layers,
)
from nanospine.surface.enveloped import Envelope

if TYPE_CHECKING:
    import napari

__all__ = ["EnvelopeWidget", "FilterWidget", "SpinesWidget", "StepWidget"]


class StepWidget(Container):  # type: ignore[misc]
    """What the widgets share: the layer they take, a button to run and to stop, and a bar.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    takes : type or tuple of types
        Of what a layer must hold to be offered.
    options : list of magicgui widgets
    verb : str
        On the button.
    """

    def __init__(
        self,
        napari_viewer: napari.Viewer,
        takes: type | tuple[type, ...],
        options: list[Any],
        verb: str,
    ) -> None:
        self.viewer = napari_viewer
        self._takes = takes
        self.layer = ComboBox(label="layer", choices=self._names)
        self.run_button = PushButton(text=verb)
        self.stop_button = PushButton(text="stop", enabled=False)
        self.bar = ProgressBar(value=0, max=100, visible=False)
        self.status = Label(value="")
        self.job: Job | None = None
        buttons = Container(
            widgets=[self.run_button, self.stop_button], layout="horizontal", labels=False
        )
        super().__init__(widgets=[self.layer, *options, buttons, self.bar, self.status])
        self.run_button.changed.connect(self.start)
        self.stop_button.changed.connect(self.stop)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(self._layers_changed)

    def work(self, source: Any, progress: Progress) -> Any:
        """Compute in a thread; the options were read before, in :meth:`prepared`."""
        raise NotImplementedError

    def layers_of(self, found: Any) -> list[LayerData]:
        """Give what to show."""
        raise NotImplementedError

    def said(self, found: Any) -> str:
        """Give the sentence below the button."""
        raise NotImplementedError

    def prepared(self) -> None:
        """Read the options from the window, before the thread starts."""

    def start(self) -> None:
        """Begin with the chosen layer."""
        source = self.source
        if source is None:
            self.status.value = "Choose a layer; File > Open Sample > nanospine has some."
            return
        try:
            self.prepared()
        except NanospineError as error:
            self.status.value = str(error)
            return
        self._busy(True)
        self.job = Job(
            lambda progress: self.work(source, progress),
            on_progress=self._tell,
            on_result=self._done,
            on_error=self._failed,
        )
        self.job.start()

    def stop(self) -> None:
        """Ask to stop."""
        if self.job is not None:
            self.job.stop()
            self.status.value = "stopping ..."

    @property
    def source(self) -> Any:
        """What the chosen layer holds; None without one."""
        name = self.layer.value
        if name is None or name not in self.viewer.layers:
            return None
        return self.viewer.layers[name].metadata.get(KEY)

    def _names(self, _widget: Any = None) -> list[str]:
        return [
            layer.name
            for layer in self.viewer.layers
            if isinstance(layer.metadata.get(KEY), self._takes)
        ]

    def _layers_changed(self, _event: Any = None) -> None:
        self.layer.reset_choices()

    def _tell(self, stage: str, fraction: float) -> None:
        self.bar.value = round(100 * fraction)
        self.status.value = stage

    def _busy(self, busy: bool) -> None:
        self.bar.visible = busy
        self.run_button.enabled = not busy
        self.stop_button.enabled = busy

    def _done(self, found: Any) -> None:
        self._busy(False)
        try:
            for data, options, kind in self.layers_of(found):
                getattr(self.viewer, f"add_{kind}")(data, **options)
            self.status.value = self.said(found)
        except Exception as error:  # noqa: BLE001 - Qt would end the program, and napari with it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._busy(False)
        if isinstance(error, StoppedError):
            self.status.value = "stopped"
        elif isinstance(error, NanospineError):
            self.status.value = str(error)
        else:
            self.status.value = f"{type(error).__name__}: {error} (a fault of nanospine)"


class FilterWidget(StepWidget):
    """Conditions and steps on localizations; the result is a new layer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.where = LineEdit(label="keep where", tooltip="photons > 500 and precision_x_nm < 20")
        self.steps = TextEdit(
            label="steps", tooltip="one a line: drop_sparse 50, link_localizations 40 dark_frames=1"
        )
        self._asked: tuple[Any, ...] = ()
        super().__init__(napari_viewer, Localizations, [self.where, self.steps], "clean")

    def prepared(self) -> None:
        """Read conditions and steps; what is wrong with them is said at once."""
        from nanospine.points.steps import Step, parse_step

        asked = [Step("keep_where", {"expression": self.where.value})] if self.where.value else []
        asked += [parse_step(line) for line in self.steps.value.splitlines() if line.strip()]
        self._asked = tuple(asked)

    def work(self, source: Localizations, progress: Progress) -> Localizations:
        """Apply the steps."""
        from nanospine.points.steps import apply_steps

        return apply_steps(source, self._asked, progress=progress)

    def layers_of(self, found: Localizations) -> list[LayerData]:
        """The cleaned localizations."""
        return [localization_layer(found, "cleaned")]

    def said(self, found: Localizations) -> str:
        """How many are left."""
        return f"{len(found):,} localizations are left."


class EnvelopeWidget(StepWidget):
    """The watertight surface around localizations."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.label_type = ComboBox(label="label", choices=["membrane", "filled"])
        self.automatic = CheckBox(text="choose alpha automatically", value=True)
        self.alpha_nm = FloatSpinBox(label="alpha (nm)", value=60.0, min=1.0, max=5000.0)
        options = [self.label_type, self.automatic, self.alpha_nm]
        self._asked: dict[str, Any] = {}
        super().__init__(napari_viewer, Localizations, options, "wrap")

    def prepared(self) -> None:
        """Read the options."""
        alpha = "auto" if self.automatic.value else self.alpha_nm.value
        self._asked = {"label": self.label_type.value, "alpha_nm": alpha}

    def work(self, source: Localizations, progress: Progress) -> Any:
        """Wrap."""
        from nanospine.surface.envelope import envelope

        return envelope(source, progress=progress, **self._asked)

    def layers_of(self, found: Any) -> list[LayerData]:
        """The surface; the outline of 2-D data."""
        if isinstance(found, Envelope):
            return [envelope_layer(found)]
        rings = [ring for part in found.polygon.geoms for ring in (part.exterior, *part.interiors)]
        paths = [[(y, x) for x, y in ring.coords] for ring in rings]
        return [(paths, {"name": "outline", "shape_type": "path", "units": ("nm", "nm")}, "shapes")]

    def said(self, found: Any) -> str:
        """Its size."""
        if isinstance(found, Envelope):
            return f"alpha {found.alpha_nm:.0f} nm, {found.volume_nm3 / 1e9:.3g} µm³"
        return f"alpha {found.alpha_nm:.0f} nm, {found.area_nm2 / 1e6:.3g} µm²"


class SpinesWidget(StepWidget):
    """Spines of localizations: wraps them, splits the spines off, measures the necks."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.label_type = ComboBox(label="label", choices=["membrane", "filled"])
        self.precision_nm = LineEdit(
            label="precision (nm)", tooltip="where the table has none: 10 or 10,10,20"
        )
        self._label: Literal["membrane", "filled"] = "membrane"
        self._precision: float | tuple[float, ...] | None = None
        super().__init__(
            napari_viewer, Localizations, [self.label_type, self.precision_nm], "find spines"
        )

    def prepared(self) -> None:
        """Read the options."""
        from nanospine.core.errors import ConfigError

        self._label, self._precision = self.label_type.value, None
        text = self.precision_nm.value.strip()
        if not text:
            return
        try:
            values = [float(item) for item in text.split(",")]
        except ValueError:
            values = []
        if len(values) not in (1, 3) or min(values) < 0:
            raise ConfigError(f"precision: a number of nm, or three as 10,10,20; found {text!r}.")
        self._precision = values[0] if len(values) == 1 else tuple(values)

    def work(self, source: Localizations, progress: Progress) -> Any:
        """Wrap, split, measure."""
        from nanospine.pipeline import require_points
        from nanospine.spines.find import find_spines
        from nanospine.surface.envelope import envelope

        require_points(source)
        wrapped = envelope(source, label=self._label, progress=progress)
        return find_spines(
            wrapped,
            source,
            label=self._label,
            precision_nm=self._precision,
            progress=progress,
        )

    def layers_of(self, found: Any) -> list[LayerData]:
        """Surface, rings, tips with the table."""
        return spine_layers(found)

    def said(self, found: Any) -> str:
        """How many."""
        if found.shaft is None:
            return found.notes[0] if found.notes else "No shaft with spines was found."
        measured = int(found.table["neck_diameter_nm"].notna().sum())
        return f"{len(found)} spines, {measured} necks measured; see the table of spines."
