"""The house's own rules: who may import whom, what may lie in the repository, and how big."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "flowbench"


def modules() -> list[Path]:
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" or path.parent != PACKAGE
    )


def test_layers_hold_and_nothing_imports_in_a_circle() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout


def test_no_module_is_too_long_to_hold_in_mind() -> None:
    lengths = {p.name: len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert {name: n for name, n in lengths.items() if n > 420} == {}


def test_help_starts_at_once() -> None:
    program = (
        "import sys\nfrom flowbench.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'ibis', 'duckdb', 'pandas', 'pyarrow', 'plotly', 'networkx', 'numpy', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert shown.splitlines()[-1] == "[]"


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_names_a_machine_or_a_registry() -> None:
    hosts = ["p" + "ypi.org", "python" + "hosted", "registry.n" + "pmjs", "deb.de" + "bian.org"]
    paths = ["/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/"]
    pattern = re.compile("|".join(map(re.escape, [*hosts, *paths])))
    for path in tracked():
        if path.suffix in (".gz", ".png", ".parquet"):
            continue
        found = pattern.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found and found.group()}"


def test_notebooks_are_committed_without_outputs() -> None:
    notebooks = sorted((ROOT / "notebooks").rglob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                assert (cell["outputs"], cell["execution_count"]) == ([], None), path


CONDA = {
    "ibis-duckdb": "ibis-framework[duckdb]",
    "python-duckdb": "duckdb",
    "python-isal": "isal",
}
PIP_ONLY = "iptocc"  # not on conda-forge


def test_conda_gets_the_same_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    listed = [line[4:] for line in lines if line.startswith("  - ")]
    packages = set()
    for line in listed:
        name = re.match(r"[a-z0-9-]+", line).group()
        if name not in ("python", "pip", "conda-forge"):
            packages.add(line.replace(name, CONDA.get(name, name), 1))
    wanted = {line.partition(";")[0] for line in project["dependencies"]}
    assert packages == {line for line in wanted if not line.startswith(PIP_ONLY)}
    assert f"python{project['requires-python']}" in listed


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("dependencies = [")[1].split("\n]")[0]
    for line in block.strip().splitlines():
        assert re.search(r'",\s+# \w', line), line


def test_pins_hold_no_hosts_or_files() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in pins if not line.startswith("#")]
    assert len(pins) > 50
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in pins)
