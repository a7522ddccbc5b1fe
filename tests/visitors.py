"""A visitor of the page of tools/serve.py, who speaks to it as a browser does; or many of them at once:

python tests/visitors.py http://127.0.0.1:7860 IMAGE --at-once 50
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

PATIENCE = 600  # seconds


class RefusedError(Exception):
    """What the page says in place of an answer."""


class Visitor:
    """One visitor. `find`, `show` and `explain` are what the page's components ask for."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=address, timeout=PATIENCE, trust_env=False)
        self.session = uuid4().hex
        config = self.client.get("/config").json()
        self.numbers = {each["api_name"]: each["id"] for each in config["dependencies"]}

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """A file as the page then calls it."""
        answer = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        if answer.status_code != 200:
            raise RefusedError(answer.text)
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, what: str, *words: Any, event: dict[str, Any] | None = None) -> list[Any]:
        """The new values of components. An event says what was chosen or clicked.

        Raises:
            RefusedError: with what the page says.
        """
        body = dict(data=words, fn_index=self.numbers[what], session_hash=self.session, event_data=event)
        joined = self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            raise RefusedError(joined.text)
        with self.client.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": self.session}
        ) as stream:
            for line in stream.iter_lines():
                said = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if said.get("msg") == "process_completed":
                    if not said["success"]:
                        raise RefusedError(said["output"]["error"])
                    return said["output"]["data"]
        raise RefusedError("the page fell silent")

    def find(self, name: str, content: bytes, score: float, wanted: list[str]) -> list[Any]:
        return self.ask("find", self.upload(name, content), score, wanted)

    def get(self, file: dict[str, Any]) -> bytes:
        """A file that an answer names."""
        answer = self.client.get(httpx.URL(file["url"]).raw_path.decode())
        if answer.status_code != 200:
            raise RefusedError(answer.text)
        return answer.content


def together(address: str, image: Path, number: int, wanted: list[str]) -> Counter[str]:
    """Each of many visitors sends an image: how many are answered, and how many are told what else."""

    def visit(_: int) -> str:
        visitor = Visitor(address)
        try:
            visitor.find(image.name, image.read_bytes(), 0.3, wanted)
        except RefusedError as error:
            return str(error)
        finally:
            visitor.client.close()
        return "answered"

    with ThreadPoolExecutor(number) as pool:
        return Counter(pool.map(visit, range(number)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("image", type=Path)
    parser.add_argument("--at-once", type=int, default=50)
    args = parser.parse_args()
    start = time.monotonic()
    outcomes = together(args.address, args.image, args.at_once, [])
    print(f"{time.monotonic() - start:.1f} s")
    for outcome, count in outcomes.most_common():
        print(f"{count:4} {outcome}")
