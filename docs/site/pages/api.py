"""The Python API: a page for `Case`, one for the errors, one for each public module."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import flowbench
from pages import markdown


def make_pages() -> Iterator[tuple[str, str]]:
    """Yield the pages, written for autodoc, and one that lists them."""
    yield "api/case.rst", _page("Case", ".. autoclass:: flowbench.Case", "inherited-members")
    yield "api/errors.rst", _page("Errors", ".. automodule:: flowbench.errors")
    rows = [
        ("[`fb.Case`](api/case.rst)", markdown.first_sentence(flowbench.Case.__doc__)),
        ("[`fb.FlowbenchError`](api/errors.rst)", "What flowbench raises."),
    ]
    names = ["case", "errors"]
    for name in dir(flowbench):
        module = getattr(flowbench, name)
        if inspect.ismodule(module):
            for member in getattr(module, "__all__", ()):  # autodoc sees no lazy imports
                setattr(module, member, getattr(module, member))
            yield f"api/{name}.rst", _page(f"fb.{name}", f".. automodule:: {module.__name__}")
            about = markdown.first_sentence(module.__doc__)
            rows.append((f"[`fb.{name}`](api/{name}.rst)", about))
            names.append(name)
    yield (
        "api.md",
        "(python-api)=\n# Python API\n\n`import flowbench as fb` gives these names and no others."
        " Each module is imported when it is first used.\n\n"
        + markdown.table(("name", "what it is for"), rows)
        + "\n"
        + markdown.toctree((f"api/{name}" for name in names), "hidden"),
    )


def _page(title: str, directive: str, *options: str) -> str:
    label = title.lower().removeprefix("fb.")
    lines = [directive, *(f"   :{option}:" for option in ("members", *options))]
    return "\n".join([f".. _api-{label}:\n\n{title}\n{'=' * len(title)}\n", *lines, ""])
