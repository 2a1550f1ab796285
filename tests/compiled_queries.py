"""Queries compiled once in the process of the tests, whatever names Ibis draws for their tables.

The tests ask the same of hundreds of tiny cases, and Ibis takes longer to compile a query than the
engine takes to answer it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

import ibis
from ibis.backends.sql import SQLBackend
from ibis.common.graph import Graph, Node
from ibis.expr import operations as ops
from ibis.expr.schema import Schema

_DRAWN = re.compile(r"ibis_\w+_[a-z2-7]{26}")  # names by ibis.util.gen_name

_compile, _to_sql = SQLBackend.compile, ibis.to_sql
_numbers: dict[Any, int] = {}  # of operations, by their types and arguments
_next = itertools.count()  # threads may number operations at the same time
_queries: dict[Any, str] = {}  # with {n} for the n-th drawn name


def compile_queries_once() -> None:
    """Let Ibis keep what it compiles."""

    def compile_(backend: SQLBackend, query: ibis.Expr, /, **options: Any) -> str:
        if options.get("params"):
            return _compile(backend, query, **options)
        return _once(query, tuple(options.items()), lambda: _compile(backend, query, **options))

    def to_sql(query: ibis.Expr, dialect: str | None = None) -> str:
        return _once(query, (dialect,), lambda: _to_sql(query, dialect))

    SQLBackend.compile = compile_  # type: ignore[method-assign]
    ibis.to_sql = to_sql


def _once(query: ibis.Expr, options: tuple[Any, ...], compiled: Callable[[], str]) -> str:
    number, names = _number(query.op())
    key = (number, options)
    if key not in _queries:
        text = re.sub(r"[{}]", r"\g<0>\g<0>", compiled())
        for place, name in enumerate(names):
            text = text.replace(name, f"{{{place}}}")
        _queries[key] = text
    return _queries[key].format(*names)


def _number(query: Node) -> tuple[int, list[str]]:
    """Number the operations of a query; equal ones have the same number in every query.

    Returns:
        The number of the last one, and the drawn names of tables in their order.
    """
    names: list[str] = []
    numbers: dict[Node, int] = {}
    for node in Graph.from_bfs(query).toposort()[0]:
        key: tuple[Any, ...] = (type(node),)
        for argument, value in zip(node.__argnames__, node.__args__, strict=True):
            if (
                argument == "name"
                and isinstance(node, ops.PhysicalTable)
                and _DRAWN.fullmatch(value)
            ):
                key += (len(names),)
                names.append(value)
            elif argument not in ("source", "data"):  # the connection, rows of a memtable
                key += (_key(value, numbers),)
        numbers[node] = _numbers.setdefault(key, next(_next))
    return numbers[query], names


def _key(value: Any, numbers: Mapping[Node, int]) -> Any:
    """What distinguishes an argument: 1, 1.0 and True are equal, but not in a query."""
    if isinstance(value, Node):
        return numbers[value]
    if isinstance(value, Schema):
        return tuple(value.items())
    if isinstance(value, tuple):
        return tuple(_key(each, numbers) for each in value)
    if isinstance(value, Mapping):
        return tuple((name, _key(each, numbers)) for name, each in value.items())
    return type(value), value
