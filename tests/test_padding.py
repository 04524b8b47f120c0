"""The compiled gather does what slices do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.padding import gather


@pytest.mark.parametrize(
    ("kind", "wide"),
    [(np.int16, np.int64), (np.int32, np.int64), (np.float32, np.float32), (np.uint16, np.uint16)],
)
@given(shapes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=6))
def test_rows_are_gathered_and_padding_stays(kind, wide, shapes):
    values = np.arange(200).astype(kind)
    rows, lengths = np.array(shapes, dtype=np.int64).reshape(-1, 2).T.copy()
    starts = np.arange(len(rows), dtype=np.int64)[::-1] * 7
    batch = np.full((len(rows), 4, 6), 9, dtype=wide)
    expected = batch.copy()
    for i, (count, length) in enumerate(shapes):
        block = values[starts[i] : starts[i] + count * length]
        expected[i, :count, :length] = block.reshape(count, length)
    gather(values, starts, rows, lengths, batch)
    np.testing.assert_array_equal(batch, expected)
