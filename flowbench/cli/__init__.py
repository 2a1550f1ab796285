"""The command: it parses, calls the library, prints. Heavy imports wait until they are needed.

Each module adds its commands to ``main`` when it is imported here: a new command is a new file and
a line in this list.
"""

from flowbench.cli import (  # noqa: F401
    addresses,
    coverage,
    demo,
    detect,
    evaluate,
    evidence,
    fetch,
    hunt,
    ingest,
    segmentation,
)
from flowbench.cli.common import main

__all__ = ["main"]
