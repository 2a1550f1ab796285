"""Ingestion: kills, full disks, files that change, formats recorded elsewhere."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowbench.case import Case, parts
from flowbench.errors import InputError
from flowbench.io import archive
from flowbench.loaders import batch, dispatch
from flowbench.loaders.flowlogs import text as flow_text
from tests.case.conftest import record, table_bytes, write_log
from tests.conftest import ROOT

FORMAT = "${srcaddr} ${dstaddr} ${bytes} ${start} ${end} ${vpc-id}"
LINE = "10.0.1.10 198.51.100.7 900 1788232200 1788232259 vpc-0a"


def load_in_small_batches(path: Path, evidence: Path) -> None:
    parts.ROWS_PER_BATCH = 1_500
    batch.MAX_GROUP = 8_000  # some files
    Case.open(path).ingest(evidence)


def test_a_killed_load_that_is_run_again_gives_the_same_bytes(tmp_path) -> None:
    for n in range(200):
        write_log(tmp_path / "logs" / f"{n}.log.gz", range(n * 50, n * 50 + 50))
    (tmp_path / "logs" / "odd.log").write_text("version srcaddr dstaddr\n2 10.0.0.1\n")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.case.test_ingest"])

    def start(name: str) -> multiprocessing.process.BaseProcess:
        where = (tmp_path / name, tmp_path / "logs")
        running = processes.Process(target=load_in_small_batches, args=where)
        running.start()
        return running

    Case.create(tmp_path / "warm")
    start("warm").join()
    Case.create(tmp_path / "calm")
    began = time.monotonic()
    start("calm").join()
    whole = time.monotonic() - began
    calm = table_bytes(tmp_path / "calm")
    assert len(calm) == 8  # seven batches, and the line in quarantine
    chooser = random.Random(20260901)
    midway = 0
    for number in range(10):
        path = tmp_path / f"killed-{number}"
        Case.create(path)
        for _ in range(5):
            running = start(path.name)
            time.sleep(chooser.uniform(0, whole * 0.9))
            midway += running.is_alive()
            running.kill()
            running.join()
            assert Case.open(path).log.check() == []
        running = start(path.name)
        running.join()
        assert running.exitcode == 0
        assert table_bytes(path) == calm
    assert midway >= 10, "most loads were over before they were killed"
    killed = Case.open(path)
    assert killed.verify()["ok"].all()
    assert killed.flows.count().execute() == 200 * 50
    assert killed.quarantine.count().execute() == 1


SMALL_DISK = """
import os, sys
from pathlib import Path
from flowbench.case import Case, disk_space, parts
from flowbench.errors import CaseError
parts.ROWS_PER_BATCH = 20_000
require_space = disk_space.require_space
disk, logs = Path(sys.argv[1]), sys.argv[2]
ballast = disk / "ballast"
ballast.write_bytes(os.urandom(int(2.5 * 1024 * 1024)))
case = Case.create(disk / "case")
for check in (require_space, lambda *_: None):  # something else may fill the disk meanwhile
    disk_space.require_space = check
    try:
        case.ingest(logs)
    except CaseError as error:
        print(error)
