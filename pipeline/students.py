"""Students: small encoders for CPUs, and how a student is made, stored and read.

To add one, write a settings class with `build`, `load`, `teacher` and `lent_by`, and put its name
in `Student`; the contract tests then run over it. Over words, `WordFeatures` has all four: say
`network` alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from pipeline.config import parse, plain, settings
from pipeline.description import Head, read_description, read_weights
from pipeline.encoders import OverPieces, fresh, require_layers
from pipeline.errors import InputError
from pipeline.features import Inputs, Width, WordFeatures, WordVectors
from pipeline.networks import BiLSTM
from pipeline.places import located, teacher_in
from pipeline.reading.words import WordReader
from pipeline.reduction import axes
from pipeline.tagger import Tagger
from pipeline.tags import Scheme
from pipeline.transformer import TransformerEncoder


@settings
class CNN(WordFeatures):
    """Convolutions over words, further apart from layer to layer, and all of them again.

    Source: iterated dilated convolutions, Strubell et al. 2017.
    """

    kind: Literal["cnn"] = "cnn"
    hidden: Width = 96
    """Width of every layer."""
    dilations: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 4)
    """How far apart the three words are that a layer reads, layer by layer."""
    rounds: Width = 1
    """How often all layers are gone through, with the same weights."""

    def network(self, reader: WordReader) -> "CNNEncoder":
        """The network with fresh weights over what a reader reads."""
        return CNNEncoder(self, reader)


class CNNEncoder(WordVectors):
    """The network of `CNN`. A layer adds to what it reads, so that rounds may be many."""

    def __init__(self, parameters: CNN, reader: WordReader) -> None:
        super().__init__(parameters, reader)
        self.width = parameters.hidden
        self.dilations = parameters.dilations * parameters.rounds
        self.first = nn.Linear(3 * self.features_width, self.width)
        layers = (nn.Linear(3 * self.width, self.width) for _ in parameters.dilations)
        self.layers = nn.ModuleList(layers)
        self._narrow()

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        mask = inside(inputs)
        vectors = torch.relu(self.first(neighbours(mask * self.features(inputs), (-1, 0, 1))))
        for n, apart in enumerate(self.dilations):
            # Padding is zero before each layer, as what lies beyond a sentence's ends is.
            read = neighbours(mask * vectors, (-apart, 0, apart))
            vectors = vectors + torch.relu(self.layers[n % len(self.layers)](read))
        return self._dropped(mask * vectors)


@settings
class Window(WordFeatures):
    """The features of a word and of its neighbours, which the tagger's linear layer reads."""

    kind: Literal["window"] = "window"
    reach: Annotated[int, Field(ge=0)] = 2
    """Neighbours on each side."""

    def network(self, reader: WordReader) -> "WindowEncoder":
        """The network with fresh weights over what a reader reads."""
        return WindowEncoder(self, reader)


class WindowEncoder(WordVectors):
    """The network of `Window`: no layer of its own."""

    def __init__(self, parameters: Window, reader: WordReader) -> None:
        super().__init__(parameters, reader)
        self.places = tuple(range(-parameters.reach, parameters.reach + 1))
        self.width = len(self.places) * self.features_width
        self._narrow()

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        mask = inside(inputs)
        return mask * neighbours(mask * self.features(inputs), self.places)


def inside(inputs: Inputs) -> Bool[Tensor, "batch words 1"]:
    """True at words, False at padding."""
    place, lengths = inputs["place"], inputs["lengths"]
    return (torch.arange(place.shape[1], device=place.device) < lengths[:, None])[:, :, None]


def neighbours(
    x: Float[Tensor, "batch words width"], places: Sequence[int]
) -> Float[Tensor, "batch words wider"]:
    """Beside each other: the rows so many words from each one, zero beyond either end."""
    words, reach = x.shape[1], max(map(abs, places))
    padded = nn.functional.pad(x, (0, 0, reach, reach))
    return torch.cat([padded[:, reach + n : reach + n + words] for n in places], dim=2)


