"""The command: it parses, calls the library, prints. Heavy imports wait until they are needed.

Each module of this package adds its commands to ``main``; a new command is a new file.
"""

from __future__ import annotations

import importlib
import pkgutil

from flowbench.cli.base import main

__all__ = ["main"]

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")
