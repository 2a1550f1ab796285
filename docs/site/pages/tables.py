"""The tables: every declared one, with its columns, types and meanings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import flowbench
from flowbench import schema
from flowbench.case.tables import CaseTables
from flowbench.loaders import registry
from pages import markdown

_DECLARED_IN = re.compile(r" \([\w.]+\.[A-Z]+(, [\w.]+\.[A-Z]+)*\)")  # for readers of the code
# Modules that start something when they are imported, or make no table.
_SKIPPED = ("flowbench.__main__",)


def make_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for the tables of evidence, one for the computed ones, one for results."""
    declared = _declared()
    loaded = registry.tables()
    computed = {
        name: value
        for name, value in vars(CaseTables).items()
        if isinstance(value, cached_property) and name not in loaded
    }
    evidence = [_section(loaded[name], _where(name)) for name in sorted(loaded)]
    yield "tables/evidence.md", _EVIDENCE + "\n".join(evidence) + "\n" + _later_fields()
    of_case = [
        _section(table, _where(table.name))
        for table, _ in declared
        if table.name in computed and not table.name.startswith("_")
    ]
    yield "tables/computed.md", _COMPUTED + "\n".join(of_case)
    results = [
        _section(table, _module(module))
        for table, module in declared
        if table.name not in computed and table.name not in loaded
    ]
    yield "tables/results.md", _RESULTS + "\n".join(results)
    yield "tables.md", _INDEX


def _declared() -> list[tuple[schema.Table, str]]:
    """Return every table that a module declares, with the module, in order of name."""
    found: dict[int, tuple[schema.Table, str]] = {}
    for module in pkgutil.walk_packages(flowbench.__path__, "flowbench."):
        if module.name in _SKIPPED:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, schema.Table) and not name.startswith("_"):
                found.setdefault(id(value), (value, module.name))
    return sorted(found.values(), key=lambda pair: (pair[0].name, pair[1]))


def _where(name: str) -> str:
    """Return where a table of a case is found, and what it has."""
    attribute = vars(CaseTables).get(name)
    if not isinstance(attribute, cached_property):
        return f"`case.table({name!r})`"
    about = markdown.first_sentence(inspect.getdoc(attribute.func))
    return f"`case.{name}`. {_DECLARED_IN.sub('', about)}"


def _module(name: str) -> str:
    return f"{markdown.first_sentence(importlib.import_module(name).__doc__)} (`{name}`)"


def _section(table: schema.Table, about: str) -> str:
    rows = [(f"`{field.name}`", field.type, field.meaning) for field in table.fields]
    return f"(table-{table.name})=\n## {table.name}\n\n{about}\n\n" + markdown.table(
        ("column", "type", "meaning"), rows
    )


def _later_fields() -> str:
    """Return the fields of flow logs that `flows` has only where evidence has them."""
    later: Iterable[schema.Field] = (
        field for name, field in schema.FLOW_FIELDS.items() if name not in schema.FLOWS.columns
    )
    rows = [(f"`{f.name}`", f.version, f.type, f.meaning) for f in later]
    return (
        "(later-fields)=\n## flows: fields of later versions\n\n"
        "`flows` has these columns where some evidence has them; version 6 are transit gateways."
        "\n\n" + markdown.table(("column", "version", "type", "meaning"), rows)
    )


_TYPES = (
    "A `time` is UTC. `strings` is a list, `tags` a map of keys to values, `scores` a map of"
    " names to numbers. What a row lacks is null.\n\n"
)
_EVIDENCE = (
    "# Tables of evidence\n\nLoading fills them. `evidence_id` and `line` lead from each row to"
    " its file and line.\n\n" + _TYPES
)
_COMPUTED = (
    "# Computed tables\n\nThey are computed from the tables of evidence when they are first asked"
    " for.\n\n" + _TYPES
)
_RESULTS = (
    "# Tables of results\n\nWhat functions return as data frames and commands print; they have"
    " these columns also where there is no row.\n\n" + _TYPES
)
_INDEX = """(tables)=
# Tables

A case is a set of tables. In Python they are attributes of a [case](#api-case) (Ibis tables, which
are computed when `.to_pandas()` or `.to_pyarrow()` asks for their rows); `case.sql("…")` takes
their names in SQL.

- [Tables of evidence](tables/evidence.md): what loading fills, from flow log records
  ([flows](#table-flows)) to [indicators](#table-indicators) and the
  [quarantine](#table-quarantine)
- [Computed tables](tables/computed.md): [connections](#table-connections),
  [connection summaries](#table-connection_summaries), the [address inventory](#table-addresses)
- [Tables of results](tables/results.md): [findings](#table-findings), the
  [timeline](#table-timeline), and what other functions return

""" + markdown.toctree(("tables/evidence", "tables/computed", "tables/results"), "hidden")
