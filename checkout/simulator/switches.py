"""Switches: how a simulated provider behaves where nobody knows how the real one does.

A provider declares its switches as one frozen dataclass whose annotations are the permitted values; a
:class:`Switchboard` holds the present positions and changes them from JSON, refusing unknown names and values
by name.
"""

from __future__ import annotations

import dataclasses
import threading
import types
import typing
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar, Union, cast

S = TypeVar("S")


class SwitchRefused(ValueError):
    """A control request names what does not exist, or gives a value that cannot be taken; each by name."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in problems.items()))
        self.problems = dict(problems)


class Switchboard(Generic[S]):
    """The present positions of one provider's switches, changed by name; reading ``now`` needs no lock.

    ``at_start`` are positions that differ from the defaults from the first moment and after every reset.
    """

    def __init__(self, defaults: S, at_start: Mapping[str, object] = MappingProxyType({})) -> None:
        if not dataclasses.is_dataclass(defaults) or isinstance(defaults, type):
            raise TypeError("switches are an instance of a dataclass")
        self._defaults = defaults
        self._takes: dict[str, Any] = typing.get_type_hints(type(defaults))
        self._lock = threading.Lock()
        self.now: S = defaults
        self.change(at_start)
        self._at_start: S = self.now

    def change(self, asked: Mapping[str, object]) -> None:
        """Set the named switches, all or none; :class:`SwitchRefused` for an unknown name or value."""
        problems: dict[str, str] = {}
        values: dict[str, Any] = {}
        for name, value in asked.items():
            if name not in self._takes:
                problems[name] = "there is no such switch"
                continue
            try:
                values[name] = _read(self._takes[name], value)
            except (TypeError, ValueError):
                problems[name] = "takes " + _words(self._takes[name])
        if problems:
            raise SwitchRefused(problems)
        with self._lock:
            self.now = cast("S", dataclasses.replace(cast("Any", self.now), **values))

    def reset(self) -> None:
        with self._lock:
            self.now = self._at_start

    def report(self) -> dict[str, dict[str, object]]:
        """Each switch with its position, its default and what it takes."""
        return {
            name: {
                "value": _plain(getattr(self.now, name)),
                "default": _plain(getattr(self._defaults, name)),
                "takes": _words(takes),
            }
            for name, takes in self._takes.items()
        }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _read(takes: Any, value: object) -> object:
    """``value`` as the annotation wants it; TypeError or ValueError otherwise. bool is not a number here."""
    origin = typing.get_origin(takes)
    if origin is Literal:
        if value in typing.get_args(takes) and not isinstance(value, bool):
            return value
    elif origin in (Union, types.UnionType):
        return _read_union(takes, value)
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_read(typing.get_args(takes)[0], item) for item in value)
    elif takes is type(None):
        if value is None:
            return None
    elif takes is Decimal:
        return _read_decimal(value)
    elif takes is float:
        if type(value) in (int, float):
            return float(cast("float", value))
    elif type(value) is takes:
        return value
    raise TypeError("not a value this switch takes")


def _read_union(takes: Any, value: object) -> object:
    for choice in typing.get_args(takes):
        try:
            return _read(choice, value)
        except (TypeError, ValueError):
            continue
    raise TypeError("not a value this switch takes")


def _read_decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError("write an exact number as text")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not number.is_finite():
        raise ValueError("not a finite number")
    return number


def _words(takes: Any) -> str:
    origin = typing.get_origin(takes)
    if origin is Literal:
        return " | ".join(str(choice) for choice in typing.get_args(takes))
    if origin in (Union, types.UnionType):
        return " | ".join(_words(choice) for choice in typing.get_args(takes))
    if origin is tuple:
        return f"list of ({_words(typing.get_args(takes)[0])})"
    names = {bool: "true | false", int: "whole number", float: "number", str: "text", Decimal: "decimal text"}
    return names.get(takes, "null" if takes is type(None) else str(takes))
