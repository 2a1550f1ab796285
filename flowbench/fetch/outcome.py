"""What came of a fetch, and its entry in the custody log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowbench.errors import CaseError, FlowbenchError, StoppedError
from flowbench.fetch.aws import Account
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import Shelf

if TYPE_CHECKING:
    from flowbench.case import Case

_FAILURES_KEPT = 1000  # in the custody log, which every command reads whole


@dataclass
class Done:
    """What came of a fetch: things fetched, their bytes, those that were here, and the refused."""

    fetched: int = 0
    size: int = 0
    here: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Prepared(Protocol):
    """What is about to be fetched."""

    account: Account
    source: str
    period: Period | None

    def details(self) -> dict[str, Any]:
        """What else the custody log should hold of it."""

    def notes(self) -> list[str]:
        """What the user should know about it, in sentences."""


@contextmanager
def recorded(case: Case, shelf: Shelf, prepared: Prepared) -> Iterator[Done]:
    """Around a fetch into a case: it ends in the custody log, however it ends.

    Raises CaseError when the case cannot be written, its log was changed or another fetch is under
    way, StoppedError when the user stopped it.
    """
    case.log.refresh()
    if problems := case.log.check():
        raise CaseError(
            f"the custody log was changed ({problems[0]}): fetch nothing more into this case;"
            f" `flowbench verify {case.path}` tells all"
        )
    done, outcome, period = Done(notes=prepared.notes()), "done", prepared.period
    with shelf.opened():
        try:
            yield done
        except KeyboardInterrupt:
            outcome = "stopped"
            raise StoppedError(
                "stopped. What came whole is kept; the same command takes up the rest"
            ) from None
        except FlowbenchError as error:
            outcome = str(error)
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            done.failed.sort()
            case.log.append(
                "fetch",
                source=prepared.source,
                since=period.since.isoformat() if period else None,
                until=period.until.isoformat() if period else None,
                outcome=outcome,
                fetched=done.fetched,
                bytes=done.size,
                here=done.here,
                failed=[list(pair) for pair in done.failed[:_FAILURES_KEPT]],
                failures=len(done.failed),
                notes=done.notes,
                index=shelf.state(),
                **prepared.account.about(),
                **prepared.details(),
            )
