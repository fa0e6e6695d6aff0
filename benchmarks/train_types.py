"""Train the model of expert types, and tell how well it does on dendrites it has not seen.

    python benchmarks/train_types.py FOLDER_OF_SPINETOOL_SHAPES [--write]

The folder holds `spine_labels.csv` (columns `spine_id`, `consensus_reduced`) and `dendrites/*.npz`
(vertices_um, faces, spine_index per vertex). Simulated spines of three types are added, so that
surfaces without a microscope's blur are known too. Accuracy is that of cross-validation by
dendrite, ten folds, four shuffles; probabilities are compared with how often they come true.
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import trimesh
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nanospine as ns
from nanospine.spines.learned_types import FEATURES, shape_features
from nanospine.spines.levels import part_of

TARGET = Path(__file__).resolve().parents[1] / "src/nanospine/spines/models/types_v1.json"
WEIGHT_OF_SIMULATED = 0.25


def labelled(folder: Path) -> tuple[pd.DataFrame, int]:
    labels = pd.read_csv(folder / "spine_labels.csv").set_index("spine_id")["consensus_reduced"]
    rows, closed = [], 0
    for path in sorted(folder.glob("dendrites/*.npz")):
        data = np.load(path)
        mesh = trimesh.Trimesh(data["vertices_um"] * 1000.0, data["faces"], process=False)
        of = data["spine_index"]
        for number in np.unique(of[of >= 0]):
            kind = labels.get(f"{path.stem}__spine_{number}")
            if not isinstance(kind, str):
                continue
            part, _ = part_of(mesh, (of[mesh.faces] == number).all(axis=1))
            try:
                values = shape_features(part)
            except ns.NanospineError:
                closed += 1
                continue
            rows.append([path.stem, kind.lower(), *values])
    return pd.DataFrame(rows, columns=["dendrite", "type", *FEATURES]), closed


def simulated(count: int, seed: int) -> pd.DataFrame:
    rows = []
    for number in range(count):
        kind = ("mushroom", "stubby", "thin")[number % 3]
        shape = ns.simulate.spine(kind, seed=seed + number, voxel_nm=40)
        for spine in ns.find_spines(shape.mesh).spines[:1]:
            rows.append(["simulated", kind, *shape_features(spine.mesh)])
    return pd.DataFrame(rows, columns=["dendrite", "type", *FEATURES])


def fit(real: pd.DataFrame, drawn: pd.DataFrame, strength: float) -> object:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
    both = pd.concat([real, drawn])
    weight = np.r_[np.ones(len(real)), np.full(len(drawn), WEIGHT_OF_SIMULATED)]
    model.fit(
        both[list(FEATURES)].to_numpy(), both["type"], logisticregression__sample_weight=weight
    )
    return model


def validated(real: pd.DataFrame, drawn: pd.DataFrame, strength: float) -> dict[str, float]:
    accuracy, balanced, calibration = [], [], []
    for shuffle in range(4):
        folds = StratifiedGroupKFold(10, shuffle=True, random_state=shuffle)
        probability = np.zeros((len(real), 3))
        for train, test in folds.split(real, real["type"], real["dendrite"]):
            model = fit(real.iloc[train], drawn, strength)
            probability[test] = model.predict_proba(real.iloc[test][list(FEATURES)].to_numpy())
        names = np.array(sorted(real["type"].unique()))
        guess = names[probability.argmax(axis=1)]
        right = (guess == real["type"]).to_numpy()
        accuracy.append(right.mean())
        balanced.append(balanced_accuracy_score(real["type"], guess))
        sure = probability.max(axis=1)
        bins = np.digitize(sure, [0.5, 0.6, 0.7, 0.8, 0.9])
        calibration.append(
            sum(abs(right[bins == b].sum() - sure[bins == b].sum()) for b in range(6)) / len(real)
        )
    print(names, confusion_matrix(real["type"], guess).tolist())
    return {
        "accuracy": float(np.mean(accuracy)), "accuracy_sd": float(np.std(accuracy)),
        "balanced_accuracy": float(np.mean(balanced)),
        "calibration_error": float(np.mean(calibration)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="write the model file")
    parser.add_argument("--strength", type=float, nargs="+", default=[0.3])
    given = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    real, closed = labelled(given.folder)
    drawn, unseen = simulated(90, 1000), simulated(45, 5000)
    print(
        f"{len(real)} labelled spines of {real['dendrite'].nunique()} dendrites, {closed} left "
        f"out (closed surfaces), {len(drawn)} simulated; {real['type'].value_counts().to_dict()}"
    )
    for strength in given.strength:
        told = validated(real, drawn, strength)
        model = fit(real, drawn, strength)
        guess = model.predict(unseen[list(FEATURES)].to_numpy())
        told["accuracy_on_simulated"] = float((guess == unseen["type"]).mean())
        print(strength, {name: round(value, 3) for name, value in told.items()})
    if not given.write:
        return
    scaler, logistic = model.steps[0][1], model.steps[1][1]
    about = {
        "trained_on": f"{len(real)} SpineTool spines with a consensus of 8 experts, 3 classes, and "
        f"{len(drawn)} simulated spines at weight {WEIGHT_OF_SIMULATED}",
        "cross_validated_by_dendrite": {name: round(value, 4) for name, value in told.items()},
        "made_by": "benchmarks/train_types.py", "version": 1,
        "scikit-learn": sklearn.__version__, "python": platform.python_version(),
    }  # fmt: skip
    data = {
        "types": list(logistic.classes_), "features": list(FEATURES),
        "mean": scaler.mean_.round(6).tolist(), "scale": scaler.scale_.round(6).tolist(),
        "coefficients": logistic.coef_.round(6).tolist(),
        "intercept": logistic.intercept_.round(6).tolist(), "about": about,
    }  # fmt: skip
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print("wrote", TARGET.name)


if __name__ == "__main__":
    main()
