"""The training loop, on one page: batch -> loss -> gradients -> step, epoch after epoch, resumable at any step.

    trainer = Trainer(load_recipe(Path("recipes/tiny.toml")), Path("prepared"), Path("runs/tiny"), cluster)
    for event in trainer.run():
        print(event)

The same loop runs in one process, under torchrun and under srun. A resumed run gives the same weights, to the last
bit, as one that was never interrupted: items and learning rates follow from their numbers, and the rest is in the
checkpoint.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from unmask.errors import UsageError
from unmask.metrics import log_loss, roc_auc
from unmask.models.networks import Output, build_network
from unmask.models.networks.export import load_weights
from unmask.storage.atomic import sweep, write_file
from unmask.storage.rowlog import json_line
from unmask.training.checkpoint import is_better, load_checkpoint, newest_checkpoint, save_checkpoint
from unmask.training.cluster import Cluster
from unmask.training.data import Batch, collate, numbers_of
from unmask.training.load import load_data
from unmask.training.losses import class_loss, mask_loss
from unmask.training.optimizer import Average, build_optimizer, sharpen
from unmask.training.recipe import Recipe
from unmask.training.schedule import learning_rate

Event = dict[str, Any]
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Trainer:
    """One training run."""

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        out: Path,
        cluster: Cluster = Cluster(),  # noqa: B008 - frozen
        *,
        resume: bool = False,
        workers: int = 0,
        checkpoint_every: int | None = None,
    ) -> None:
        """Build the network and, when resuming, load where the run was.

        Args:
            recipe: The run.
            data: Folder of ``unmask prepare``.
            out: Folder of the run: checkpoints, log, recipe.
            cluster: This process among all.
            resume: Go on from ``out/last``, if it is there.
            workers: Processes that load items, beside this one.
            checkpoint_every: Steps between checkpoints within an epoch; None for the ends of epochs alone.

        Raises:
            UsageError: The data or the recipe make no sense, or ``out`` holds a run and ``resume`` is not set.
        """
        self.recipe, self.out, self.cluster = recipe, out, cluster
        self._workers, self._checkpoint_every = workers, checkpoint_every
        self._data = load_data(data, recipe)
        items = len(self._data.epoch(0))
        self._batch_items = max(1, recipe.batch_size // recipe.data.item_samples)
        step_items = self._batch_items * cluster.size * recipe.accumulate
        self._steps = recipe.batches_per_epoch or max(1, items // step_items)
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.name, **recipe.network.params)
        if recipe.network.encoder_weights is not None:
            load_weights(network.get_submodule("encoder"), Path(recipe.network.encoder_weights), more=True)
        if recipe.network.weights is not None:
            load_weights(network, Path(recipe.network.weights))
        clips = recipe.data.kind in ("clips", "blended_clips")
        self._layout = torch.channels_last_3d if clips else torch.channels_last
        self.network = network.to(cluster.device).to(memory_format=self._layout)
        if cluster.size > 1 and recipe.sync_batchnorm and cluster.device != "cpu":
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)  # type: ignore[no-untyped-call]
        self._parameters = [p for p in self.network.parameters() if p.requires_grad]
        self._optimizer = build_optimizer(self._parameters, recipe.optimizer)
        self._scaler = torch.amp.GradScaler(cluster.device.split(":")[0], enabled=recipe.precision == "fp16")
        decay = recipe.optimizer.ema_decay
        self._average = Average(self.network, decay) if decay is not None else None
        self.epoch, self.step, self.skipped, self.best = 0, 0, 0, None
        self._stop_asked = self.stopped = False
        if (checkpoint := newest_checkpoint(out)) is not None:
            if not resume:
                raise UsageError(f"{out} holds a run; go on with --resume, or name another folder")
            self._load(checkpoint)
        self._board = _open_board(out / "tensorboard") if cluster.is_first else None
        self._parallel: nn.Module = self.network
        if cluster.size > 1:
            place = [cluster.local_rank] if cluster.device != "cpu" else None
            self._parallel = DistributedDataParallel(self.network, device_ids=place)
        self._mean_3, self._std_3 = (
            torch.tensor(values, device=cluster.device).view(1, 3, *[1] * (3 if clips else 2))
            for values in (recipe.data.mean, recipe.data.std)
        )

    @property
    def iteration(self) -> int:
        """Optimizer steps since the start of the run."""
        return self.epoch * self._steps + self.step

    @property
    def iterations(self) -> int:
        """Optimizer steps of the whole run."""
        return self.recipe.epochs * self._steps

    def stop(self) -> None:
        """End `run` after the step under way, with a checkpoint; told to one process, all of a cluster do so."""
        self._stop_asked = True

    def run(self) -> Iterator[Event]:
        """Train, and yield an event after each step and each epoch; ``stopped`` tells afterwards whether `stop` won."""
        self.out.mkdir(parents=True, exist_ok=True)
        if self.cluster.is_first:
            write_file(self.out / "recipe.json", json.dumps(self.recipe.to_dict(), indent=1).encode())
            self._tidy_log()
        while self.epoch < self.recipe.epochs:
            for batches in self._batches():
                event = self._train_step(batches)
                self.step += 1
                yield self._note(event)
                self.stopped = self.cluster.any_of(self._stop_asked)
                if self.stopped or (self._checkpoint_every and self.iteration % self._checkpoint_every == 0):
                    self._save("last")
                if self.stopped:
                    return
            self.epoch, self.step = self.epoch + 1, 0
            # Whatever a kill comes between: a run goes on from ``last``, and does again what came after it.
            event = self._note(self._end_epoch())
            self._save("last")
            yield event

    def _batches(self) -> Iterator[list[Batch]]:
        """Yield the batches of each step that is left of this epoch."""
        recipe, cluster = self.recipe, self.cluster
        accumulate = recipe.accumulate
        batches, first = self._steps * accumulate, self.step * accumulate
        numbers = list(numbers_of(self._batch_items, batches, cluster.rank, cluster.size, first))
        items = self._data.training_items(self.epoch, numbers)
        pin = cluster.device != "cpu"
        loader = self._loader(items, self._batch_items, collate_fn=collate, pin_memory=pin)
        held: list[Batch] = []
        for batch in loader:
            held.append(batch)
            if len(held) == accumulate:
                yield held
                held = []

    def _loader(self, items: Dataset[Any], batch_size: int, **options: Any) -> DataLoader[Any]:
        """Load items; with random numbers of its own, lest it draw from those that a resumed run must find again."""
        options |= {"num_workers": self._workers, "generator": torch.Generator(), "worker_init_fn": _outlive_signals}
        return DataLoader(items, batch_size, **options)

    def _train_step(self, batches: list[Batch]) -> Event:
        """Do one step of the optimizer; one whose gradients are not numbers changes nothing and is counted."""
        rate = learning_rate(self.recipe, self.iteration, self.iterations)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._parallel.train()
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._gradients(batches)
        if self.epoch < self.recipe.freeze_epochs:  # the encoder's batch statistics move on, as with the winner
            for name, parameter in self.network.named_parameters():
                parameter.grad = None if "encoder" in name else parameter.grad
        self._scaler.unscale_(self._optimizer)
        if self.recipe.optimizer.sharpness_aware:
            sharpen(self._parameters, self.recipe.optimizer.sam_radius, lambda: self._gradients(batches))
        clip = self.recipe.optimizer.clip_norm
        norm = float(nn.utils.clip_grad_norm_(self._parameters, clip if clip is not None else math.inf))
        if math.isfinite(norm):
            self._scaler.step(self._optimizer)
            if self._average is not None:
                self._average.update(self.network, self.iteration)
        else:
            self.skipped += 1
        self._scaler.update()
        event = {"event": "step", "epoch": self.epoch, "iteration": self.iteration, "learning_rate": rate}
        return event | {"gradient_norm": norm, "skipped": self.skipped, **losses}

    def _gradients(self, batches: list[Batch]) -> dict[str, float]:
        """Add up the gradients of the batches of one step; return its mean losses."""
        totals: dict[str, float] = {"class_loss": 0.0, "mask_loss": 0.0}
        for number, batch in enumerate(batches, 1):
            last = number == len(batches)
            with self._autocast(), nullcontext() if last else self._without_sync():
                output: Output = self._parallel(self._normalise(batch.image_N3SS))
                device = output.logit_N.device
                valid_N = batch.valid_N.to(device)
                loss = class_loss(output.logit_N, batch.label_N.to(device), valid_N, self.recipe.loss)
                total = output.logit_N.sum() * 0 if loss is None else loss
                totals["class_loss"] += 0.0 if loss is None else float(loss.detach()) / len(batches)
                if output.mask_N2hw is not None:
                    where = mask_loss(output.mask_N2hw, batch.target_N2hw.to(device))
                    total = total + self.recipe.loss.mask_weight * where
                    totals["mask_loss"] += float(where.detach()) / len(batches)
                self._scaler.scale(total / len(batches)).backward()  # type: ignore[no-untyped-call]
        return totals

    def _normalise(self, image_N3SS: Tensor) -> Tensor:
        image_N3SS = image_N3SS.to(self.cluster.device, memory_format=self._layout, non_blocking=True)
        return (image_N3SS.float() / 255 - self._mean_3) / self._std_3

    def _autocast(self) -> AbstractContextManager[object]:
        kind = _TYPES[self.recipe.precision]
        if kind == torch.float32:
            return nullcontext()
        return torch.autocast(self.cluster.device.split(":")[0], dtype=kind)

    def _without_sync(self) -> AbstractContextManager[object]:
        return self._parallel.no_sync() if isinstance(self._parallel, DistributedDataParallel) else nullcontext()

    def _end_epoch(self) -> Event:
        event: Event = {"event": "epoch", "epoch": self.epoch, "iteration": self.iteration}
        if self.epoch % self.recipe.validate_every == 0 or self.epoch == self.recipe.epochs:
            event |= self._validate()
            if is_better(event["loss"], self.best):
                self.best = event["loss"]
                self._save("best")
        self._save(f"epoch_{self.epoch:03d}")
        return event

    @torch.no_grad()
    def _validate(self) -> Event:
        """Score the held-out crops, average them by video, and judge the videos.

        ``loss`` is the mean of the log loss on reals and that on fakes. Source: selimsef/dfdc_deepfake_challenge.
        """
        items = self._data.validation_items()
        sums, counts = np.zeros(len(items.labels)), np.zeros(len(items.labels))
        kept = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        if self._average is not None:
            self.network.load_state_dict(self._average.tensors)
        self.network.eval()
        for image_N3SS, video_N in self._loader(items, 2 * self.recipe.batch_size):
            with self._autocast():
                output: Output = self.network(self._normalise(image_N3SS))
            np.add.at(sums, video_N.numpy(), output.logit_N.float().sigmoid().double().cpu().numpy())
            np.add.at(counts, video_N.numpy(), 1)
        self.network.load_state_dict(kept)
        return video_metrics(items.labels, sums / counts)

    def _tidy_log(self) -> None:
        """Take what is done again off the log, and a line that a kill has torn."""
        path, kept = self.out / "log.jsonl", []
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                if (
                    event["iteration"] + (event["event"] == "step") <= self.iteration
                ):  # a step names what came before it
                    kept.append(line + b"\n")
        write_file(path, b"".join(kept))

    def _note(self, event: Event) -> Event:
        if self.cluster.is_first:
            with (self.out / "log.jsonl").open("a") as file:
                file.write(json_line(event) + "\n")
        if self._board is not None:
            for name, value in event.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{event['event']}/{name}", value, event["iteration"])
        return event

    def _save(self, name: str) -> None:
        """Write a checkpoint from the first process; all contribute their random numbers."""
        own = {"cpu": torch.get_rng_state()}
        if self.cluster.device != "cpu":
            own["cuda"] = torch.cuda.get_rng_state()
        states = [own]
        if self.cluster.size > 1:
            states = [own] * self.cluster.size
            distributed.all_gather_object(states, own)
        if self.cluster.is_first:
            state = {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict(), "random": states}
            average = None if self._average is None else self._average.tensors
            facts: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "skipped": self.skipped, "best": self.best}
            facts |= {"processes": self.cluster.size, "recipe": self.recipe.to_dict()}
            save_checkpoint(self.out / name, self.network.state_dict(), average, state, facts)
            if name == "last":
                sweep(self.out)  # what killed runs left, now that it is not needed to go on from
        if self.cluster.size > 1:
            distributed.barrier()

    def _load(self, folder: Path) -> None:
        weights, average, state, facts = load_checkpoint(folder)
        if not _is_same(facts["recipe"], self.recipe) or facts["processes"] != self.cluster.size:
            raise UsageError(
                f"the run in {folder.parent} had another recipe or {facts['processes']} processes; resume it with the "
                "same, or name another folder"
            )
        self.network.load_state_dict(weights)
        if self._average is not None and average is not None:
            self._average.tensors = {name: tensor.to(self.cluster.device) for name, tensor in average.items()}
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        own = state["random"][self.cluster.rank]
        torch.set_rng_state(own["cpu"])
        if "cuda" in own and self.cluster.device != "cpu":
            torch.cuda.set_rng_state(own["cuda"])
        self.epoch, self.step, self.skipped, self.best = (facts[key] for key in ("epoch", "step", "skipped", "best"))


def _outlive_signals(_: int) -> None:
    """Let a loading process end with its trainer, which has a step to finish when all are told to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _is_same(then: Event, now: Recipe) -> bool:
    """Whether a run goes on by the recipe it began with, but for its epochs; keys that are new have their defaults."""
    try:
        return replace(TypeAdapter(Recipe).validate_json(json.dumps(then)), epochs=now.epochs) == now
    except ValidationError:
        return False


def _open_board(folder: Path) -> Any:
    """Return a writer for TensorBoard, None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder)


def video_metrics(labels: np.ndarray[Any, Any], fake_probabilities: np.ndarray[Any, Any]) -> Event:
    """Return the winner's validation score of videos: the log loss of each class, their mean, and the AUC.

    What a class that is missing would give is None.
    """
    metrics: Event = {"real_loss": None, "fake_loss": None, "auc": None}
    for name, label in (("real_loss", 0), ("fake_loss", 1)):
        chosen = labels == label
        if chosen.any():
            metrics[name] = log_loss(labels[chosen], fake_probabilities[chosen])
    there = [loss for loss in (metrics["real_loss"], metrics["fake_loss"]) if loss is not None]
    if len(there) == 2:
        metrics["auc"] = roc_auc(labels, fake_probabilities)
    return metrics | {"loss": sum(there) / len(there), "videos": len(labels)}
