"""Allow lists made from a finding: they suppress it, and the findings like it.

An allow list is an indicator list of kind ``allow`` (see loaders.intel.lists). One made from a
finding names its peers, with the service port where it has one, or its subject. It is loaded into
the case as evidence with a copy: the file CASE/evidence/SHA-256 has the list, and the custody log
who loaded it and when. Other cases can load that file too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flowbench.detect.finding import Finding
from flowbench.detect.findings import Findings
from flowbench.detect.suppress import suppress
from flowbench.errors import InputError
from flowbench.io import atomic
from flowbench.text import canonical_address, is_address, replace_unstorable

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.history import Run

COVERS = ("peers and port", "peers", "subject")


@dataclass(frozen=True)
class AllowRule:
    """What an allow list is to suppress.

    Attributes:
        finding_id: The finding that it was made from; the list is named after it.
        addresses: What it names: every peer of the finding, or its subject.
        port: The service port that it is limited to; None for any.
        reason: Why its findings are harmless.
    """

    finding_id: str
    addresses: tuple[str, ...]
    port: int | None
    reason: str

    @property
    def name(self) -> str:
        """The name of the list, which findings have as ``suppressed_by``."""
        return f"allow list of {self.finding_id}"

    @property
    def text(self) -> str:
        """The list as a file: settings, a header, and a line for each address."""
        reason = " ".join(replace_unstorable(self.reason).split())
        lines = [f"# feed: {self.name}", "# kind: allow", f"# reason: {reason}", "indicator,port"]
        port = "" if self.port is None else str(self.port)
        return "\n".join([*lines, *(f"{address},{port}" for address in self.addresses), ""])

    def covers(self, finding: Finding) -> bool:
        """Whether the list names the finding's subject or all of its peers, at its port.

        An entry of an indicator list that is more specific still reports a finding; see suppress.
        """
        if self.port not in (None, finding.service_port):
            return False
        named = set(self.addresses)
        all_peers = bool(finding.peers) and named.issuperset(finding.peers)
        return finding.subject in named or (finding.peers_complete and all_peers)


def make_rule(finding: Finding, covers: str, reason: str) -> AllowRule:
    """Make the allow list that suppresses a finding and those like it.

    Args:
        finding: The finding.
        covers: One of COVERS: whether it names the peers with the service port, the peers at any
            port, or the subject, whatever is found about it.
        reason: Why this is harmless.

    Raises:
        InputError: ``covers`` is none of COVERS, or the reason is empty. What would be named is not
            an address that one host has: then dismiss the finding. The finding has no single
            port, or does not name all of its peers.
    """
    if covers not in COVERS:
        raise InputError(f"{covers!r}: an allow list covers one of: {', '.join(COVERS)}")
    if not reason.strip():
        raise InputError("the reason of the allow list is empty: give its text")
    is_subject, port = covers == "subject", finding.service_port
    if covers == "peers and port" and port is None:
        raise InputError(f"{finding.finding_id} has no single service port: cover its peers")
    if not is_subject and not finding.peers_complete:
        raise InputError(
            f"{finding.finding_id} may have more peers than it names: cover its subject, or dismiss"
            " it"
        )
    addresses = (finding.subject,) if is_subject else finding.peers
    others = [address for address in addresses if not is_address(address) or "%" in address]
    if others or not addresses:
        kind = "subject" if is_subject else "peers"
        raise InputError(
            f"an allow list cannot name the {kind} of {finding.finding_id}: no single address;"
            " dismiss the finding instead"
        )
    return AllowRule(
        finding.finding_id,
        tuple(map(canonical_address, addresses)),
        port if covers == "peers and port" else None,
        reason,
    )


def rule_path(case: Case, rule: AllowRule) -> Path:
    """Return the file of a case in which ``write_rule`` keeps a rule."""
    return case.path / "evidence" / atomic.sha256_bytes(rule.text.encode())


def write_rule(case: Case, rule: AllowRule) -> Path:
    """Load a rule into a case, and return the file in which the case keeps it.

    Raises:
        CaseError: The case cannot be written, or another process is loading into it.
    """
    with TemporaryDirectory() as aside:
        path = Path(aside) / f"allow-list-{rule.finding_id}.txt"
        path.write_bytes(rule.text.encode())
        case.ingest(path, kind="indicators", copy=True)
    return rule_path(case, rule)


def suppress_kept(case: Case, run: Run) -> Findings:
    """Return the findings of a kept run with what the allow lists loaded since then suppress."""
    later = case.log.entries[run.log_length :]
    if not any(entry["action"] == "load" for entry in later):
        return run.findings  # and no query is made
    return run.findings.replace([*suppress(case, run.findings), *run.findings.suppressed])
