"""Where a history goes and an array comes from: memory on root, ``.npy`` files."""

from .memory import GatheredHistory
from .npy import NpyOutput, read_npy

__all__ = ["GatheredHistory", "NpyOutput", "read_npy"]
