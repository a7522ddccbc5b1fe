"""The config that a checkpoint carries, read without running code from it.

MMEngine keeps a config's text, Python, beside the weights (`meta.cfg`). `Config.fromstring` would execute it,
and a checkpoint is a file from a stranger. Here only values are read from the text. Values can do harm too:
MMEngine imports what a dotted name such as 'os.system' leads to and calls it, and mmcv evaluates the type of
an NMS. So a name may lead to what configs are made of, and to nothing else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.util import find_spec
from math import inf, nan
from pathlib import Path
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import INFERENCERS, RUNNERS, Registry
from mmengine.runner import CheckpointLoader
from mmengine.utils import get_object_from_string

from ..weights import CheckpointError
from .task_packages import FRAMEWORKS, MissingPackageError, need_package

OURS = "maxvit_mm.openmmlab."
LONGEST = 10_000_000  # characters; configs have some ten thousand
NAME = re.compile(r"[A-Za-z_]\w*")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
NAMING = ("type", "warp_mode")  # keys whose texts OpenMMLab looks up or evaluates
SCOPES = ("_scope_", "default_scope")  # keys whose texts it imports
PACKAGES = ("maxvit_mm", "mmcv", "mmengine", "torch", *FRAMEWORKS)  # importing these is safe
# Parts that run code which a config names: transformers', from the web, and what a file for diffusion calls.
RUN_CODE = (
    "mmpretrain.models.classifiers.hugging_face",
    "mmpretrain.models.utils.huggingface",
    "mmseg.models.backbones.vpd",
)
CODE_IN_FILES = ("pkl", "pickle", "yaml", "yml")  # as OpenMMLab reads them, from wherever they are
FILES = (".csv", ".jpeg", ".jpg", ".json", ".log", ".mp4", ".npz", ".pkl", ".png", ".pt", ".pth", ".txt")


class NotOnlyValuesError(Exception):
    """A config's text that is more than values, or names more than parts of configs; says what."""


def config_of_checkpoint(source: str, checkpoint: dict[str, Any] | None = None) -> Config:
    """The whole config that a checkpoint was trained with: `resume`, `load_from` and paths are that run's.

    Args:
        source: the checkpoint, as MMEngine loads it.
        checkpoint: what is in it, where it has been loaded already.

    Raises:
        CheckpointError: where it cannot be read, carries no config, or one that is not only values.
    """
    if checkpoint is None:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location="cpu", logger="silent")
    meta = checkpoint.get("meta") if isinstance(checkpoint, dict) else None
    text = meta.get("cfg") if isinstance(meta, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{source} does not hold the config that it was trained with: name the config file before it"
        )
    try:
        values = values_of(text)
        check_names(values)
        cfg = Config(values)
    except MissingPackageError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except (NotOnlyValuesError, KeyError) as error:
        said = error.args[0]
        raise CheckpointError(
            f"{source}: the config in it was not used, since it could run code ({said}): if you trust whom "
            f"it is from, name the config file before it"
        ) from error
    if "model" not in cfg:
        raise CheckpointError(f"{source}: the config in it has no model: name the config file before it")
    return cfg


def values_of(text: str) -> dict[str, Any]:
    """The values that a config's text assigns, by name: constants, lists, tuples and dicts.

    Raises:
        NotOnlyValuesError: where there is anything else.
    """
    if len(text) > LONGEST:
        raise NotOnlyValuesError(f"it has {len(text)} characters")
    try:
        values = {}
        for line in ast.parse(text).body:
            match line:
                case ast.Assign(targets=[ast.Name(id=name)], value=node):
                    values[name] = value_of(node)
                case _:
                    raise NotOnlyValuesError(f"line {line.lineno} is no assignment")
        return values
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise NotOnlyValuesError(f"it is no config's text: {error}") from error