disk_space.require_space = require_space
again = Case.open(disk / "case")
kept = again.flows.count().execute()
print("kept", kept, again.verify()["ok"].all(), sorted(disk.glob("case/tables/*/*.aside")))
ballast.unlink()
again.ingest(logs)
print("whole", again.flows.count().execute(), again.verify()["ok"].all())
"""


def test_a_full_disk_keeps_committed_batches_and_the_rest_loads_later(
    tmp_path,
) -> None:
    chooser = random.Random(7)
    for n in range(8):
        numbers = [chooser.randrange(10**9) for _ in range(10_000)]
        text = "\n".join(map(record, numbers))
        (tmp_path / f"{n}.log").write_text(text)
    script = f'mount -t tmpfs -o size=3m none "$1" && exec {sys.executable} -c "$3" "$1" "$2"'
    (tmp_path / "disk").mkdir()
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in tmp_path.glob("*.log"):
        path.rename(logs / path.name)
    words = ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path / "disk", logs, SMALL_DISK]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode and "kept" not in ran.stdout and "CaseError" not in ran.stderr:
        pytest.skip(f"no small disk to be had here: {ran.stderr.strip()[-200:]}")
    refusal_before, refusal, kept, whole = ran.stdout.splitlines()
    assert "the load needs about 1.6 MB" in refusal_before
    assert "No space left on device. Make room and load again" in refusal
    assert kept in {f"kept {n} True []" for n in (20_000, 40_000, 60_000)}
    assert whole == "whole 80000 True"


def test_a_file_that_changes_while_it_is_read_is_left_out_and_reported(
    case, logs, tmp_path, monkeypatch
) -> None:
    honest = dispatch.Evidence.of

    def stale(path: Path, name: str, *rest: object, **more: object) -> dispatch.Evidence:
        found = honest(path, name, *rest, **more)
        if name == "3.log.gz":
            found.sha256 = "0" * 64
        return found

    without = Case.create(tmp_path / "without")
    without.ingest(*(logs / f"{n}.log.gz" for n in (0, 1, 2, 4, 5)))
    monkeypatch.setattr(dispatch.Evidence, "of", stale)
    rows = case.ingest(logs).set_index("file")
    assert rows["outcome"].to_dict() == {
        f"{n}.log.gz": "not readable" if n == 3 else "loaded" for n in range(6)
    }
    assert set(rows["records"]) == {0, 100}
    assert case.quarantine.select("file", "reason").execute().to_dict("records") == [
        {
            "file": "3.log.gz",
            "reason": "changed while it was read: load it when nothing writes to it",
        }
    ]
    flows = {k: v for k, v in table_bytes(case.path).items() if k.startswith("flows")}
    assert flows == table_bytes(without.path)
    monkeypatch.undo()
    assert case.ingest(logs)["records"].sum() == 100
    assert case.flows.count().execute() == 600


@pytest.mark.parametrize("module", [flow_text, archive])
def test_files_beside_one_that_a_bug_keeps_from_being_read_are_loaded(
    case, logs, monkeypatch, module
) -> None:
    """Both in the reader of a kind and before the kind is known."""
    (logs / "broken.log").write_text("version srcaddr dstaddr\n2 10.0.0.1 10.0.0.2\n")
    name = "read" if module is flow_text else "detect_archive"
    honest = getattr(module, name)

    def failing(of):
        file_name = of.name if module is flow_text else getattr(of, "_data", b"")[:15]
        if file_name in ("broken.log", b"version srcaddr"):
            raise OverflowError("date value out of range")
        return honest(of)

    monkeypatch.setattr(module, name, failing)
    rows = case.ingest(logs).set_index("file")
    assert rows["records"].to_dict() == {f"{n}.log.gz": 100 for n in range(6)} | {"broken.log": 0}
    (entry,) = case.quarantine.select("file", "reason").execute().to_dict("records")
    assert entry["file"] == "broken.log"
    assert "OverflowError" in entry["reason"]
    assert "please report" in entry["reason"]


def test_a_recorded_format_is_used_for_logs_without_a_header(case, tmp_path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "a.log").write_text(f"{LINE}\n{LINE}\n")
    answer = {"FlowLogs": [{"FlowLogId": "fl-0a", "ResourceId": "vpc-0a", "LogFormat": FORMAT}]}
    (folder / "z.json").write_text(json.dumps(answer))
    case.ingest(folder)
    rows = case.flows.select("srcaddr", "bytes", "vpc_id", "line").execute().to_dict("records")
    assert rows == [
        {"srcaddr": "10.0.1.10", "bytes": 900, "vpc_id": "vpc-0a", "line": n} for n in (1, 2)
    ]
    # What was known once is known for later loads, and how it was read is on record.
    (tmp_path / "later.log").write_text(LINE.replace("900", "901") + "\n")
    case.ingest(tmp_path / "later.log")
    assert case.flows.bytes.sum().execute() == 900 + 900 + 901
    columns = ["srcaddr", "dstaddr", "bytes", "start", "end", "vpc_id"]
    loads = [entry["details"] for entry in case.custody if entry["action"] == "load"]
    assert [details["formats"] for details in loads] == [[columns], [columns]]


def test_a_given_format_string_is_used(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(f"{LINE}\n")
    with pytest.raises(InputError, match="not a flow log format"):
        case.ingest(tmp_path / "a.log", formats=["srcaddr dstaddr"])
    case.ingest(tmp_path / "a.log", formats=[FORMAT])
    assert case.flows.dstaddr.execute().tolist() == ["198.51.100.7"]
