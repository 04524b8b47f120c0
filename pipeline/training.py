"""One training loop for teacher and student: same seed and same inputs, the same bytes on a CPU.

Every random choice is a function of the seed and the step, so a killed run goes on from any
checkpoint as if it had never stopped.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from pipeline import checkpoints
from pipeline.batching import shuffled
from pipeline.checkpoints import Checkpoint
from pipeline.config import settings
from pipeline.curves import Row
from pipeline.device import moved, seed_of, sow
from pipeline.errors import InputError
from pipeline.lattice import Lattice, NotNumbers
from pipeline.running.progress import log, progress
from pipeline.tagger import Sentences, Tagger

Rate: TypeAlias = Annotated[float, Field(gt=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


@settings
class Training:
    """How a tagger is trained: AdamW, with warm-up, and early stopping on the development F1."""

    epochs: Count
    batch_words: Count = 1024
    """Padded words a batch; pieces of words for an encoder that reads those."""
    accumulate: Count = 1
    """Batches whose gradients make one step."""
    learning_rate: Rate
    """Peak learning rate of the encoder."""
    head_learning_rate: Rate | None = None
    """That of the linear head; null: the encoder's."""
    transition_learning_rate: Rate | None = None
    """That of the transitions, which want a larger one (Wang et al. 2020); null: the head's."""
    decay: Literal["linear", "cosine", "constant"] = "linear"
    warm_up: Share = 0.1
    """Share of the steps in which the rates rise from zero."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Rate = 5.0
    """Largest norm of the gradient."""
    patience: Count | None = None
    """Epochs without a better development F1 after which training stops; null: never."""
    keep: Literal["best", "last"] = "best"
    """Which weights are left: those of the best epoch by development F1, or of the last one."""
    seed: int = 1

    def rate(self, share: float) -> float:
        """Factor on every learning rate when a share of the steps is done.

        Each step asks for its middle: none is taken at a rate of zero, at either end.
        """
        if share < self.warm_up:
            return share / self.warm_up
        rest = (1 - share) / max(1e-9, 1 - self.warm_up)
        return {
            "linear": rest,
            "cosine": 0.5 * (1 - math.cos(math.pi * rest)),
            "constant": 1.0,
        }[self.decay]


@runtime_checkable
class Source(Protocol):
    """Where batches come from; `lengths` says what each sentence takes of a batch's budget."""

    lengths: list[int]

    def drawn(self, epoch: int) -> Sequence[int]:
        """The sentences of an epoch, counted from 0; as many in each."""
        ...

    def batch(self, chosen: Sequence[int]) -> tuple[Sentences, Any]:
        """The words of some sentences, and whatever the loss needs beside the lattice.

        What is random in it is drawn from PyTorch's generator, which the run sows.
        """
        ...


Loss: TypeAlias = Callable[[Lattice, Any, float], Float[Tensor, " batch"]]
"""From a lattice, what came with the batch, and the share of training that is done."""


@dataclass
class Progress:
    """Where a run stands; the part of a checkpoint that is not a tensor."""

    epoch: int = 0
    """Epochs begun, counted from 0."""
    batches: int = 0
    """Batches done within this epoch."""
    steps: int = 0
    loss: float = 0.0
    """Sum of the losses of this epoch's sentences, in nats."""
    sentences: int = 0
    best: float = -1.0
    """Best development F1 so far."""
    since: int = 0
    """Epochs since then."""
    curve: list[Row] = field(default_factory=list)


def fit(
    tagger: Tagger,
    source: Source,
    loss: Loss,
    validate: Callable[[Tagger], float],
    training: Training,
    kept: Path,
) -> list[Row]:
    """Train in place; leaves the weights that `training.keep` says. Returns a row an epoch.

    `validate` gives the development F1 in percent. `kept` is a folder for checkpoints: a run that
    finds one there goes on from it.
    """
    run = _Run(tagger, source, loss, validate, training, kept)
    run.resume()
    size = len(source.drawn(0))
    done = run.progress.epoch * size + run.progress.sentences
    with progress(training.epochs * size, "training", "sentences", done) as advance:
        while not run.finished():
            try:
                run.epoch(advance)
            except NotNumbers as error:
                raise run.diverged(str(error)) from None
    if training.keep == "best":
        tagger.load_state_dict(run.best)
    tagger.eval()
    return run.progress.curve


