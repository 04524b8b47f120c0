"""Networks without pretrained weights: what students are made of, and teachers made larger.

An encoder owes one vector a word. `inputs` turns sentences into tensors, `forward` those into
vectors; padding changes nothing. A teacher may be built of these, so an edit here retrains
teachers; what only students use stands in students.py.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.config import settings
from pipeline.features import Inputs, Width, WordFeatures, WordVectors
from pipeline.kernels.recurrence import bilstm
from pipeline.reading.words import WordReader


@settings
class BiLSTM(WordFeatures):
    """Word, character and shape features, then a bidirectional LSTM.

    Source: the students of Wang et al. 2020 (§4.1), with characters as in Ma and Hovy 2016.
    """

    kind: Literal["bilstm"] = "bilstm"
    hidden: Width = 128
    """Width of the LSTM in each direction."""
    layers: Width = 1

    def network(self, reader: WordReader) -> "BiLSTMEncoder":
        """The network with fresh weights over what a reader reads."""
        return BiLSTMEncoder(self, reader)


class BiLSTMEncoder(WordVectors):
    """The network of `BiLSTM`."""

    def __init__(self, parameters: BiLSTM, reader: WordReader) -> None:
        super().__init__(parameters, reader)
        self.width = 2 * parameters.hidden
        self.lstm = nn.LSTM(
            self.features_width,
            parameters.hidden,
            num_layers=parameters.layers,
            dropout=parameters.dropout if parameters.layers > 1 else 0.0,
            bidirectional=True,
            batch_first=True,
        )
        self._narrow()

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch words width"]:
        """Vectors of words; rows past a sentence's length are zero."""
        return self._dropped(bilstm(self.lstm, self.features(inputs), inputs["lengths"]))
