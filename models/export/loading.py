"""SavedModels read from disk, the last one kept.

An export is compared with the live network and then with its programs, each time as
loaded from its folder. Loading it takes CPU time, and the first call of each signature
twice that, because TensorFlow optimizes its graph then. So both use one copy.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf

# Whatever is written again has another stamp.
Stamp = tuple[tuple[str, int, int, int], ...]


def load_saved_model(path: Path) -> Any:
    """Load a SavedModel, unless it is the one that was loaded last and unchanged.

    Args:
        path: Its folder.

    Returns:
        What `tf.saved_model.load` returns.

    Raises:
        OSError: The folder has no SavedModel.
    """
    return load_stamped(path, stamp_files(path))


@lru_cache(maxsize=1)
def load_stamped(path: Path, stamp: Stamp) -> Any:
    """Load the SavedModel of a folder with these files."""
    return tf.saved_model.load(str(path))


def stamp_files(path: Path) -> Stamp:
    """List name, inode, size and time of change of the files that TensorFlow reads."""
    files = sorted([*path.glob("*.pb"), *path.glob("variables/*")])
    stats = [(file.name, file.stat()) for file in files]
    return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns) for name, s in stats)
