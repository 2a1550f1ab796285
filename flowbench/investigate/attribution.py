"""Who is behind an address: interface, instance, the call that started it, the principal, the rest.

Each step cites the record it rests on. Where the chain breaks, the step says so and why: a missing
link is a finding about the evidence, not a reason to guess.

Known limit: CloudTrail names the credentials that were used, not the person who used them.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.enrich.inventory import Lookup, holder
from flowbench.schema import ITEM, ORIGIN, Table, to_frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import ibis

    from flowbench.case import Case

TRACE = Table.of(
    "trace",
    ("step", "string", "what this is about: see trace; gap where the chain ends or has a hole"),
    ("what", "string", "one sentence"),
    ("value", "string", "the id or name that the step found; null for a gap"),
    ("time", "time", "when, for what happened at a time"),
    ("ref", "string", "CloudTrail event id, where the step rests on one"),
    ("file", "string", "the evidence file that says so"),
    *ORIGIN,
    ITEM,
)

_SHOWN = 5  # addresses named in a sentence
# What gives a user its being or its powers.
_MAKING = (
    "CreateUser",
    "CreateAccessKey",
    "CreateLoginProfile",
    "AttachUserPolicy",
    "PutUserPolicy",
    "AddUserToGroup",
    "UpdateLoginProfile",
)


def trace(case: Case, address: str, at: pd.Timestamp | None = None) -> pd.DataFrame:
    """The chain from an address to the principal behind it and what else that one did (TRACE).

    An address has one holder after another: ``at`` (UTC) says whose time is meant, that of a
    finding for one. Without it the address's last record counts.

    Steps in order: address, interface, instance, start (RunInstances or CreateNetworkInterface),
    principal, access key, called from, origin (who made the principal and its keys), usual (where
    that maker otherwise calls from), maker (what else it did from an unusual place), deed
    (everything else the principal did, and what was done with the keys and sessions it made, by
    time). A missing link is a step called gap.
    """
    chain = _Chain(case)
    interface = chain.interface(address, at)
    start = chain.start(address, interface)
    if start is not None:
        chain.principal(start)
    return TRACE.frame(chain.rows)


def traces(case: Case, findings: pd.DataFrame) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Who is behind the subjects of findings: (subject, trace, its findings), in their order.

    A subject that had several holders at the times of its findings has one for each; one that is
    no address (a principal, the logs themselves) has none.
    """
    findings = findings[findings["subject"].map(_is_address).astype(bool)]
    lookup = Lookup(case.address_assignments, findings["subject"])
    groups: dict[tuple[str, Any], list[Any]] = {}
    for place, row in findings.iterrows():
        held = lookup.at(row["subject"], row["first_seen"])
        who = held and (held["interface_id"], held["instance_id"])
        groups.setdefault((row["subject"], who), []).append(place)
    found = []
    for (subject, _who), places in groups.items():
        mine = findings.loc[places]
        found.append((subject, trace(case, subject, mine["first_seen"].min()), mine))
    return found


def summary(trace: pd.DataFrame) -> dict[str, str | None]:
    """The ends of a trace, by name; what it did not find is None.

    Names: address, interface, instance, start (event id), started_at, principal, access_key,
    called_from, created_by.
    """
    first = trace.dropna(subset=["value"]).drop_duplicates("step").set_index("step")["value"]
    names = ("address", "interface", "instance", "start", "principal", "access key", "called from")
    found: dict[str, str | None] = {name.replace(" ", "_"): first.get(name) for name in names}
    started = trace.loc[trace["step"] == "start", "time"].dropna()
    found["started_at"] = started.iloc[0].isoformat() if len(started) else None
    origin = trace[(trace["step"] == "origin") & trace["value"].notna()]
    found["created_by"] = origin["value"].iloc[0] if len(origin) else None
    return found


def principal_events(case: Case, arns: Iterable[str], keys: Iterable[str]) -> pd.DataFrame:
    """Every API event (load.cloudtrail.TABLE) by one of these principals or keys, by time."""
    events = case.api_events
    mine = events.principal_arn.isin(list(arns)) | events.access_key_id.isin(list(keys))
    return _by_time(events.filter(mine.fill_null(False)))


