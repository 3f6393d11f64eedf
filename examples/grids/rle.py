"""Read patterns of automata in the format of their community: run-length encoded, as LifeWiki describes it."""

import re
from pathlib import Path

import numpy as np


def read_rle(path):
    """Return a pattern, shape (rows, columns), int64: 1 for a live cell, 0 for a dead one.

    Raises
    ------
    ValueError
        If the file is no such pattern.
    """
    lines = [line.strip() for line in Path(path).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    header = re.fullmatch(r"x\s*=\s*(\d+)\s*,\s*y\s*=\s*(\d+)(\s*,\s*rule\s*=\s*\S+)?", lines[0] if lines else "")
    if header is None:
        raise ValueError(f"{path}: the first line must be like 'x = 3, y = 3, rule = B3/S23'")
    pattern = np.zeros((int(header[2]), int(header[1])), np.int64)
    body, end, rest = "".join(lines[1:]).partition("!")
    if not end or re.sub(r"\d*[bo$]", "", body) or rest:
        raise ValueError(f"{path}: the cells must be written with b, o, $ and numbers, and end with !")
    row = column = 0
    for number, sign in re.findall(r"(\d*)([bo$])", body):
        count = int(number or 1)
        if sign == "$":
            row, column = row + count, 0
        else:
            if row >= len(pattern) or column + count > pattern.shape[1]:
                raise ValueError(f"{path}: row {row} is beyond the size that the first line gives, {pattern.shape}")
            pattern[row, column : column + count] = sign == "o"
            column += count
    return pattern
