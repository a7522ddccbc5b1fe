"""What a command may ask of any task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config
from mmengine.evaluator import DumpResults
from mmengine.evaluator.metric import BaseMetric

from ...data.folder import Folder
from ...data.survey import Survey
from ..image_size import Scale, in_network, scale_of
from ..mirrored import mirrored
from ..titles import draw_with


class Task(ABC):
    """One kind of training: how its folder is checked, what a config for it says, and how it is shown.

    Libraries beneath are imported when they are needed: they take seconds, and two of them are optional.

    Attributes:
        name: for users, such as 'detection'.
        scope: its library's name, and scope in MMEngine's registries.
        trained: what comes out of a training, such as 'detector'.
        from_released: whether its trainings are meant to start from released weights.
        titled: what draws pictures that say what they are, by the name of what it takes the place of; the
            hook that draws is the first.
        drawn_if, drawn_into: the hook's arguments that have it draw at all, and into which folder.
    """

    name: ClassVar[str]
    scope: ClassVar[str]
    trained: ClassVar[str]
    from_released: ClassVar[bool] = True
    titled: ClassVar[Mapping[str, str]]
    drawn_if: ClassVar[str] = "draw"
    drawn_into: ClassVar[str] = "test_out_dir"

    @abstractmethod
    def inspect(self, root: Path, cfg: Config, splits: Sequence[str]) -> Folder:
        """Find and check the splits below `root`, as they will be read by `cfg`.

        Args:
            splits: those that are needed, of 'train', 'val' and 'test'.

        Raises:
            DataError: with everything that is wrong, in one message.
        """

    def look(self, root: Path) -> Folder:
        """`inspect`, where nobody says yet what will be trained.

        Raises:
            DataError: as there.
        """
        return self.inspect(root, Config(), ("train", "val"))

    @abstractmethod
    def find_split(self, root: Path, name: str) -> Path | None:
        """The file or folder that holds a split, if there is one; it is not looked into."""

    @abstractmethod
    def point(self, cfg: Config, folder: Folder) -> None:
        """Make `cfg` train and evaluate on a folder, in place.

        Raises:
            DataError: where the config cannot be made to.
        """

    @abstractmethod
    def survey(self, cfg: Config, folder: Folder | None) -> Survey | None:
        """How much there is to train on, in the folder that `cfg` was pointed at, else in its own data set.

        Returns:
            None where nobody can tell.

        Raises:
            SystemExit: where the data cannot be read.
        """

    def notes(self, cfg: Config, folder: Folder) -> Iterator[str]:
        """What a config does otherwise than a folder's owner may think."""
        yield from ()

    @abstractmethod
    def complete(self, cfg: Config) -> None:
        """Set, in place, what must go together in a config, whoever wrote it."""

    def title_pictures(self, cfg: Config) -> None:
        """Have pictures say what they are: truth beside prediction, in place."""
        draw_with(cfg, self.titled)

    def draw_test(self, cfg: Config, show: bool, folder: str | None, seconds: float) -> None:
        """Draw each image of a test, in place.

        Args:
            show: in a window, for some seconds each.
            folder: for files, an absolute path.
        """
        hook = cfg.setdefault("default_hooks", {}).setdefault("visualization", {})
        hook.setdefault("type", next(iter(self.titled.values())))
        hook.update({self.drawn_if: True, "interval": 1})
        if show:
            hook.update(show=True, wait_time=seconds)
        if folder is not None:
            hook[self.drawn_into] = folder

    def record(self, file: str) -> BaseMetric:
        """What writes all predictions of a test to a .pkl file."""
        return DumpResults(out_file_path=file)

    @abstractmethod
    def tta_model(self, cfg: Config) -> dict[str, Any]:
        """What merges the results of several views of an image; it lacks the `module` that sees them."""

    def tta_pipeline(self, cfg: Config, pipeline: Sequence[Any]) -> Sequence[Any]:
        """A test pipeline that makes the views: of an image and its mirror image."""
        return mirrored(pipeline)

    def in_network(self, cfg: Config, width: int, height: int) -> Scale:
        """Width and height that an image has in the network."""
        return in_network(scale_of(cfg), width, height)
