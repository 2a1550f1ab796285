"""The command ``flowbench``: parse options, call the library, print the result.

One file per command, named after it. A new command is a new file and a line in COMMANDS, whose
order is that of the help. Heavy imports are deferred to the functions, so that ``--help`` is quick.
"""

from flowbench.cli.addresses import addresses
from flowbench.cli.bench import bench
from flowbench.cli.cloud_ranges import cloud_ranges
from flowbench.cli.common import main
from flowbench.cli.connections import connections
from flowbench.cli.corroborate import corroborate
from flowbench.cli.coverage import coverage
from flowbench.cli.demo import demo
from flowbench.cli.detect import detect
from flowbench.cli.dns import dns
from flowbench.cli.doctor import doctor
from flowbench.cli.evaluate import evaluate
from flowbench.cli.events import events
from flowbench.cli.evidence import evidence
from flowbench.cli.export import export
from flowbench.cli.fetch import fetch
from flowbench.cli.findings import findings
from flowbench.cli.flows import flows
from flowbench.cli.grade import grade
from flowbench.cli.graph import graph
from flowbench.cli.hunt import hunt
from flowbench.cli.info import info
from flowbench.cli.ingest import ingest
from flowbench.cli.lab import lab
from flowbench.cli.lesson import lesson
from flowbench.cli.new import new
from flowbench.cli.note import note
from flowbench.cli.pack import pack
from flowbench.cli.quarantine import quarantine
from flowbench.cli.report import report
from flowbench.cli.run import run
from flowbench.cli.scenario import scenario
from flowbench.cli.seal import seal
from flowbench.cli.segmentation import segmentation
from flowbench.cli.timeline import timeline
from flowbench.cli.trace import trace
from flowbench.cli.unpack import unpack
from flowbench.cli.verify import verify
from flowbench.cli.why import why

COMMANDS = (
    demo,
    lab,
    bench,
    new,
    ingest,
    fetch,
    info,
    verify,
    seal,
    coverage,
    quarantine,
    flows,
    connections,
    events,
    addresses,
    dns,
    cloud_ranges,
    detect,
    findings,
    evidence,
    hunt,
    trace,
    why,
    timeline,
    graph,
    corroborate,
    note,
    segmentation,
    run,
    report,
    export,
    pack,
    unpack,
    scenario,
    grade,
    lesson,
    evaluate,
    doctor,
)
for _command in COMMANDS:
    main.add_command(_command)

__all__ = ["COMMANDS", "main"]
