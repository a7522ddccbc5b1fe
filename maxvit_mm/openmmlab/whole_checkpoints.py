"""Checkpoints of a training: whole or not there at every moment, and the last whole one found again.

Importing this puts `WholeCheckpointHook` in the place of MMEngine's `CheckpointHook`, in every config. The
original goes by its full name, 'mmengine.hooks.CheckpointHook'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from ..weights import CheckpointError, draft_of, drafts_in
from .resuming import checkpoint_to_resume, steps_of

WHOLE = "maxvit_mm.whole"  # the backend's name


@register_backend(WHOLE)
class WholeFiles(LocalBackend):
    """MMEngine's local files, written whole; and removed only once what replaces them is there."""

    def __init__(self) -> None:
        self.outdated: list[Path] | None = None

    def put(self, obj: bytes, filepath: str | Path) -> None:
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        with draft_of(Path(filepath)) as draft:
            draft.write_bytes(obj)

    def remove(self, filepath: str | Path) -> None:
        if self.outdated is None:
            super().remove(filepath)
        else:
            self.outdated.append(Path(filepath))

    @contextmanager
    def removing_last(self) -> Iterator[None]:
        """Within it, nothing is removed; at its end, if nothing was raised, what should have been."""
        if self.outdated is not None:  # within another one, which removes at its own end
            yield
            return
        self.outdated = []
        try:
            yield
            for path in self.outdated:
                super().remove(path)
        finally:
            self.outdated = None


@HOOKS.register_module(name="CheckpointHook", force=True)
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's hook, with its arguments, for a training that may be killed at any moment.

    A checkpoint is written beside its place and moved into it, and older ones are removed after that.
    Resuming takes the last whole checkpoint. It refuses where there are checkpoints and none is whole.
    Checkpoints on remote storage are MMEngine's own affair.
    """

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop) or not self.is_local:
            return
        self.backend_args = {"backend": WHOLE}
        folder = self.folder(runner)
        if is_main_process():
            self.remove_drafts(folder)
        if runner._resume and runner._load_from is None:
            runner._load_from = self.find_checkpoint(runner, folder)

    @property
    def is_local(self) -> bool:
        ours = self.backend_args is None or self.backend_args == {"backend": WHOLE}
        return ours and self.file_client_args is None and "://" not in str(self.out_dir)

    def folder(self, runner: Runner) -> Path:
        """Where MMEngine will put the checkpoints."""
        work_dir = Path(runner.work_dir)
        return work_dir if self.out_dir is None else Path(self.out_dir) / work_dir.name

    def remove_drafts(self, folder: Path) -> None:
        for draft, name in drafts_in(folder).items():
            if name.startswith("best_") or steps_of([Path(name)], self.filename_tmpl):
                draft.unlink(missing_ok=True)

    def find_checkpoint(self, runner: Runner, folder: Path) -> str | None:
        """The first process looks, and all go on from what it finds."""
        found: list[Any] = [None, None]
        if is_main_process():
            try:
                path, why = checkpoint_to_resume(Path(runner.work_dir), folder, self.filename_tmpl)
                found = [path, None]
                if why:
                    runner.logger.warning(why)
            except CheckpointError as error:
                found = [None, str(error)]
        broadcast_object_list(found)
        path, problem = found
        if problem:
            raise SystemExit(problem)
        return path

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self.nothing_lost():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self.nothing_lost():
            super()._save_best_checkpoint(runner, metrics)

    def after_train(self, runner: Runner) -> None:
        with self.nothing_lost():
            super().after_train(runner)

    @contextmanager
    def nothing_lost(self) -> Iterator[None]:
        """What is outdated goes after what replaces it is there; a full disk ends the run in a sentence."""
        if not isinstance(self.file_backend, WholeFiles):
            yield
            return
        try:
            with self.file_backend.removing_last():
                yield
        except (CheckpointError, OSError) as error:
            raise SystemExit(
                f"{error}. The checkpoints before it are whole: make room and resume the training"
            ) from error
