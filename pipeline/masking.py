"""Words hidden from an encoder, so that only what stands around them speaks."""

import torch

from pipeline.emitter import Encoder, Inputs, Sentences
from pipeline.transformer import TransformerEncoder


def masked(encoder: Encoder, sentences: Sentences, first: int, every: int) -> Inputs:
    """`encoder.inputs` with words `first`, `first + every`, … of each sentence hidden.

    An encoder of pieces reads its mask piece for every piece of a hidden word, and no shape. As
    many masks as pieces: windows, positions and all other words stay as they were, so that nothing
    but the word itself is taken away; what remains is how many pieces it has. Any other encoder
    reads the word of no characters, which no vocabulary has.
    """
    if isinstance(encoder, TransformerEncoder):
        return _over_pieces(encoder, sentences, first, every)
    hidden = [
        ["" if n % every == first else word for n, word in enumerate(words)] for words in sentences
    ]
    return encoder.inputs(hidden)


def _over_pieces(
    encoder: TransformerEncoder, sentences: Sentences, first: int, every: int
) -> Inputs:
    inputs = encoder.inputs(sentences)
    # 0 at no word; else 1 + the place in the padded batch. In a window that does not own it a word
    # may be seen, yet its own belief never comes from there.
    word = torch.from_numpy(encoder.reader.of_every_piece()(sentences)["word"])
    hidden = (word > 0) & ((word - 1) % inputs["mask"].shape[1] % every == first)
    tokenizer = encoder.tokenizer
    mask = tokenizer.unk_token_id if tokenizer.mask_token_id is None else tokenizer.mask_token_id
    # Shape 0 is that of pieces which are no word's, such as [CLS].
    instead = {"pieces": mask or 0, "shape": 0}
    return inputs | {name: inputs[name].masked_fill(hidden, n) for name, n in instead.items()}
