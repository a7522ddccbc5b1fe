"""Images sorted by class, for MMPretrain: what `data.class_folder` has checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset

from ..data.class_listing import list_split


class ClassFolderDataset(BaseDataset):
    """The images of a split. Label i is the class named `metainfo.classes[i]`.

    It takes the arguments of MMPretrain's datasets besides.

    Args:
        data_root: the folder, in any layout that `tools/train.py --data` reads.
        split: 'train', 'val' or 'test'.
        seed: by which one tree is parted.

    Raises:
        FileNotFoundError: where the folder has no such split.
    """

    def __init__(self, data_root: str, split: str, seed: int = 0, **arguments: Any):
        self.split, self.seed = split, seed
        super().__init__(ann_file="", data_root=data_root, **arguments)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Paths and labels; images of other classes than the config's are left out."""
        root = Path(self.data_root)
        found = list_split(root, self.split, self.seed) if root.is_dir() else None
        if found is None:
            raise FileNotFoundError(f"{root} has no images sorted by class for {self.split}")
        self._metainfo.setdefault("classes", tuple(found.classes))
        labels = self.class_to_idx
        return [
            {"img_path": str(root / path), "gt_label": labels[name]}
            for path, name in found.samples
            if name in labels
        ]
