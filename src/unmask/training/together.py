"""Several networks on one stream of pictures: seeds, sizes, and twins that never see some method.

Loading and degrading pictures costs more than a small network's step on a graphics card, so one stream feeds all. Each
network follows its own recipe, but for the pictures, which come from the first one's; a twin drops the samples of what
its recipe leaves out. What a twin says of the method it never saw is the honest number for methods of tomorrow.

The rates of learning follow the clock where a time is given, so that a run ends on time with a rate of zero whatever
the machine can do; else they follow the iterations, as in `Trainer`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unmask.metrics import roc_auc
from unmask.models.networks import Output, build_network
from unmask.models.networks.export import load_weights
from unmask.training.labelled import LabelledFaces, SourcedBatch, SourcedItems, collate_sourced
from unmask.training.losses import class_loss, mask_loss
from unmask.training.optimizer import Average, build_optimizer, sharpen
from unmask.training.recipe import Recipe
from unmask.training.schedule import learning_rate

_MOST_STEPS = 1_000_000
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Part:
    """One network that takes part."""

    name: str
    """Of its files."""
    recipe: Recipe
    """Its network, seed, optimizer and what it leaves out."""
    every: int = 1
    """It takes every so many of the batches."""


class Learner:
    """A network that takes part, its optimizer and its average."""

    def __init__(self, part: Part, device: str) -> None:
        """Build it."""
        self.part, recipe = part, part.recipe
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.name, **recipe.network.params)
        if recipe.network.encoder_weights is not None:
            load_weights(network.get_submodule("encoder"), Path(recipe.network.encoder_weights), more=True)
        self.network: nn.Module = network.to(device).to(memory_format=torch.channels_last)
        self._parameters = [p for p in self.network.parameters() if p.requires_grad]
        self._optimizer = build_optimizer(self._parameters, recipe.optimizer)
        self.average = Average(self.network, recipe.optimizer.ema_decay or 0.999)
        self.step, self.pictures, self.rate = 0, 0, 0.0
        self._left_out = set(recipe.data.leave_out)
        self._kind = _TYPES[recipe.precision]
        self._device = device.split(":")[0]

    def wanted(self, sources: Sequence[tuple[str, str]]) -> list[int] | None:
        """Return which samples of a batch it learns from, some twice; None for all."""
        if not self._left_out:
            return None
        kept = [i for i, source in enumerate(sources) if not self._left_out & set(source)]
        return (kept * len(sources))[: len(sources)]  # always as many: each new size costs seconds on a graphics card

    def learn(self, image_N3SS: Tensor, target_N2hw: Tensor, label_N: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Do one step at a share of the whole way; return class loss and map loss."""
        recipe = self.part.recipe
        self.rate = learning_rate(recipe, self.step, max(self.step + 1, round((self.step + 0.5) / max(share, 1e-4))))
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        self.network.train()
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._gradients(image_N3SS, target_N2hw, label_N)
        if recipe.optimizer.sharpness_aware:
            sharpen(
                self._parameters, recipe.optimizer.sam_radius,
                lambda: self._gradients(image_N3SS, target_N2hw, label_N),
            )  # fmt: skip
        nn.utils.clip_grad_norm_(self._parameters, recipe.optimizer.clip_norm or float("inf"))
        self._optimizer.step()
        self.average.update(self.network, self.step)
        self.step, self.pictures = self.step + 1, self.pictures + len(label_N)
        return losses

    def _gradients(self, image_N3SS: Tensor, target_N2hw: Tensor, label_N: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradients of a batch; return class loss and map loss."""
        recipe = self.part.recipe
        with torch.autocast(self._device, self._kind, enabled=self._kind != torch.float32):
            output: Output = self.network(image_N3SS)
        loss = class_loss(output.logit_N, label_N, torch.ones_like(label_N, dtype=torch.bool), recipe.loss)
        assert loss is not None
        where = torch.zeros((), device=loss.device)
        if output.mask_N2hw is not None:
            where = mask_loss(output.mask_N2hw, target_N2hw)
        (loss + recipe.loss.mask_weight * where).backward()  # type: ignore[no-untyped-call]
        return loss.detach(), where.detach()

    @torch.no_grad()
    def score(self, images: Tensor, prepare: Any, batch: int = 128) -> NDArray[np.float64]:
        """Return logits of uint8 pictures by the averaged weights."""
        kept = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.network.load_state_dict(self.average.tensors)
        self.network.eval()
        logits = []
        for start in range(0, len(images), batch):
            with torch.autocast(self._device, self._kind, enabled=self._kind != torch.float32):
                part = images[start : start + batch]
                whole = part if len(part) == batch else torch.cat([part, images[: batch - len(part)]])[:batch]
                logits.append(self.network(prepare(whole)).logit_N.float().cpu()[: len(part)])
        self.network.load_state_dict(kept)
        return torch.cat(logits).double().numpy()


class Together:
    """A run of several networks."""

    def __init__(
        self, parts: Sequence[Part], data: Path, out: Path, *, device: str, workers: int, late: Path | None = None
    ) -> None:
        """Read the data, start the loading processes, and build the networks.

        Args:
            parts: The networks; the first one's recipe draws the pictures, and it may leave nothing out.
            data: Folder of packs.
            out: Folder for weights, scores and the log.
            device: ``cpu`` or ``cuda``.
            workers: Processes that load pictures.
            late: See `LabelledFaces`.
        """
        self._parts, self._out, self._device = parts, out, device
        recipe = parts[0].recipe
        self._faces = LabelledFaces(data, recipe, late)
        pairs = recipe.batch_size // 2
        items = SourcedItems(self._faces.training_items(0, range(_MOST_STEPS * pairs)))
        self._batches: Iterator[SourcedBatch] = iter(  # before CUDA starts: the processes are forked
            DataLoader(
                items, pairs, num_workers=workers, collate_fn=collate_sourced, prefetch_factor=4 if workers else None
            )
        )
        validation = self._faces.validation_items()
        loader = DataLoader(validation, 64, num_workers=min(4, workers))
        self._held_out = torch.cat([images for images, _ in loader]) if len(validation) else torch.zeros(0)
        self._rows = [self._faces.packs.faces[i] for i in validation.numbers]
        self.learners = [Learner(part, device) for part in parts]
        self._mean, self._std = (
            torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (recipe.data.mean, recipe.data.std)
        )
        out.mkdir(parents=True, exist_ok=True)

    def _prepare(self, image_N3SS: Tensor) -> Tensor:
        image_N3SS = image_N3SS.to(self._device, non_blocking=True)
        return ((image_N3SS.float() / 255 - self._mean) / self._std).contiguous(memory_format=torch.channels_last)

    def run(
        self, *, seconds: float | None = None, steps: int | None = None, judge_every: float = 60.0
    ) -> Iterator[dict[str, Any]]:
        """Train until the time, or the number of steps, is used up; yield what can be told.

        Args:
            seconds: How long; the rates follow the clock.
            steps: How many batches, where no time is given.
            judge_every: Seconds between two judgements of the first network.
        """
        begun = told = judged = time.monotonic()
        step, sums = 0, torch.zeros(2, device=self._device)
        while (share := self._share(step, steps, seconds, begun)) < 1:
            step += 1
            sums += self._one(step, share)
            now = time.monotonic()
            if now - told > 10 or step == 1:
                told = now
                class_mean, mask_mean = (sums / step).tolist()
                yield {
                    "event": "step", "step": step, "share": round(share, 4), "seconds": round(now - begun, 1),
                    "pictures": self.learners[0].pictures, "class_loss": class_mean, "mask_loss": mask_mean,
                }  # fmt: skip
            if now - judged > judge_every:
                judged = now
                yield {"event": "judged", "step": step, "share": round(share, 4)} | self.judge(self.learners[0])
        seconds_used = round(time.monotonic() - begun, 1)
        for learner in self.learners:
            yield {
                "event": "end", "name": learner.part.name, "steps": learner.step, "pictures": learner.pictures,
                "seconds": seconds_used,
            } | self.judge(learner)  # fmt: skip

    def _share(self, step: int, steps: int | None, seconds: float | None, begun: float) -> float:
        if seconds is not None:
            return (time.monotonic() - begun) / seconds
        return step / steps if steps else 1.0

    def _one(self, step: int, share: float) -> Tensor:
        """Let every network whose turn it is learn from the next batch; return the first one's losses."""
        sourced = next(self._batches)
        batch = sourced.batch
        images = self._prepare(batch.image_N3SS)
        targets, labels = batch.target_N2hw.to(self._device), batch.label_N.to(self._device).float()
        first = torch.zeros(2, device=self._device)
        for number, learner in enumerate(self.learners):
            if (step + number) % learner.part.every:
                continue
            keep = learner.wanted(sourced.sources)
            if keep is None:
                losses = learner.learn(images, targets, labels, share)
            elif keep:
                losses = learner.learn(images[keep], targets[keep], labels[keep], share)
            else:
                continue
            if number == 0:
                first = torch.stack(losses)
        return first

    def judge(self, learner: Learner) -> dict[str, Any]:
        """Return AUCs on what is held out: each method against the authentic pictures of its collection."""
        if not len(self._held_out):
            return {}
        logits = learner.score(self._held_out, self._prepare)
        return {"auc": aucs([(r.collection, r.method, r.label) for r in self._rows], logits)}

    def save(self, learner: Learner) -> Path:
        """Write the averaged weights in half precision, and the scores of what is held out."""
        name = learner.part.name
        tensors = {
            key: (t.half() if t.is_floating_point() and t.ndim > 1 else t).contiguous().cpu()
            for key, t in learner.average.tensors.items()
        }
        path = self._out / f"{name}.safetensors"
        safetensors.torch.save_file(tensors, path)
        if len(self._held_out):
            logits = learner.score(self._held_out, self._prepare)
            lines = [
                f"{r.collection},{r.method},{r.label},{r.group},{r.name},{v:.4f}"
                for r, v in zip(self._rows, logits, strict=True)
            ]
            (self._out / f"{name}.csv").write_text(
                "collection,method,label,group,name,logit\n" + "\n".join(lines) + "\n"
            )
        (self._out / f"{name}.json").write_text(json.dumps(learner.part.recipe.to_dict(), indent=1))
        return path


def aucs(rows: Sequence[tuple[str, str, int]], scores: NDArray[np.float64]) -> dict[str, float]:
    """Return the AUC of each collection and of each of its methods, from (collection, method, label)."""
    found: dict[str, float] = {}
    labels = np.array([label for _, _, label in rows])
    for collection in sorted({collection for collection, _, label in rows if label}):
        mine = np.array([row[0] == collection for row in rows])
        for method in ("", *sorted({method for c, method, label in rows if label and c == collection})):
            of_method = np.array([not method or row[1] == method or not row[2] for row in rows])
            chosen = mine & of_method
            if 0 < labels[chosen].sum() < chosen.sum():
                found[collection + (f"/{method}" if method else "")] = round(roc_auc(labels[chosen], scores[chosen]), 4)
    return found
