"""Data sets of the Hugging Face hub, read with the library `datasets` (the extra `hub`)."""

import importlib
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pipeline.config import settings
from pipeline.errors import InputError
from pipeline.raw.records import named, sentence_of
from pipeline.raw.sentences import Sentence


@settings
class Hub:
    """A data set by id. Its `path` is the id, a colon and the split: `owner/name:train`.

    Data sets that are programs are refused: nothing of the hub's code is ever run.
    """

    on_disk: ClassVar[bool] = False

    kind: Literal["hub"] = "hub"
    config: str | None = None
    revision: str | None = None
    words: str = "tokens"
    tags: str | None = "ner_tags"  # None: unlabelled

    def read(self, path: str) -> Iterator[Sentence]:
        """The sentences of a split, streamed; `lines` are rows from 1."""
        for row, (record, labels) in enumerate(self._records(path), start=1):
            lacking = {self.words, self.tags} - {None, *record}
            if lacking:
                raise InputError(
                    f"{path}:{row}: expected the column {', '.join(map(str, lacking))}, "
                    f"found {', '.join(record)}; name `words` and `tags` in `format`"
                )
            tags = named(record[self.tags] if self.tags else None, labels)
            if record[self.words]:
                yield sentence_of(record[self.words], tags, path, row)

    def _records(self, path: str) -> Iterator[tuple[dict[str, Any], list[str] | None]]:
        """The rows of a split, each with the names of integer tags."""
        name, colon, split = path.rpartition(":")
        if not colon:
            raise InputError(f"{path}: expected a data set and its split, as in `{path}:train`")
        datasets = _library(path)
        try:
            data = datasets.load_dataset(
                name, self.config, split=split, revision=self.revision, streaming=True
            )
            labels = _class_names((data.features or {}).get(self.tags))
            for record in data:
                yield record, labels
        except Exception as error:
            # The loader raises what its many back ends raise; whichever, the user must act on it.
            raise InputError(
                f"{path}: expected a data set that the hub serves as data: {error}; "
                f"check the id, `config`, the split and the network, or name local files"
            ) from error


def _library(path: str) -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise InputError(
            f"{path}: expected the library `datasets`, found none; "
            f"install it with `pip install 'limbeck[hub]'`"
        ) from None


def _class_names(feature: Any) -> list[str] | None:
    """The names of class labels in a list feature of `datasets`, None where it has none."""
    return getattr(getattr(feature, "feature", None), "names", None)