class _Chain:
    """The steps of a trace as they are found."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rows: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []  # every holder of the address
        self._files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))

    def add(
        self, step: str, what: str, value: str | None = None, row: Any = None, time: Any = None
    ) -> None:
        known = (
            {} if row is None else {n: row[n] for n in ("evidence_id", "line", "item") if n in row}
        )
        known = {n: None if pd.isna(v) else v for n, v in known.items()}
        self.rows.append(
            {
                "step": step,
                "what": what,
                "value": value,
                "time": time,
                "ref": None if row is None else row.get("event_id"),
                "file": self._files.get(known.get("evidence_id")),
                **known,
            }
        )

    def interface(self, address: str, at: datetime | None) -> dict[str, Any] | None:
        """Steps address, interface, instance as far as inventory, API events and logs know them."""
        self.add("address", f"The address in question is {address}.", address)
        h = self.case.address_assignments
        mine = (h.address == address) | h.public_addresses.contains(address)
        order = [h.valid_from.asc(nulls_first=True), h.interface_id, h.address]
        self.held = found = _rows(h.filter(mine.fill_null(False)).order_by(order))
        row = holder(found, at or self._last_record(address) if len(found) > 1 else None)
        if row is None or row["known_from"] != "inventory":
            self.add("gap", f"No inventory lists an interface with {address}.")
        if row is None or row["known_from"] == "cloudtrail":
            return row  # the event that says so is the next step
        self.holder(address, row)
        return row

    def holder(self, address: str, row: dict[str, Any], by: Any = None) -> None:
        """Steps interface and instance; ``by`` is the event that says so, where one does."""
        cited = row if by is None else by
        logged = row["known_from"] == "logs"
        kind = f" ({row['service']})" if row["service"] else ""
        name = "" if logged else f" (Name tag: {row['name'] or 'none'})"
        known = "; the flow log records say so" if logged else ""
        text = f"{row['interface_id']}{kind} in {row['subnet_id']}, {row['vpc_id']}{name}{known}"
        if by is not None:
            text = f"{row['interface_id']}{kind}, to which {by['event_name']} gave {address}"
        also = [_told(one) for one in self.held if one["interface_id"] != row["interface_id"]]
        also = list(dict.fromkeys(also))
        if len(also) > _SHOWN:
            also[_SHOWN:] = [f"and {len(also) - _SHOWN} more"]
        reused = f"; the address also stands at {', '.join(also)}" if also else ""
        if row["interface_id"]:
            self.add(
                "interface", f"It is {text}{reused}.", row["interface_id"], cited, row["valid_from"]
            )
        if row["instance_id"]:
            text = f"The interface is attached to {row['instance_id']}."
            self.add("instance", text, row["instance_id"], cited, row["valid_from"])
        elif row["service"] and row["service"] != "ec2":
            self.add("gap", "No instance is attached: the interface belongs to a service.")
        else:
            self.add("gap", "No instance is known to have been attached to the interface.")

    def _last_record(self, address: str) -> datetime | None:
        p = self.case.connection_summaries
        mine = p.filter((p.initiator == address) | (p.responder == address))
        found: datetime | None = mine.last_seen.max().to_pyarrow().as_py()
        return found

    def start(self, address: str, interface: dict[str, Any] | None) -> pd.Series | None:
        """The successful call that made the instance or the interface."""
        events = self.case.api_events
        made = events.event_name.isin(["RunInstances", "CreateNetworkInterface"])
        made &= events.error_code.isnull()
        if interface is None:
            mine = events.addresses.contains(address)
        else:
            mine = events.interface_ids.contains(interface["interface_id"] or "")
            if interface["instance_id"]:
                mine |= events.instance_ids.contains(interface["instance_id"])
        found = _by_time(events.filter(made & mine.fill_null(False)))
        if found.empty:
            if interface is not None and interface["known_from"] == "cloudtrail":
                self.holder(address, interface)
            thing = address
            if interface is not None:
                thing = interface["instance_id"] or interface["interface_id"]
            first, last = self._covered()
            self.add(
                "gap",
                f"No RunInstances or CreateNetworkInterface event names {thing}: it was made"
                f" outside what the CloudTrail evidence covers ({first} to {last})."
                if first
                else f"There is no CloudTrail evidence: who started {thing} cannot be told.",
            )
            return None
        # An instance may take an interface that was made before it: who ran it counts.
        ran = found[found["event_name"] == "RunInstances"]
        event = (found if ran.empty else ran).iloc[0]
        if interface is not None and interface["known_from"] == "cloudtrail":
            self.holder(address, interface, event)
        elif interface is None:
            if len(found) > 1:
                text = f"{len(found)} calls gave {address} to something; the earliest is followed."
                self.add("gap", text)
            for step, ids in (
                ("interface", event["interface_ids"]),
                ("instance", event["instance_ids"]),
            ):
                if ids is not None and len(ids) == 1:
                    self.add(
                        step, f"{event['event_name']} gave {address} to {ids[0]}.", ids[0], event
                    )
        self.add(
            "start",
            f"{event['event_name']} at {event['event_time']:%Y-%m-%d %H:%M:%S} UTC made it.",
            event["event_id"],
            event,
            event["event_time"],
        )
        return event

    def principal(self, start: pd.Series) -> None:
        """Steps principal, origin and deeds, from the event that started the instance."""
        who, at = _name(start), start["event_time"]
        self.add(
            "principal",
            f"The call was made by {start['principal_type']} {who}.",
            start["principal_arn"] or who,
            start,
            at,
        )
        if start["access_key_id"]:
            text = f"It was signed with access key {start['access_key_id']}."
            self.add("access key", text, start["access_key_id"], start, at)
        if start["source_ip"]:
            text = f"It came from {start['source_ip']}, user agent {start['user_agent']}."
            self.add("called from", text, start["source_ip"], start, at)
        origins = self._origins(start)
        for event in origins:
            outcome = f", refused ({event['error_code']})" if event["error_code"] else ""
            self.add(
                "origin",
                f"{_name(event)} called {event['event_name']} for {who}"
                f" from {event['source_ip']}{outcome}.",
                None if event["error_code"] else event["principal_arn"] or _name(event),
                event,
                event["event_time"],
            )
        if origins:
            self._usual(origins)
        elif start["principal_type"] == "IAMUser":
            self.add("gap", f"No event in the evidence shows who made user {who}.")
        elif start["principal_type"] == "AssumedRole":
            self.add("gap", f"No event in the evidence shows who took up the session {who}.")
        told = {start["event_id"], *(event["event_id"] for event in origins)}
        for _, event in self._deeds(start, origins).iterrows():
            if event["event_id"] not in told:
                self.add("deed", deed(event), event["event_name"], event, event["event_time"])

    def _origins(self, start: pd.Series) -> list[pd.Series]:
        """Others' calls that made the principal, its keys, its powers, or the session it used."""
        events = self.case.api_events
        mine = events.new_access_key_id == start["access_key_id"]
        if start["principal_type"] == "IAMUser":
            made = events.event_name.isin(list(_MAKING))
            made &= events.target_user == start["principal_name"]
            if start["account_id"]:
                made &= events.account_id == start["account_id"]
            mine = mine.fill_null(False) | made
        found = _by_time(events.filter(mine.fill_null(False)))
        return [e for _, e in found.iterrows() if e["principal_arn"] != start["principal_arn"]]

    def _usual(self, origins: list[pd.Series]) -> None:
        """Where else the maker calls from: credentials in other hands show here."""
        maker = origins[0]["principal_arn"]
        here = sorted({event["source_ip"] for event in origins if event["source_ip"]})
        calls = principal_events(self.case, [maker] if maker else [], [])
        elsewhere = calls[~calls["source_ip"].isin(here)]
        if len(elsewhere):
            count = len(calls) - len(elsewhere)
            places = sorted({str(place) for place in elsewhere["source_ip"]})
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            text = f"Of {_name(origins[0])}'s {len(calls)} calls {count} came from"
            text += f" {', '.join(here)}; the other {len(elsewhere)} came from"
            self.add("usual", f"{text} {', '.join(places[:_SHOWN])}{more}.", row=elsewhere.iloc[0])
        if len(calls) < 2 * len(elsewhere):  # from an unusual place: whatever was done there counts
            told = {event["event_id"] for event in origins}
            for _, event in calls[calls["source_ip"].isin(here)].iterrows():
                if event["event_id"] not in told:
                    self.add("maker", deed(event), event["event_name"], event, event["event_time"])

    def _deeds(self, start: pd.Series, origins: list[pd.Series]) -> pd.DataFrame:
        """What the principal did, by any of its keys, and what was done with keys it gave out."""
        arns = [start["principal_arn"]] if start["principal_arn"] else []
        keys = {start["access_key_id"], *(event["new_access_key_id"] for event in origins)} - {None}
        while True:
            found = principal_events(self.case, arns, keys)
            given = set(found["new_access_key_id"].dropna()) - keys
            if not given:
                return found
            keys |= given

    def _covered(self) -> tuple[str | None, str | None]:
        events = self.case.api_events
        ends = events.aggregate(first=events.event_time.min(), last=events.event_time.max())
        first, last = ends.to_pandas().iloc[0]
        if pd.isna(first):
            return None, None
        return f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M} UTC"


