"""Lists of numbers in an Arrow file: each sentence's gathered into batches; words as numbers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.kernels.padding import gather

KINDS = {
    "words": np.int32,
    "gold": np.int16,
    "paths": np.int16,
    "path_log_probs": np.float32,
    "log_marginals": np.uint16,
    "emissions": np.float32,
    "teacher": np.int16,
    "saliency": np.float32,
    "vectors": np.uint16,
}


class Column:
    """Where each sentence's numbers of one column lie in the file, seen as one array of numbers.

    `starts`, `lengths` [sentences]. Halves are gathered as 16 bits: the kernels know no such float.
    """

    def __init__(self, file: pa.Buffer, batches: Sequence[pa.RecordBatch], name: str) -> None:
        kind = np.dtype(KINDS[name])
        self._values = np.frombuffer(file, kind, file.size // kind.itemsize)
        starts, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for batch in batches:
            column = batch.column(name)
            values = column.values.indices if name == "words" else column.values
            borders = column.offsets.to_numpy().astype(np.int64)
            if len(values):
                address = values.buffers()[1].address - file.address
                borders += address // kind.itemsize + values.offset
            starts.append(borders[:-1])
            lengths.append(np.diff(borders))
        self.starts, self.lengths = np.concatenate(starts), np.concatenate(lengths)

    def gathered(
        self, chosen: np.ndarray, rows: np.ndarray, lengths: np.ndarray, batch: np.ndarray
    ) -> np.ndarray:
        """`batch` [chosen, rows, numbers], into which so many rows of so many numbers are read."""
        gather(self._values, self.starts[chosen], rows, lengths, batch)
        return batch


class Vocabulary:
    """The distinct words so far, in order of their first occurrence."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._known = pa.array([], pa.string())

    def numbered(self, words: pa.Array) -> pa.DictionaryArray:
        """Words as their places in the vocabulary, which learns those that are new."""
        encoded = words.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        new = [word for word in distinct if word not in self._places]
        for word in new:
            self._places[word] = len(self._places)
        self._known = pa.concat_arrays([self._known, pa.array(new, pa.string())])
        places = np.array([self._places[word] for word in distinct], dtype=np.int32)
        numbers = places[encoded.indices.to_numpy()]
        return pa.DictionaryArray.from_arrays(pa.array(numbers), self._known)
