"""Ports on which people and programs log in, and what an unsuccessful login answers."""

from __future__ import annotations

# TCP port -> bytes that the server sends in a login attempt; less is a look at its banner.
LOGINS = {21: 250, 22: 1_000, 23: 250, 445: 500, 3389: 500, 5900: 250, 5985: 500, 5986: 800}
# Programs log in to internal databases all day: only logins from external addresses are judged.
DATABASES = {1433: 250, 3306: 250, 5432: 250}