def deed(event: pd.Series | dict[str, Any]) -> str:
    """One API event as a sentence: who called what, on what, from where, with what outcome."""
    lists = (event["instance_ids"], event["interface_ids"])
    things = [thing for ids in lists if ids is not None for thing in ids]
    on = f" on {', '.join(things[:3])}" if things else ""
    if event["target_user"]:
        on += f" for user {event['target_user']}"
    outcome = f": refused, {event['error_code']}" if event["error_code"] else ""
    return f"{_name(event)} called {event['event_name']}{on} from {event['source_ip']}{outcome}."


def _name(event: pd.Series | dict[str, Any]) -> str:
    return event["principal_name"] or event["principal_arn"] or event["principal_type"] or "unknown"


def _by_time(events: ibis.Table) -> pd.DataFrame:
    frame = to_frame(events.order_by("event_time", "event_id", "evidence_id", "item").to_pyarrow())
    return frame.astype(object).where(frame.notna(), None)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _told(row: dict[str, Any]) -> str:
    """Another holder of the address, and when."""
    begun, until = row["valid_from"], row["valid_until"]
    words = [
        f"({row['instance_id']})" if row["instance_id"] else "",
        f"from {begun:%Y-%m-%d %H:%M}" if begun else "",
        f"until {until:%Y-%m-%d %H:%M}" if until else "",
    ]
    return " ".join([row["interface_id"] or "an unnamed interface", *filter(None, words)])


def _rows(table: ibis.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()
