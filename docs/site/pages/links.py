"""Links that nobody has to write: from a command in a sentence to its page."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

from flowbench.cli import COMMANDS

_NAMES = {command.name for command in COMMANDS}


def link_commands(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Make code that starts with `flowbench COMMAND` a link to the page of the command."""
    for code in list(doctree.findall(nodes.literal)):
        call = re.match(r"flowbench ([a-z-]+)", code.astext())
        if call is None or call.group(1) not in _NAMES:
            continue
        target = f"docs/reference/commands/{call.group(1)}"
        if page == target or isinstance(code.parent, nodes.reference | nodes.title):
            continue
        uri = app.builder.get_relative_uri(page, target)
        link = nodes.reference("", "", internal=True, refuri=uri)
        code.replace_self(link)
        link += code