@settings
class Transformer(OverPieces):
    """A small transformer: pretrained, its first layers, those of a teacher, or a fresh one."""

    kind: Literal["transformer"] = "transformer"
    layers: Width | None = None
    """Only so many layers, the first ones; null: all of them."""
    replace: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """Fields of the configuration; with any of them, all weights are random."""
    sha256: str | None = None
    """What the weights file of a folder or package must hash to."""
    rank: Width | None = None
    """Embeddings as a table of this width times a matrix, at first the nearest; null: as they are.

    Source: Lan et al. 2020 (ALBERT), §3.1."""

    def build(
        self, sentences: Iterable[Sequence[str]], teachers: Path | None = None
    ) -> TransformerEncoder:
        """The network before training; `teachers` is the folder of trained teachers."""
        encoder = self._whole(located(self.name, teachers))
        return encoder if self.rank is None else _thinned(encoder, self.rank)

    def load(self, folder: Path) -> TransformerEncoder:
        """The network whose configuration and tokenizer `save` wrote, its weights still fresh."""
        encoder = super().load(folder)
        return encoder if self.rank is None else _thinned(encoder, self.rank)

    def _whole(self, place: str) -> TransformerEncoder:
        if self.teacher is not None:
            return self._of_teacher(Path(place))
        if self.replace:
            return self.configured(place, self._replaced())
        return self.pretrained(place, self.layers, self.sha256)

    @property
    def teacher(self) -> str | None:
        """The teacher whose layers these are at first, if any; "" for whichever there is."""
        return teacher_in(self.name)

    def lent_by(self, teacher: str) -> "Transformer":
        """The same settings, beginning as that teacher."""
        return replace(self, name=f"teacher:{teacher}")

    def _replaced(self) -> dict[str, int | float | str | bool]:
        return {
            **self.replace,
            **({} if self.layers is None else {"num_hidden_layers": self.layers}),
        }

    def _of_teacher(self, folder: Path) -> TransformerEncoder:
        if not (folder / "encoder").is_dir():
            raise InputError(
                f"{folder}: expected a teacher that is a transformer, found "
                f"{read_description(folder).encoder['kind']}; choose another `name`"
            )
        place = str(folder / "encoder")
        if self.replace:
            return self.configured(place, self._replaced())
        config = self.configuration(place)
        require_layers(config, self.layers, self.name)
        config.num_hidden_layers = self.layers or config.num_hidden_layers
        encoder = self.around(fresh(config), self.tokenizer(place))
        stored, prefix = read_weights(folder), "encoder."
        own = {
            name: stored.get(prefix + name, weight) for name, weight in encoder.state_dict().items()
        }
        encoder.load_state_dict(own)
        return encoder


class ThinEmbedding(nn.Module):
    """Vectors of pieces [..., width] from a narrow table and a matrix."""

    def __init__(self, table: Float[Tensor, "pieces width"], rank: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = table.shape
        directions = axes(table, rank)
        self.table = nn.Embedding.from_pretrained(table @ directions, freeze=False)
        self.widen = nn.Linear(rank, self.embedding_dim, bias=False)
        self.widen.weight = nn.Parameter(directions.contiguous())

    def forward(self, pieces: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The vectors of pieces."""
        return self.widen(self.table(pieces))

    @property
    def weight(self) -> Float[Tensor, "pieces width"]:
        """The table that these two stand for."""
        return self.table.weight @ self.widen.weight.T


def _thinned(encoder: TransformerEncoder, rank: int) -> TransformerEncoder:
    """The same network, its embeddings thin; InputError where they would not be thinner."""
    table = encoder.model.get_input_embeddings().weight.detach()
    if rank >= table.shape[1]:
        raise InputError(f"rank: expected less than the embeddings' {table.shape[1]}, found {rank}")
    encoder.model.set_input_embeddings(ThinEmbedding(table, rank))
    return encoder


Student: TypeAlias = Annotated[BiLSTM | CNN | Transformer | Window, Field(discriminator="kind")]


def new_student(
    student: Student,
    sentences: Iterable[Sequence[str]],
    tags: Sequence[str],
    scheme: Scheme,
    head: Head,
    teachers: Path | None = None,
) -> Tagger:
    """A student before training; `sentences` are its training text, whose words it may know.

    `teachers` is the folder of trained teachers, for students that begin with a part of one.
    """
    return Tagger(student.build(sentences, teachers), tags, scheme, head)


def save_student(tagger: Tagger, student: Student, folder: Path) -> None:
    """Write a student so that `load_student` reads it."""
    tagger.save(folder, plain(student))


def load_student(folder: Path) -> Tagger:
    """The student in a folder; InputError where a file is missing or damaged."""
    description = read_description(folder)
    student = parse(Student, description.encoder, f"{folder / 'tagger.json'}: encoder")
    tagger = Tagger(student.load(folder), description.tags, description.scheme, description.head)
    return tagger.load_weights(folder)
