"""The page on a port of this machine, from start to end."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from ...data.images_on_disk import IMAGE_SUFFIXES
from .door import Door
from .finder import Finder
from .folder import Folder
from .pages import page_of

SESSIONS = 16  # visitors whose last image is kept
UPLOADS = 50  # as large as may be, which the folder holds beside the pictures of them
THREADS = 8
LOCAL = ("127.0.0.1", "localhost", "::1")


@contextmanager
def serving(
    finder: Finder,
    host: str,
    port: int,
    score: float,
    waiting: int,
    examples: Sequence[Path] = (),
    names: Sequence[str] = (),
) -> Iterator[str]:
    """Show the page while the block runs; gives its address.

    Args:
        host, port: where to listen.
        score: where a slider for scores starts.
        waiting: requests that wait for their turn, at most; others are told to come again.
        examples: images that a visitor may choose.
        names: by which visitors may call the machine, beside its own. Where it listens for others, they may
            call it as they like, unless there are some.

    Raises:
        ValueError: where the port is taken, or the host is none of this machine's.
    """
    check_free(host, port)
    limits = finder.limits
    with tempfile.TemporaryDirectory(prefix="maxvit_mm-", ignore_cleanup_errors=True) as name:
        folder = Folder(Path(name), UPLOADS * limits.bytes)
        with told(environment(folder.path, host)):
            page = page_of(finder)(finder, score, folder, examples)
            known = {host, *LOCAL, *map(str.lower, names)} if names or host in LOCAL else None
            door = Middleware(Door, most=limits.bytes, folder=folder, names=known)
            page.blocks.queue(max_size=waiting, api_open=False)
            try:
                _, address, _ = page.blocks.launch(
                    server_name=host,
                    server_port=port,
                    prevent_thread_lock=True,
                    quiet=True,
                    share=False,
                    inbrowser=False,
                    ssr_mode=False,
                    mcp_server=False,
                    pwa=False,
                    run_history=False,
                    enable_monitoring=False,
                    footer_links=[],
                    max_file_size=limits.bytes,
                    max_threads=THREADS,
                    state_session_capacity=SESSIONS,
                    app_kwargs=dict(middleware=[door]),
                    theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
                )
                folder.keep()
                yield address
            finally:
                page.blocks.close(verbose=False)


def environment(folder: Path, host: str) -> dict[str, str]:
    """What Gradio is told by variables alone: where its files go, and to stay on this machine."""
    around = [os.environ.get("no_proxy", ""), host, *LOCAL]
    return {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_EXAMPLES_CACHE": str(folder / "examples"),
        "GRADIO_ALLOWED_PATHS": "",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "no_proxy": ",".join(filter(None, around)),
    }


@contextmanager
def told(variables: dict[str, str]) -> Iterator[None]:
    """Variables of the environment, as they were before afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def check_free(host: str, port: int) -> None:
    """Refuse a port that is taken, or a host that is none of this machine's.

    Raises:
        ValueError: says so.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            why = f"{host} cannot be listened at with port {port} ({error.strerror})"
            raise ValueError(f"{why}: name another --port, or another --host") from error


def images_in(folder: Path) -> list[Path]:
    """The images of a folder; a link that leads out of it is none."""
    home = folder.resolve()
    files = (file for file in sorted(folder.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES)
    return [file for file in files if file.is_file() and file.resolve().is_relative_to(home)]
