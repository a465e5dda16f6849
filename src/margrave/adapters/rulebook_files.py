"""A rulebook as TOML text: what is at its default stays out, so that a person can read it."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import msgspec

from margrave.rulebook.schema import Rulebook

_TABLES = ("sources", "gaps")


def dump_rulebook(rulebook: Rulebook, comment: str = "") -> str:
    """TOML of a rulebook; `margrave.rulebook.load.parse` reads it back as the same.

    Parameters
    ----------
    rulebook : Rulebook
        What is written.
    comment : str
        First line.
    """
    tree = _plain(rulebook)
    lines = [f"# {comment}"] if comment else []
    nested = {k: tree.pop(k) for k in list(tree) if isinstance(tree[k], dict)}
    rows = {k: tree.pop(k) for k in (*_TABLES, "products") if k in tree}
    lines += [f"{key} = {_value(value)}" for key, value in tree.items()]
    for name in _TABLES:
        for row in rows.get(name, ()):
            lines += ["", f"[[{name}]]", *_fields(row)]
    for name in [n for n in nested if n not in ("ladders", "schedules")]:
        lines += ["", f"[{name}]", *_fields(nested[name])]
    for name in ("ladders", "schedules"):
        for key, table in nested.get(name, {}).items():
            lines += ["", f"[{name}.{json.dumps(key)}]", *_fields(table)]
    for row in rows["products"]:
        model = row.pop("model")
        lines += ["", "[[products]]", *_fields(row), "[products.model]", *_fields(model)]
    return "\n".join(lines) + "\n"


def _plain(node: Any) -> Any:
    # A struct as a table of what differs from its defaults; the tag that names its form comes first.
    if isinstance(node, msgspec.Struct):
        config = node.__struct_config__
        told = {config.tag_field: config.tag} if config.tag_field else {}
        for field in msgspec.structs.fields(node):
            value = getattr(node, field.name)
            if value is not None and value != field.default:
                told[field.encode_name] = _plain(value)
        return told
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    return node


def _fields(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{_key(key)} = ["
            yield from (f"    {_value(row)}," for row in value)
            yield "]"
        else:
            yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case str():
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return repr(value)
