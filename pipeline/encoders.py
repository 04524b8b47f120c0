"""Encoders of teachers: a pretrained transformer, one from a configuration, or a larger student.

To add one, write a settings class with `build` and `load` and put its name in `Encoder`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from safetensors import SafetensorError

from pipeline.config import parse, settings
from pipeline.description import read_description, read_weights
from pipeline.emitter import Emitter
from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.places import file_of, located
from pipeline.reading.pieces import Pooling
from pipeline.transformer import TransformerEncoder


@settings
class OverPieces:
    """What transformers share, of teachers and of students: where they come from, how they read."""

    kind: str = ""
    name: str
    """A hub id, a local folder, or an installed package (`package:NAME`)."""
    revision: str | None = None
    """Commit or tag on the hub; a hub id without one may change under you."""
    pooling: Pooling = "first"
    shapes: bool = False
    """Add an embedding of each word's shape to its pieces: casing for encoders that drop it."""
    window: Annotated[int, Field(ge=8)] = 256
    """Pieces that are read at once; longer sentences are read in overlapping windows."""
    overlap: Annotated[int, Field(ge=0)] = 64

    def pretrained(self, place: str, layers: int | None, sha256: str | None) -> TransformerEncoder:
        """The network at a place with its weights, or its first layers."""
        if sha256 is not None:
            _verify(file_of(place, "model.safetensors", self.revision), sha256)
        changed = {} if layers is None else {"num_hidden_layers": layers}
        require_layers(self.configuration(place), layers, self.name)
        options = {"revision": self.revision, "use_safetensors": True, **changed}
        return self.around(_found("AutoModel", place, self.name, **options), self.tokenizer(place))

    def configured(self, place: str, replace: Mapping[str, Any]) -> TransformerEncoder:
        """A fresh network with the configuration at a place, fields of it replaced."""
        config = self.configuration(place)
        for field, value in replace.items():
            if not hasattr(config, field):
                raise InputError(
                    f"encoder.replace.{field}: expected a field of {type(config).__name__}, "
                    f"found none of that name in the configuration of {self.name}"
                )
            setattr(config, field, value)
        return self.around(fresh(config), self.tokenizer(place))

    def load(self, folder: Path) -> TransformerEncoder:
        """The network whose configuration and tokenizer `save` wrote, its weights still fresh."""
        place = str(folder / "encoder")
        config = _found("AutoConfig", place, place)
        return self.around(fresh(config), _found("AutoTokenizer", place, place))

    def configuration(self, place: str) -> Any:
        """That at a place; InputError where there is none."""
        return _found("AutoConfig", place, self.name, revision=self.revision)

    def tokenizer(self, place: str) -> Any:
        """That at a place; InputError where there is none."""
        return _found("AutoTokenizer", place, self.name, revision=self.revision)

    def around(self, model: Any, tokenizer: Any) -> TransformerEncoder:
        """An encoder of words around a network over pieces."""
        return TransformerEncoder(
            model.float(),
            tokenizer,
            pooling=self.pooling,
            shapes=self.shapes,
            window=self.window,
            overlap=self.overlap,
        )


@settings
class Pretrained(OverPieces):
    """A pretrained encoder."""

    kind: Literal["pretrained"] = "pretrained"
    sha256: str | None = None
    """What the weights file of a folder or package must hash to."""
    layers: Annotated[int, Field(ge=1)] | None = None
    """Only so many layers, the first ones; null: all of them."""

    def build(self, sentences: Iterable[Sequence[str]]) -> TransformerEncoder:
        """The pretrained network; the words of its training text are nothing to it."""
        return self.pretrained(located(self.name), self.layers, self.sha256)


@settings
class Configured(OverPieces):
    """A transformer with random weights: the configuration of another, with fields replaced."""

    kind: Literal["configured"] = "configured"
    replace: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """Fields of the configuration, for instance `num_hidden_layers: 2`."""

    def build(self, sentences: Iterable[Sequence[str]]) -> TransformerEncoder:
        """A fresh network of that configuration."""
        return self.configured(located(self.name), self.replace)


Encoder: TypeAlias = Annotated[Pretrained | Configured | BiLSTM, Field(discriminator="kind")]


def load_emitter(folder: Path) -> Emitter:
    """The teacher in a folder without its transitions; InputError where a file is damaged."""
    about = read_description(folder)
    encoder = parse(Encoder, about.encoder, f"{folder / 'tagger.json'}: encoder")
    emitter = Emitter(encoder.load(folder), about.tags)
    stored = read_weights(folder).items()
    own = {name: tensor for name, tensor in stored if not name.startswith("transitions.")}
    emitter.load_state_dict(own)
    return emitter.eval()


def fresh(config: Any) -> Any:
    """A network of that configuration, with random weights."""
    return _transformers().AutoModel.from_config(config)


def require_layers(config: Any, layers: int | None, name: str) -> None:
    """InputError where a network has fewer layers than are asked for."""
    if layers is not None and layers > config.num_hidden_layers:
        raise InputError(
            f"layers: expected at most {config.num_hidden_layers}, which {name} has, found {layers}"
        )


def _verify(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: expected weights with sha256 {expected}, found {found}; "
            "install the pinned version again or change encoder.sha256"
        )


def _found(kind: str, place: str, name: str, **options: Any) -> Any:
    """`kind.from_pretrained`, with one message for what a user can mend. Remote code stays off."""
    if Path(place).is_dir() and options.get("revision") is not None:
        raise InputError(f"encoder.revision: expected none, since {name} is a folder")
    if "revision" in options and options["revision"] is None:
        del options["revision"]
    library = _transformers()
    try:
        return getattr(library, kind).from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError(
            f"encoder.name: expected a hub id that this machine can reach, a local folder with "
            f"config.json, tokenizer and model.safetensors, or package:NAME; found {name!r}: "
            f"{reason}"
        ) from None


def _transformers() -> Any:
    """The library, silenced; imported only where it is used: it takes longer to load than torch."""
    import transformers
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers
