"""How generated flow logs compare with labelled logs of real traffic, distribution by distribution.

    python benchmarks/realism.py FOLDER... [--samples SAMPLES]

Each FOLDER has flow logs: generated ones (flowbench scenario --out FOLDER), or captures as flow
logs. Prints one column for each folder. The periodic share is that of connections, of pairs with
ten or more, whose intervals differ by less than a tenth of their median, between the quartiles.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import ibis
import pandas as pd
from ibis import _

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from flowbench.case import Case

SAMPLES = ("public-mix/v5-60s", "public-mix/v2-600s", "scan-ncsa", "scan-ncsa-backscatter")


def main() -> None:
    """Load each folder into a case of its own, measure, print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    options.add_argument("--samples", type=Path, help="folder of the labelled samples")
    arguments = options.parse_args()
    folders = list(arguments.folders)
    if arguments.samples is not None:
        folders += [arguments.samples / name for name in SAMPLES]
    with tempfile.TemporaryDirectory() as root:
        measured = {
            str(folder): measure(folder, Path(root) / str(number))
            for number, folder in enumerate(folders)
        }
    names = list(next(iter(measured.values())))
    print("| measure | " + " | ".join("/".join(Path(name).parts[-2:]) for name in measured) + " |")
    print("|---|" + "---:|" * len(measured))
    for name in names:
        print(f"| {name} | " + " | ".join(values[name] for values in measured.values()) + " |")


def measure(folder: Path, root: Path) -> dict[str, str]:
    """Return the distributions of a folder's flow logs, as text."""
    case = Case.create(root, "realism")
    case.ingest(*sorted(path for path in folder.rglob("*.log*") if path.is_file()))
    flows, connections = case.flows, case.connections
    ok = flows.filter(_.log_status.fill_null("OK") == "OK")
    total = ok.count()
    length = (_["end"].epoch_seconds() - _.start.epoch_seconds()).cast("float64")
    per_interface = ok.group_by("interface_id").aggregate(n=_.count())
    tuples = ["interface_id", "srcaddr", "dstaddr", "srcport", "dstport"]
    turned = dict(
        zip(tuples, ["interface_id", "dstaddr", "srcaddr", "dstport", "srcport"], strict=True)
    )
    syn_acks = ok.filter(_.tcp_flags == 18)
    unasked = syn_acks.anti_join(ok.select(**turned), tuples)
    values = flows.aggregate(
        records=_.count(),
        nodata=(_.log_status == "NODATA").mean(),
        skipdata=(_.log_status == "SKIPDATA").mean(),
    ).join(
        ok.aggregate(
            rejected=(_.action == "REJECT").mean(),
            v6=_.srcaddr.contains(":").mean(),
            low=length.quantile(0.05),
            mid=length.quantile(0.5),
            high=length.quantile(0.95),
            bytes_mid=_.bytes.cast("float64").quantile(0.5),
            bytes_high=_.bytes.cast("float64").quantile(0.95),
            one=(_.packets == 1).mean(),
        ),
        True,
    )
    row = values.execute().iloc[0]
    interfaces = per_interface.aggregate(
        n=_.count(), mid=_.n.quantile(0.5), most=_.n.max() / _.n.sum()
    ).execute().iloc[0]  # fmt: skip
    known = connections.aggregate(
        n=_.count(),
        records=_.records.mean(),
        unanswered=(_.bytes_in == 0).mean(),
        services=_.service_port.nunique(),
    ).execute().iloc[0]  # fmt: skip
    backscatter = unasked.count().execute() / total.execute()
    return {
        "records": f"{row['records']:,.0f}",
        "NODATA": f"{row['nodata']:.2%}",
        "SKIPDATA": f"{row['skipdata']:.3%}",
        "REJECT": f"{row['rejected']:.2%}",
        "IPv6": f"{row['v6']:.2%}",
        "window, s (5 %, median, 95 %)": f"{row['low']:.0f}, {row['mid']:.0f}, {row['high']:.0f}",
        "bytes of a record (median, 95 %)": f"{row['bytes_mid']:,.0f}, {row['bytes_high']:,.0f}",
        "records of one packet": f"{row['one']:.1%}",
        "interfaces": f"{interfaces['n']:,.0f}",
        "records of an interface (median)": f"{interfaces['mid']:,.0f}",
        "share of the busiest": f"{interfaces['most']:.1%}",
        "connections": f"{known['n']:,.0f}",
        "records of a connection": f"{known['records']:.1f}",
        "without an answer": f"{known['unanswered']:.1%}",
        "backscatter (SYN-ACK that answers nothing)": f"{backscatter:.2%}",
        "service ports": f"{known['services']:,.0f}",
        "top ports": _top_ports(connections),
        "periodic": f"{_periodic(connections):.1%}",
    }


def _top_ports(connections: ibis.Table) -> str:
    ports = connections.group_by("service_port").aggregate(n=_.count())
    rows = ports.order_by(_.n.desc(), "service_port").limit(4).execute()
    total = connections.count().execute()
    return ", ".join(
        f"{port:.0f} {n / total:.0%}" for port, n in zip(rows.service_port, rows.n, strict=True)
    )


def _periodic(connections: ibis.Table) -> float:
    key = ["initiator", "responder", "service_port"]
    order = ibis.window(group_by=key, order_by="first_seen")
    seconds = connections.first_seen.epoch_seconds()
    gaps = connections.mutate(gap=(seconds - seconds.lag().over(order)).cast("float64"))
    gaps = gaps.filter(_.gap.notnull())
    pairs = gaps.group_by(key).aggregate(
        n=_.count(), mid=_.gap.quantile(0.5), low=_.gap.quantile(0.25), high=_.gap.quantile(0.75)
    )
    many = pairs.filter(_.n >= 9)
    regular = (_.high - _.low < 0.1 * _.mid) & (_.mid > 1)
    counted = many.aggregate(share=_.n.sum(where=regular)).execute().iloc[0, 0]
    total = connections.count().execute()
    return 0.0 if pd.isna(counted) else float(counted) / total


if __name__ == "__main__":
    main()
