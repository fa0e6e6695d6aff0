"""Train the small U-Net that nanospine ships, on simulated volumes alone, and export it to ONNX.

    python benchmarks/train_unet.py --cache /some/folder --seconds 600

(or --steps 7300, which does not depend on the speed of the machine)

Two decoders on one encoder give two probabilities: dendrite (shaft and spines) and spine. Input are
planes of counts at 40 nm with their neighbours as channels; planes along z, y and x alike. Needs
torch and onnx; using the model needs onnxruntime only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nanospine.output.training_volumes import simulated_pair

OFFSETS = (-5, -3, -1, 0, 1, 3, 5)
VOXEL_NM = 40.0
FIRST_UNSEEN = 1000


def block(n_in: int, n_out: int, convs: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convs):
        layers += [
            nn.Conv2d(n_in if i == 0 else n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class DualUNet(nn.Module):
    """One encoder, two decoders; three halvings."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        w = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(
            [block(len(OFFSETS), w[0]), block(w[0], w[1]), block(w[1], w[2]), block(w[2], w[3])]
        )
        self.up = nn.ModuleList(
            nn.ModuleList([block(w[i + 1] + w[i], w[i], 1) for i in (2, 1, 0)]) for _ in range(2)
        )
        self.head = nn.ModuleList(nn.Conv2d(w[0], 1, 1) for _ in range(2))
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for i, stage in enumerate(self.down):
            x = stage(x if i == 0 else self.pool(x))
            kept.append(x)
        out = []
        for stages, head in zip(self.up, self.head, strict=True):
            y = kept[3]
            for i, stage in zip((2, 1, 0), stages, strict=True):
                y = stage(torch.cat([self.grow(y), kept[i]], dim=1))
            out.append(head(y))
        return torch.cat(out, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.logits(x))


def volumes(seeds: range, cache: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Counts (uint8) and labels (0 background, 1 shaft, 2 spine) of each seed."""
    found = []
    for seed in seeds:
        path = cache / f"volume_{seed}.npz"
        if not path.exists():
            pair = simulated_pair(seed, voxel_nm=VOXEL_NM, length_nm=4000.0)
            counts = np.minimum(pair.image.data, 255).astype(np.uint8)
            np.savez_compressed(path, counts=counts, labels=np.minimum(pair.labels.data, 2))
        with np.load(path) as file:
            found.append((file["counts"], file["labels"].astype(np.uint8)))
    return found


def batch(
    data: list[tuple[np.ndarray, np.ndarray]], size: int, crop: int, draw: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of planes along a random axis, flipped, turned and thinned."""
    reach = max(OFFSETS)
    images, targets = [], []
    while len(images) < size:
        counts, labels = data[int(draw.integers(len(data)))]
        axis = int(draw.integers(3))
        counts, labels = np.moveaxis(counts, axis, 0), np.moveaxis(labels, axis, 0)
        # Mostly around a voxel of the dendrite, often of a spine.
        kind = draw.random()
        if kind < 0.85:
            wanted = 2 if kind < 0.5 else 1
            for _ in range(200):
                at = draw.integers(0, counts.shape)
                if labels[tuple(at)] >= wanted:
                    break
        else:
            at = draw.integers(0, counts.shape)
        start = at[1:] - draw.integers(0, crop, 2)
        planes = [int(at[0]) + offset for offset in OFFSETS]
        image = np.zeros((len(OFFSETS), crop, crop), dtype=np.float32)
        target = np.zeros((2, crop, crop), dtype=np.float32)
        low, high = np.maximum(start, 0), np.minimum(start + crop, counts.shape[1:])
        if (high - low).min() < 8:
            continue
        there = tuple(slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
        here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        for i, plane in enumerate(planes):
            if 0 <= plane < len(counts):
                image[i][there] = counts[plane][here]
        target[0][there] = labels[at[0]][here] > 0
        target[1][there] = labels[at[0]][here] == 2
        if draw.random() < 0.5:
            image = draw.binomial(image.astype(np.int64), draw.uniform(0.4, 1.0)).astype(np.float32)
        if draw.random() < 0.5:
            image = image[::-1]
        turn, flip = int(draw.integers(4)), draw.random() < 0.5
        image, target = np.rot90(image, turn, (1, 2)), np.rot90(target, turn, (1, 2))
        if flip:
            image, target = image[:, :, ::-1], target[:, :, ::-1]
        images.append(np.log1p(image) / 2)
        targets.append(target)
    assert reach == 5
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets).copy())


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target)
    p = torch.sigmoid(logits)
    both = (p * target).sum(dim=(0, 2, 3))
    dice = 1 - (2 * both + 1) / (p.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3)) + 1)
    return entropy + dice.mean()


