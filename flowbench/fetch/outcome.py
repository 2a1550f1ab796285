"""The result of a fetch, and its entry in the custody log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from flowbench.errors import CaseError, FlowbenchError, StoppedError
from flowbench.fetch.aws import AwsSession
from flowbench.fetch.bucket_layout import Period
from flowbench.fetch.download_cache import DownloadCache

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case

Progress = Callable[[int, int, str], None]  # done, total, what

_FAILURES_LOGGED = 1000  # every command reads the whole custody log


@dataclass
class FetchResult:
    """What a fetch downloaded, found in the cache, and failed to download."""

    fetched: int = 0  # items: S3 objects or API requests
    size: int = 0  # bytes fetched
    cached: int = 0  # items fetched before
    failures: list[tuple[str, str]] = field(default_factory=list)  # item, reason
    notes: list[str] = field(default_factory=list)


class FetchPlan(Protocol):
    """The items that a fetch would download."""

    session: AwsSession
    source: str
    period: Period | None

    def summary(self, case: Case) -> pd.DataFrame:
        """Return what would be downloaded, and what the case already has."""

    def details(self) -> Mapping[str, object]:
        """Return further fields for the custody log."""

    def notes(self) -> list[str]:
        """Return what the user should know before the download, as sentences."""

    def download(self, cache: DownloadCache, result: FetchResult, progress: Progress = ...) -> None:
        """Download the items that are not cached, and count them in ``result``."""


@contextmanager
def record_fetch(case: Case, cache: DownloadCache, plan: FetchPlan) -> Iterator[FetchResult]:
    """Lock the download cache and log the fetch in the custody log, whatever its outcome.

    Raises:
        CaseError: The case cannot be written, its custody log was changed, or another fetch runs.
        StoppedError: The user stopped the fetch.
    """
    case.log.refresh()
    if problems := case.log.find_changes():
        raise CaseError(
            f"the custody log was changed ({problems[0]}): do not fetch into this case;"
            f" `flowbench verify {case.path}` lists every problem"
        )
    result, outcome, period = FetchResult(notes=plan.notes()), "done", plan.period
    with cache.locked():
        try:
            yield result
        except KeyboardInterrupt:
            outcome = "stopped"
            raise StoppedError(
                "stopped. Complete downloads are kept; the same command fetches the rest"
            ) from None
        except FlowbenchError as error:
            outcome = str(error)
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            result.failures.sort()
            case.log.append(
                "fetch",
                source=plan.source,
                since=period.since.isoformat() if period else None,
                until=period.until.isoformat() if period else None,
                outcome=outcome,
                fetched=result.fetched,
                bytes=result.size,
                cached=result.cached,
                failed=[list(pair) for pair in result.failures[:_FAILURES_LOGGED]],
                failures=len(result.failures),
                notes=result.notes,
                index=cache.index_state(),
                **plan.session.describe(),
                **plan.details(),
            )