@dataclass
class _Run:
    """One training run, as `fit` is told of it: its optimiser, and where it stands."""

    tagger: Tagger
    source: Source
    loss: Loss
    validate: Callable[[Tagger], float]
    training: Training
    kept: Path

    def __post_init__(self) -> None:
        self.checkpoint = self.kept / "checkpoint.safetensors"
        self.optimiser = torch.optim.AdamW(_groups(self.tagger, self.training), fused=True)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.progress = Progress()
        self.best = _copy(self.tagger)
        self.saved = time.monotonic()

    def finished(self) -> bool:
        patience = self.training.patience or self.training.epochs
        return self.progress.epoch >= self.training.epochs or self.progress.since >= patience

    def epoch(self, advance: Callable[[int], None]) -> None:
        """The rest of the current epoch, then validation."""
        now = self.progress
        self.tagger.train()
        drawn = self.source.drawn(now.epoch)
        lengths = [self.source.lengths[sentence] for sentence in drawn]
        seed = seed_of(self.training.seed, now.epoch)
        batches = shuffled(lengths, self.training.batch_words, seed)
        for batch in batches[now.batches :]:
            self._learn([drawn[place] for place in batch], len(batches))
            advance(len(batch))
            self._save_now_and_then()
        self._validate()
        self._save_now_and_then()

    def _learn(self, batch: list[int], batches: int) -> None:
        now, most = self.progress, self.training.accumulate
        first = now.batches // most * most
        last = min(first + most, batches)  # the last step of an epoch may have fewer batches
        losses = self._losses(batch, self._share(now.batches, batches))
        total = float(losses.detach().sum())
        if not math.isfinite(total):
            raise self.diverged(f"the loss became {total}")
        if losses.requires_grad:  # else what is not frozen is out of reach, and nothing moves
            (losses.mean() / (last - first)).backward()
        now.loss += total
        now.sentences += len(batch)
        now.batches += 1
        if now.batches == last:
            self._step(self._share((first + last) / 2, batches))

    def _losses(self, batch: list[int], share: float) -> Float[Tensor, " batch"]:
        """One loss a sentence, in nats; where the run stands decides its random numbers."""
        device = self.tagger.emit.weight.device
        sow(device, seed_of(self.training.seed, self.progress.epoch, self.progress.batches))
        words, beside = self.source.batch(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            lattice = self.tagger(self.tagger.encoder.inputs(words))
        return self.loss(lattice, moved(beside, device), share)

    def _share(self, done: int | float, batches: int) -> float:
        """Of the whole training, when so many of this epoch's batches are done."""
        return (self.progress.epoch + done / batches) / self.training.epochs

    def diverged(self, found: str) -> InputError:
        """What tells the user that the weights have run away."""
        return InputError(
            f"training: expected numbers, found in epoch {self.progress.epoch + 1}, step "
            f"{self.progress.steps + 1}: {found}; lower learning_rate or clip, or raise warm_up"
        )

    def _step(self, share: float) -> None:
        factor = self.training.rate(share)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        nn.utils.clip_grad_norm_(self.tagger.parameters(), self.training.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.progress.steps += 1

    def _validate(self) -> None:
        now = self.progress
        f1, mean = self.validate(self.tagger), now.loss / max(1, now.sentences)
        row = {"step": now.steps, "epoch": now.epoch + 1, "loss": mean, "dev_f1": f1}
        now.curve.append({name: round(value, 4) for name, value in row.items()})
        log(f"epoch {now.epoch + 1}: loss {mean:.3f} nats a sentence, development F1 {f1:.2f}")
        now.since = 0 if f1 > now.best else now.since + 1
        if f1 > now.best:
            now.best, self.best = f1, _copy(self.tagger)
        now.epoch, now.batches, now.loss, now.sentences = now.epoch + 1, 0, 0.0, 0

    def _save_now_and_then(self) -> None:
        """A checkpoint where the last is old enough and no gradient is half gathered."""
        pause = float(os.environ.get("LIMBECK_CHECKPOINT_SECONDS", "30"))
        gathered = self.progress.batches % self.training.accumulate == 0
        if gathered and time.monotonic() - self.saved >= pause:
            checkpoint = Checkpoint(_copy(self.tagger), self.best, asdict(self.progress))
            checkpoints.save(self.checkpoint, checkpoint, self.optimiser)
            self.saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        kept = checkpoints.load(self.checkpoint, self.optimiser)
        self.tagger.load_state_dict(kept.now)
        self.best, self.progress = dict(kept.best), Progress(**kept.progress)
        log(f"going on from step {self.progress.steps}, epoch {self.progress.epoch + 1}")


def _groups(tagger: Tagger, training: Training) -> list[dict[str, Any]]:
    """Parameters by learning rate and decay; vectors, such as biases, do not decay."""
    head = training.head_learning_rate or training.learning_rate
    between = training.transition_learning_rate or head
    parts: list[tuple[nn.Module, float, float]] = [
        (cast(nn.Module, tagger.encoder), training.learning_rate, training.weight_decay),
        (tagger.emit, head, training.weight_decay),
        (tagger.projection or nn.Identity(), head, training.weight_decay),
        (tagger.transitions, between, 0.0),
    ]
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for part, rate, decay in parts:
        for weight in part.parameters():
            if weight.requires_grad:
                groups.setdefault((rate, decay if weight.ndim > 1 else 0.0), []).append(weight)
    return [
        {"params": weights, "lr": rate, "weight_decay": decay}
        for (rate, decay), weights in groups.items()
    ]


def _copy(tagger: Tagger) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tagger.state_dict().items()}
