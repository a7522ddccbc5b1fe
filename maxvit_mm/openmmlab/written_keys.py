"""Which keys a config file sets itself, rather than inheriting them from its bases."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from .shipped_configs import folder_of_ours


def keys_of_user(path: Path) -> list[str]:
    """The keys, such as 'train_cfg.max_epochs', that a user's own config sets; none of one of ours."""
    if folder_of_ours().resolve() in path.resolve().parents:
        return []
    if path.suffix == ".py":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        named = [(t.id, node.value) for node in assigned for t in node.targets if isinstance(t, ast.Name)]
        return [key for name, value in named for key in keys_in(name, value)]
    return list(Config.fromfile(path).to_dict())  # whatever is in a file of values


def keys_in(name: str, value: ast.expr) -> Iterator[str]:
    """The dotted keys of nested dicts; what is no dict is one key."""
    match value:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=named) if named:
            parts = [(each.arg, each.value) for each in named]
        case ast.Dict(keys=keys, values=values) if keys:
            literal = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            parts = list(zip(map(str, literal), values, strict=True))
        case _:
            yield name
            return
    for key, inner in parts:
        if key is None:  # `**other`: nobody knows which
            yield name
        else:
            yield from keys_in(f"{name}.{key}", inner)
