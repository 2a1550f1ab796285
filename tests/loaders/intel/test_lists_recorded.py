"""Real feeds: how much of each is read, what is refused, and what is never taken for a list."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from flowbench.loaders.intel import lists


def read(text: str, label: str = "list") -> tuple[list[dict], list[tuple[int, str, str]]]:
    """The rows and the refused lines of a list."""
    found = list(lists.read_lines(enumerate(text.split("\n"), 1), label))
    refused = [each for each in found if isinstance(each, tuple)]
    table = lists.TABLE.rows(each for each in found if isinstance(each, dict))
    return table.to_pylist(), refused


def test_the_real_feeds(samples: Path) -> None:
    """Items and refused lines of each, as (items, refused, kind)."""
    found = {}
    for path in sorted(samples.glob("feeds/**/*")):
        if path.suffix not in {".txt", ".lst", ".intel"}:
            continue
        assert lists.matches_head(path.read_bytes()[: 64 << 10]), path.name
        rows, refused = read(path.read_text(), path.stem)
        assert len({row["kind"] for row in rows}) == 1
        found[path.relative_to(samples / "feeds").as_posix()] = (
            len(rows),
            len(refused),
            rows[0]["kind"],
        )
    assert found == {
        "criticalpath/abuse-ch-ipblocklist.txt": (7980, 0, "reputation"),
        "criticalpath/abuse-ch-threatfox-ip.intel": (3493, 0, "malware"),
        "criticalpath/binarydefense.txt": (2662, 0, "unspecified"),
        "criticalpath/cobaltstrike_ips.intel": (2087, 0, "c2"),
        "criticalpath/cobaltstrike_ips.txt": (2087, 0, "c2"),
        "criticalpath/compromised-ips.txt": (539, 0, "reputation"),
        "criticalpath/cps_cobaltstrike_ip.txt": (160, 0, "c2"),
        "criticalpath/drb-ra-verified.txt": (153, 0, "unspecified"),
        "criticalpath/drb_ra_ip.intel": (153, 0, "c2"),
        "criticalpath/lockbit_ip.intel": (11, 0, "malware"),
        "criticalpath/predict.txt": (122, 0, "unspecified"),
        "criticalpath/rutgers.txt": (1333, 0, "unspecified"),
        "criticalpath/threatfox.txt": (3483, 0, "malware"),
        "criticalpath/tor-exit.intel": (3251, 0, "tor"),
        "criticalpath/tor-exit.txt": (3251, 0, "tor"),
        "ip-ranges/cloudflare-v4-ip-ranges.txt": (15, 0, "unspecified"),
        "ip-ranges/cloudflare-v6-ip-ranges.txt": (7, 0, "unspecified"),
        "ipsum/levels/3.txt": (14217, 0, "unspecified"),
        "ipsum/levels/4.txt": (5354, 0, "unspecified"),
        "ipsum/levels/5.txt": (1413, 0, "unspecified"),
        "ipsum/levels/6.txt": (318, 0, "unspecified"),
        "ipsum/levels/7.txt": (70, 0, "unspecified"),
        "ipsum/levels/8.txt": (23, 0, "unspecified"),
        "maltrail/trails/static/malware/elf_coinminer.txt": (888, 204, "mining"),
        "maltrail/trails/static/mass_scanner.txt": (19215, 5, "scanner"),
        "maltrail/trails/static/mass_scanner_cidr.txt": (1106, 0, "scanner"),
        "maltrail/trails/static/suspicious/crypto_mining.txt": (1185, 0, "mining"),
        "tor/tor-exit-nodes.lst": (1746, 0, "tor"),
        "tor/tor-nodes.lst": (8054, 0, "tor"),
    }


def test_no_other_sample_is_taken_for_a_list(samples: Path) -> None:
    taken = [
        path.name
        for path in sorted(samples.rglob("*"))
        if path.is_file() and "feeds" not in path.parts
        and lists.matches_head(path.read_bytes()[: 64 << 10])
    ]  # fmt: skip
    assert taken == []


def test_types_in_a_real_mixed_list(samples: Path) -> None:
    path = samples / "feeds/maltrail/trails/static/suspicious/crypto_mining.txt"
    rows, _ = read(path.read_text(), path.stem)
    assert Counter(row["type"] for row in rows) == {"address": 740, "domain": 445}
    assert (rows[0]["indicator"], rows[0]["port"], rows[0]["line"]) == ("107.191.47.239", 3333, 9)