def value_of(node: ast.expr) -> Any:
    match node:
        case ast.List(elts=parts):
            return [value_of(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(value_of(part) for part in parts)
        case ast.Dict(keys=keys, values=parts) if None not in keys:
            return {
                ast.literal_eval(key): value_of(part) for key, part in zip(keys, parts, strict=True) if key
            }
        # MMEngine writes dict(a=1), and dict({'a.b': 1}) where a key is no name.
        case ast.Call(func=ast.Name(id="dict"), args=parts, keywords=named) if len(parts) < 2:
            if any(not isinstance(part, ast.Dict) for part in parts) or any(not each.arg for each in named):
                raise NotOnlyValuesError(f"line {node.lineno} copies a dict")
            first = value_of(parts[0]) if parts else {}
            return first | {each.arg: value_of(each.value) for each in named}
        case ast.Name(id="inf"):
            return inf
        case ast.Name(id="nan"):
            return nan
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -inf
    try:
        return ast.literal_eval(node)
    except ValueError:
        said = ast.unparse(node)
        raise NotOnlyValuesError(f"line {node.lineno} is {said[:60]}, no value") from None


def check_names(values: dict[str, Any]) -> None:
    """Refuse texts by which OpenMMLab would import or call anything but what configs are made of.

    Raises:
        NotOnlyValuesError: names one.
        MissingPackageError: where it is for a package that is not installed.
    """
    imports = values.pop("custom_imports", None) or {}
    modules = imports.get("imports") if isinstance(imports, dict) else None
    for module in [modules] if isinstance(modules, str) else modules or ():
        if str(module).partition(".")[0] not in PACKAGES:
            raise NotOnlyValuesError(f"it imports {module}")
    texts = list(texts_in(values))
    for key, text in texts:
        if key in SCOPES and text not in PACKAGES:
            raise NotOnlyValuesError(f"its {key} is {text}")
    scopes = {text.partition(".")[0] for key, text in texts if key in (*SCOPES, *NAMING)}
    known = list(registries(scopes.intersection(FRAMEWORKS)))
    for key, text in texts:
        dotted = bool(DOTTED.fullmatch(text))
        if key in NAMING and not dotted and not NAME.fullmatch(text):
            raise NotOnlyValuesError(f"a {key} is {text[:60]!r}, no name")
        is_name = key in NAMING or (dotted and Path(text).suffix not in FILES)
        if is_name and not is_harmless(text, known):
            raise NotOnlyValuesError(f"it names {text}")
        if text.rpartition(".")[2] in CODE_IN_FILES and key != "out_file_path":  # which is written
            raise NotOnlyValuesError(f"it reads {text[:60]}")


def texts_in(node: Any, key: Any = None) -> Iterator[tuple[Any, str]]:
    """Every text in nested values, with the key under which it stands."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from texts_in(value, name)
    elif isinstance(node, list | tuple | set):
        for value in node:
            yield from texts_in(value, key)


def is_harmless(name: str, known: Collection[Registry]) -> bool:
    """Whether OpenMMLab, which looks for a name among its parts and then imports it, finds only a part."""
    package, _, rest = name.partition(".")
    if package not in PACKAGES:
        found = [] if rest else [each.module_dict[name] for each in known if name in each.module_dict]
        return not any(map(runs_code, found)) if found else not importable(package)
    found = [each.module_dict[rest] for each in known if each.scope == package and rest in each.module_dict]
    if not found:
        parts = [part for each in known for part in each.module_dict.values()]
        named = get_object_from_string(name)
        # Ours may be named by their paths: they are kinds of registered parts.
        bases = named.__mro__[1:] if isinstance(named, type) and name.startswith(OURS) else ()
        found = [part for part in parts if part is named or any(part is base for base in bases)]
    return bool(found) and not any(map(runs_code, found))


def runs_code(part: Any) -> bool:
    return getattr(part, "__module__", None) in RUN_CODE


def importable(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # a module without a spec, such as __main__
        return True


def registries(scopes: Collection[str]) -> Iterator[Registry]:
    """Those of the parts of configs; runners and inferencers are left out, since they start things.

    Args:
        scopes: the packages whose parts a config names.
    """
    pending = [each for each in vars(registry).values() if isinstance(each, Registry)]
    for scope in sorted({"mmdet", *scopes}):
        need_package(scope, "its config")
        import_module(f"{scope}.utils").register_all_modules(init_default_scope=False)
        theirs = vars(import_module(f"{scope}.registry")).values()  # some are nobody's children
        pending += [each for each in theirs if isinstance(each, Registry)]
    seen: list[Registry] = []
    while pending:
        each = pending.pop()
        if any(each is other for other in seen) or each.name in (RUNNERS.name, INFERENCERS.name):
            continue
        seen.append(each)
        pending.extend(each.children.values())
        yield each
