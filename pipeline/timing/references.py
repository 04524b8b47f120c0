"""Taggers of a known size with random weights: as slow and as large as trained ones."""

from pathlib import Path

from pipeline.description import read_description
from pipeline.errors import InputError
from pipeline.tagger import Tagger
from pipeline.teachers import load_teacher
from pipeline.transformer import TransformerEncoder


def bert_base(teacher: Path) -> Tagger:
    """A tagger on BERT-base (Devlin et al. 2019: 12 layers, 768 wide) that has learnt nothing.

    Tokenizer and tags are those of a teacher with a transformer; InputError if it has another
    encoder. What a network computes does not depend on its weights' values.
    """
    from transformers import AutoModel, BertConfig

    like, description = load_teacher(teacher).encoder, read_description(teacher)
    if not isinstance(like, TransformerEncoder):
        raise InputError(
            f"{teacher}: expected a teacher with a tokenizer for the reference, found one without; "
            "set speed.reference to null"
        )
    config = BertConfig()
    config.vocab_size = max(config.vocab_size, len(like.tokenizer))
    encoder = TransformerEncoder(
        AutoModel.from_config(config).float(),
        like.tokenizer,
        pooling="first",
        shapes=False,
        window=256,
        overlap=64,
    )
    return Tagger(encoder, description.tags, description.scheme, description.head).eval()
