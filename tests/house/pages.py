"""The pages for readers, taken apart: commands, code blocks, spans of code, links, headings and tables."""

import re
import shlex
from pathlib import Path

from conftest import ROOT

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "configs/README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Z_]+=\S+")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [text for kind, text in FENCE.findall(PAGES[page]) if kind == language]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", PAGES[page])


def spans(page: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: str) -> list[str]:
    """The lines of shell blocks, and the spans that are a command to run."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    inline = [span for span in spans(page) if re.match(r"(python|bash) tools/|(make|pip|mim) \w", span)]
    return [line for line in lines if line.strip()] + inline


def words_of(command: str) -> tuple[dict[str, str], list[str]]:
    """The variables set before a command, and its words."""
    words, variables = shlex.split(command), {}
    while ASSIGNMENT.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    return variables, words


def tool_call(command: str) -> tuple[str, list[str]] | None:
    """The name of the Python tool that a command runs, and the arguments it gets; None where it runs none."""
    _, words = words_of(command)
    if words[0] == "make" and words[1] in ("benchmark", "demo"):
        given = [word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")]
        return f"{words[1]}.py", [word for text in given for word in shlex.split(text)]
    if words[0] == "python" and words[1].startswith("tools/"):
        return Path(words[1]).name, words[2:]
    return None


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(page: str) -> list[tuple[Path, str]]:
    """The file and the anchor of each link to a file of ours."""
    here = (ROOT / page).parent
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", PAGES[page])
    return [((here / file if file else ROOT / page), name) for file, name in found if "://" not in file]


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next of its level."""
    match = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^\1 |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert match, f"{page} has no section {heading}"
    return match[2]


def table(text: str, header: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this header, by that column's code or text."""
    match = re.search(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    lines = match[1].splitlines() if match else []
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in rows}
