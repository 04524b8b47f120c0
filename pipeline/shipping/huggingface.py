"""A transformer student as the Hugging Face library has it: `pipeline("token-classification")`.

It gives each word the best tag by itself, without transitions: that library has none.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.tagger import Tagger
from pipeline.transformer import TransformerEncoder


def hub_model(student: Tagger) -> nn.Module | None:
    """The student's network and head as `AutoModelForTokenClassification`.

    None where the library has no such network: for students that are no transformer, and for those
    that read the shapes of words.
    """
    from transformers import AutoModelForTokenClassification

    encoder = student.encoder
    if not isinstance(encoder, TransformerEncoder) or encoder.shapes is not None:
        return None
    config = copy.deepcopy(encoder.model.config)
    config.id2label = dict(enumerate(student.tags))
    config.label2id = {tag: number for number, tag in enumerate(student.tags)}
    model: Any = AutoModelForTokenClassification.from_config(config)
    lacking, _ = getattr(model, model.base_model_prefix).load_state_dict(
        _whole(encoder.model).state_dict(),
        strict=False,  # a head that pools the text is left out
    )
    heads = [part for _, part in model.named_children() if isinstance(part, nn.Linear)]
    if lacking or len(heads) != 1 or heads[0].weight.shape != student.emit.weight.shape:
        return None
    with torch.no_grad():
        heads[0].weight.copy_(student.emit.weight)
        heads[0].bias.copy_(student.emit.bias)
    return model.eval()


def _whole(model: Any) -> Any:
    """The same network with one table of embeddings, which the library knows, for thin ones."""
    embedding = model.get_input_embeddings()
    if isinstance(embedding, nn.Embedding):
        return model
    whole = copy.deepcopy(model)
    whole.set_input_embeddings(nn.Embedding.from_pretrained(embedding.weight.detach()))
    return whole


def write_hub_model(student: Tagger, folder: Path) -> bool:
    """Write `config.json`, `model.safetensors` and the tokenizer; False where there is none."""
    model: Any = hub_model(student)
    if model is None:
        return False
    encoder: Any = student.encoder
    model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return True
