"""What may be asked of the page: the few addresses it needs, bodies of bounded size, files of its own folder.

Gradio has many more addresses, for what this page does not do. Each is closed, whatever the next Gradio adds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .folder import Folder

FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
READ = re.compile(
    r"/(config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d+)?)?|/(assets|static)/.+"
    r"|/gradio_api/(info/?|app_id/?|startup-events|upload_progress|queue/data|heartbeat/\w+|file=.+)"
)
WRITE = re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)/?")
LENGTH = re.compile("[0-9]{1,18}")
FORM = 10_000  # bytes around a file that is uploaded
WORDS = 100_000  # bytes of any other body: what the page's components say
# The browser asks nobody else for anything, whatever Gradio's page names.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)


class Refusal(NamedTuple):
    status: int
    why: str


class Door:
    """Stands before Gradio's application, as ASGI's middleware.

    Args:
        most: bytes of a file that may be uploaded.
        folder: whose files may be read.
        names: by which the machine may be called; a page elsewhere that a visitor's browser shows cannot
            take another one for it. None takes all.
    """

    def __init__(self, app: ASGIApp, most: int, folder: Folder, names: Collection[str] | None):
        self.app, self.most, self.folder, self.names = app, most, folder, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the page has no websockets
        refusal = self.refusal(scope)
        if refusal is None and scope["path"].startswith("/gradio_api/queue/join"):
            body = await whole(receive, WORDS)
            refusal, receive = self.refusal_of_words(body), again(body or b"", receive)
        if refusal is None and scope["path"].startswith(UPLOAD):
            await run_in_threadpool(self.folder.tidy)  # it walks through the folder
        if refusal is not None:
            await PlainTextResponse(refusal.why, refusal.status)(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self.app(scope, receive, send_guarded)

    def refusal(self, scope: Scope) -> Refusal | None:
        """By what the head of a request says."""
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if self.names is not None and machine(host) not in self.names:
            return Refusal(403, f"this page is not {host}")
        if headers.get("origin", f"http://{host}").partition("://")[2] != host:
            return Refusal(403, "another page may not use this one")
        if scope["method"] in ("GET", "HEAD") and READ.fullmatch(path):
            if path.startswith(FILE) and not self.is_own(path.removeprefix(FILE)):
                return Refusal(403, "this file is not the page's")
            return None
        if scope["method"] != "POST" or not WRITE.fullmatch(path):
            return Refusal(404, "there is nothing here")
        most = self.most + FORM if path.startswith(UPLOAD) else WORDS
        length = headers.get("content-length", "")
        # Of a body in chunks the length is not known, whatever else its head states.
        if "transfer-encoding" in headers or not LENGTH.fullmatch(length):
            return Refusal(411, "say how long it is")
        if int(length) > most:
            return Refusal(413, f"this has {length} bytes, and the page takes {most}")
        return None

    def is_own(self, path: str) -> bool:
        """Whether a file lies in the page's folder, links resolved."""
        try:
            return Path(path).is_absolute() and Path(path).resolve().is_relative_to(self.folder.path)
        except (OSError, ValueError):  # too long, or not a path at all
            return False

    def refusal_of_words(self, body: bytes | None) -> Refusal | None:
        """A file that a visitor names is one that was uploaded; Gradio would fetch an address."""
        if body is None:
            return Refusal(413, f"this has more than {WORDS} bytes")
        try:
            words = json.loads(body)
        except (ValueError, RecursionError):
            return Refusal(400, "this is no JSON")
        if all(self.is_own(path) for path in paths_in(words)):
            return None
        return Refusal(403, "upload the file")


def paths_in(node: Any) -> Iterator[str]:
    """The paths of all files that Gradio would see in what came as JSON."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("path"), str):
                yield each["path"]
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def machine(host: str) -> str | None:
    """The name in a Host header, without the port; None where it is no name."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # a bracket that stays open
        return None


async def whole(receive: Receive, most: int) -> bytes | None:
    """A body, or None of one that has more bytes than it may, whatever its head said."""
    body = b""
    while len(body) <= most:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body if len(body) <= most else None


def again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read to the next who asks, and then what comes after it."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