def probabilities(model: DualUNet, counts: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean over planes along the axes, shape (2, z, y, x)."""
    total = np.zeros((2, *counts.shape), dtype=np.float32)
    reach = max(OFFSETS)
    for axis in axes:
        line = np.log1p(np.moveaxis(counts, axis, 0).astype(np.float32)) / 2
        padded = [(0, -n % 8) for n in line.shape[1:]]
        line = np.pad(line, [(reach, reach), *padded])
        n = counts.shape[axis]
        found = []
        with torch.no_grad():
            for start in range(0, n, 8):
                stack = [
                    np.stack([line[reach + i + o] for o in OFFSETS])
                    for i in range(start, min(start + 8, n))
                ]
                found.append(model(torch.from_numpy(np.stack(stack))).numpy())
        whole = np.concatenate(found).transpose(1, 0, 2, 3)
        moved = whole[:, :, : line.shape[1] - padded[0][1], : line.shape[2] - padded[1][1]]
        total += np.moveaxis(moved, 1, axis + 1)
    return total / len(axes)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def evaluate(
    model: DualUNet, data: list[tuple[np.ndarray, np.ndarray]], axes: tuple[int, ...]
) -> dict[str, list[float]]:
    model.eval()
    result: dict[str, list[float]] = {"dendrite": [], "spine": [], "shaft": []}
    for counts, labels in data:
        p = probabilities(model, counts, axes)
        body, spine = p[0] > 0.5, (p[1] > 0.5) & (p[0] > 0.5)
        result["dendrite"].append(dice(body, labels > 0))
        result["spine"].append(dice(spine, labels == 2))
        result["shaft"].append(dice(body & ~spine, labels == 1))
    model.train()
    return result


def export(model: DualUNet, path: Path) -> None:
    model.eval()
    example = torch.zeros(2, len(OFFSETS), 32, 48)
    torch.onnx.export(
        model,
        (example,),
        str(path),
        input_names=["planes"],
        output_names=["probabilities"],
        dynamic_axes={k: {0: "n", 2: "h", 3: "w"} for k in ("planes", "probabilities")},
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=400.0, help="CPU seconds of training")
    parser.add_argument("--steps", type=int, default=None, help="instead of --seconds")
    parser.add_argument("--volumes", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    draw = np.random.default_rng(args.seed)
    args.cache.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    train = volumes(range(1, args.volumes + 1), args.cache)
    unseen = volumes(range(FIRST_UNSEEN, FIRST_UNSEEN + 4), args.cache)
    print(f"volumes: {time.process_time() - begun:.0f} CPU s", flush=True)
    model = DualUNet()
    n_parameters = sum(p.numel() for p in model.parameters())
    print(f"{n_parameters} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
    begun, step, spent, shown = time.process_time(), 0, 0.0, 0.0
    while (spent < args.seconds) if args.steps is None else (step < args.steps):
        share = spent / args.seconds if args.steps is None else step / args.steps
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * 0.5 * (1 + np.cos(np.pi * share)) + 1e-5
        image, target = batch(train, 12, 72, draw)
        optimizer.zero_grad()
        loss = loss_of(model.logits(image), target)
        loss.backward()
        optimizer.step()
        step, spent = step + 1, time.process_time() - begun
        if spent - shown > 60:
            shown = spent
            print(f"{spent:.0f} s, step {step}, loss {float(loss):.4f}", flush=True)
    path = args.out or Path("src/nanospine/voxels/models/dual_unet.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), args.cache / "model.pt")
    export(model, path)
    three, one = evaluate(model, unseen, (0, 1, 2)), evaluate(model, unseen, (0,))
    for name, scores in (("planes along z, y and x", three), ("along z only", one)):
        print(name, {k: f"{np.mean(v):.4f} (least {np.min(v):.3f})" for k, v in scores.items()})
    card = {
        "architecture": "one encoder, two decoders, three halvings, width 8, planes as channels",
        "parameters": n_parameters,
        "input": "log1p(counts of localizations per voxel) / 2",
        "voxel_nm": VOXEL_NM,
        "plane_offsets": list(OFFSETS),
        "divisor": 8,
        "outputs": ["dendrite", "spine"],
        "trained_on": f"simulated_pair(seed) for seeds 1 to {args.volumes}, length 4000 nm",
        "training_cpu_seconds": round(spent),
        "steps": step,
        "seed": args.seed,
        "dice_unseen": {k: round(float(np.mean(v)), 4) for k, v in three.items()},
        "dice_unseen_z_only": {k: round(float(np.mean(v)), 4) for k, v in one.items()},
        "unseen": f"seeds {FIRST_UNSEEN} to {FIRST_UNSEEN + 3}",
        "command": "python benchmarks/train_unet.py "
        + (f"--seconds {args.seconds:g} " if args.steps is None else f"--steps {args.steps} ")
        + f"--volumes {args.volumes} --seed {args.seed}",
        "torch": torch.__version__,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "BSD-3-Clause, as nanospine",
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
