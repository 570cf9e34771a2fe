"""Files of ratings: what is written comes back, in parts and in pieces of a list."""

import os

import numpy as np
import pytest

from mascot_jax.engine.scratch import RATINGS, ReadAhead, Scratch, ScratchFolder, cut, divide
from mascot_jax.errors import DataError, SaveError


def some_blocks(folder, counts):
    """A file of blocks with so many ratings; the columns' values are their numbers."""
    begin = np.append(0, np.cumsum(counts))
    file = Scratch(ScratchFolder(folder), int(begin[-1]))
    for column, dtype in enumerate(RATINGS):
        file.write(column, 0, np.arange(begin[-1]).astype(dtype))
    return file, begin


def test_pieces_of_a_list_hold_its_blocks(tmp_path):
    counts = np.array([3, 0, 5, 1, 4, 2])
    file, begin = some_blocks(tmp_path, counts)
    order = np.array([4, 0, 5, 1, 2, 3])
    seen = []
    for piece in ReadAhead(file, begin, places=7).pieces(order):
        blocks = order[slice(*piece.span)]
        assert piece.ratings == counts[blocks].sum() <= 7
        ends = np.append(piece.begin[1:], piece.ratings)
        for block in range(len(counts)):
            wanted = np.arange(begin[block], begin[block + 1]) if block in blocks else []
            for column in piece.columns:
                assert column[piece.begin[block] : ends[block]].tolist() == list(wanted)
        seen += blocks.tolist()
    assert seen == order.tolist()


def test_pieces_are_as_large_as_they_may_be():
    assert cut(np.array([4, 4, 4]), 8) == [2, 3]
    assert cut(np.array([8, 0, 8]), 8) == [2, 3]
    assert cut(np.array([0, 0]), 1) == [2]


def test_rows_are_divided_in_their_order(tmp_path):
    file = Scratch(ScratchFolder(tmp_path), 6, (np.dtype(np.uint32),))
    parts = [np.array([2, 0, 2], np.uint8), np.array([0, 2, 0], np.uint8)]
    values = np.arange(6, dtype=np.uint32)
    divide(zip(parts, [(values[:3],), (values[3:],)], strict=True), np.array([3, 0, 3]), file)
    assert file.columns()[0].tolist() == [1, 3, 5, 0, 2, 4]


def test_a_file_that_has_no_room_is_refused_at_once(tmp_path):
    with pytest.raises(SaveError, match=r"cannot be written: .*(space|large)"):
        Scratch(ScratchFolder(tmp_path), 1 << 58)
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="its folder is a file: choose another place"):
        Scratch(ScratchFolder(tmp_path / "file"), 1)


def test_a_cut_file_is_an_error(tmp_path):
    file, begin = some_blocks(tmp_path, [3, 3])
    os.truncate(file.fileno(), 20)
    with pytest.raises(DataError, match="has been cut"):
        next(ReadAhead(file, begin, places=6).pieces(np.array([0, 1])))


def test_whatever_is_written_is_noted(tmp_path):
    noted = []
    folder = ScratchFolder(tmp_path, lambda *figures: noted.append(figures))
    folder.expected = 24
    file = Scratch(folder, 2)
    file.write(0, 0, np.zeros(2, np.uint32))
    file.write(2, 1, np.zeros(1, np.float32))
    assert noted == [(8, 24), (12, 24)]
