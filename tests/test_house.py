"""Rules of this repository: layers, sizes, mirrored tests, names, and what may be committed."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowbench

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "flowbench"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Modules without a test file of their own, and why.
UNTESTED = {
    "flowbench/__init__.py": "tests/test_api.py",
    "flowbench/__main__.py": "tests/cli/test_ingest.py runs python -m flowbench",
    "flowbench/errors.py": "classes without code",
    "flowbench/version.py": "a constant",
}
# Test files of several modules at once, and why.
SHARED_TESTS = {
    "tests/plot/test_hostile_labels.py": "the same hostile names for every figure",
    "tests/panel/test_jupyterlab.py": "the JupyterLab in which panels are tested",
    "tests/loaders/aws/test_hostile_json.py": "the same hostile input for every AWS loader",
}
API = [
    "Case",
    "CaseError",
    "FlowbenchError",
    "InputError",
    "MissingFieldError",
    "StoppedError",
    "about",
    "attribution",
    "corroborate",
    "detect",
    "evaluate",
    "export",
    "fetch",
    "graph",
    "hunt",
    "panel",
    "pivot",
    "playbooks",
    "plot",
    "pricing",
    "reachability",
    "report",
    "scenario",
    "segmentation",
    "timeline",
    "training",
    "where",
]
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40  # of 95 % of the functions
MAX_FORMAT_SKIPS = 20


def test_layers_hold_and_there_are_no_cycles() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_test_file() -> None:
    missing = []
    for path in MODULES:
        module = path.relative_to(ROOT)
        test = ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
        if path.name == "__init__.py" and not has_code(path):
            continue
        if path.name == "__init__.py":  # of a package: a test named after the package
            test = test.with_name(f"test_{path.parent.name}.py")
        if not test.is_file() and module.as_posix() not in UNTESTED:
            missing.append(f"{module.as_posix()} -> {test.relative_to(ROOT).as_posix()}")
    assert not missing, "\n".join(missing)


def has_code(path: Path) -> bool:
    """Return whether a module defines functions or classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree))


def test_exceptions_are_needed() -> None:
    for name in [*UNTESTED, *SHARED_TESTS]:
        assert (ROOT / name).is_file(), name


def test_every_test_file_has_its_module() -> None:
    stray = []
    for path in sorted((ROOT / "tests").glob("*/**/test_*.py")):
        name = path.name.removeprefix("test_")
        module = PACKAGE / path.relative_to(ROOT / "tests").with_name(name)
        is_package = path.parent.name == module.stem or module.with_suffix("").is_dir()
        # A module may have several test files: test_scan.py and test_scan_udp.py.
        aspect_of = [p for p in module.parent.glob("*.py") if name.startswith(f"{p.stem}_")]
        test = path.relative_to(ROOT).as_posix()
        if not (module.is_file() or is_package or aspect_of or test in SHARED_TESTS):
            stray.append(test)
    assert not stray, "\n".join(stray)


def test_files_are_short() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
    }
    long = [f"{name}: {n}" for name, n in lengths.items() if n > MAX_FILE_LINES]
    assert not long, "\n".join(long)


def test_functions_are_short() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert statistics.quantiles(lengths, n=20)[-1] < MAX_FUNCTION_LINES


def test_the_formatter_is_rarely_switched_off() -> None:
    skips = {
        path.relative_to(ROOT).as_posix(): count
        for path in MODULES
        if (count := path.read_text(encoding="utf-8").count("# fmt: skip"))
    }
    assert sum(skips.values()) < MAX_FORMAT_SKIPS, skips


def test_the_public_api_is_a_flat_list() -> None:
    assert dir(flowbench) == API
    assert (PACKAGE / "py.typed").is_file()


def read_retired() -> dict[str, set[str]]:
    """Return the retired words, each with the identifiers or modules that may still have it."""
    words = {}
    text = (ROOT / "tests" / "retired_identifiers.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            exceptions = re.search(r"\[(.*)\]", line)
            words[line.split()[0]] = set(exceptions.group(1).split(", ")) if exceptions else set()
    return words


def identifiers(path: Path) -> Iterator[str]:
    """Yield every name that a module defines or uses, as its syntax tree has it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield name


def split_words(identifier: str) -> set[str]:
    """Return the words of an identifier in lower case, and the whole."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower()
    return {spaced.strip("_"), *spaced.split("_"), *spaced.split(".")}


def test_retired_identifiers_are_gone() -> None:
    retired = read_retired()
    assert len(retired) > 20
    used: set[str] = set()
    for path in [*MODULES, *sorted((ROOT / "benchmarks").glob("*.py"))]:
        module = path.relative_to(ROOT).as_posix()
        if path.stem in retired:
            used.add(module)
        for name in identifiers(path):
            for word in split_words(name) & retired.keys():
                if not retired[word] & {name, module}:
                    used.add(f"{module}: {name}")
    assert not used, "\n".join(sorted(used))


def test_retired_words_are_found_as_whole_words_only(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import b.told\ndef f(grave_rows): x.doorStep = history\n")
    words = [split_words(name) for name in identifiers(tmp_path / "a.py")]
    flat = set().union(*words)
    assert {"told", "grave", "door"} <= flat
    assert "story" not in flat


def test_the_glossary_and_the_architecture_exist() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for term in ("finding", "connection", "evidence", "indicator", "capture window"):
        assert term in glossary.lower()
    assert (ROOT / "docs" / "architecture.md").is_file()


def test_help_imports_nothing_heavy() -> None:
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


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_registry() -> None:
    hosts = ["p" + "ypi.org", "python" + "hosted", "registry.n" + "pmjs", "deb.de" + "bian.org"]
    paths = ["/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/"]
    pattern = re.compile("|".join(map(re.escape, [*hosts, *paths])))
    for path in tracked_files():
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


def test_conda_installs_the_same_packages() -> None:
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


def test_every_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    modules = {"ibis-framework": "ibis", "pyyaml": "yaml", "stix2-patterns": "stix2patterns"}
    # Used by name: `backports.zstd`, `python -m jupyterlab`, and widgets through plotly.
    modules |= {"backports.zstd": "backports", "jupyterlab": '"jupyterlab"', "ipywidgets": ""}
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    for line in project["dependencies"]:
        name = re.match(r"[A-Za-z0-9.-]+", line).group()
        module = modules.get(name, name)
        if module and '"' not in module:
            assert re.search(rf"^\s*(import|from) {module}\b", code, re.MULTILINE), name
        else:
            assert module in code, name


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("dependencies = [")[1].split("\n]")[0]
    for line in block.strip().splitlines():
        assert re.search(r'",\s+# \w', line), line


def test_pins_contain_no_hosts_or_files() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in pins if not line.startswith("#")]
    assert len(pins) > 50
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in pins)


def test_slow_tests_are_tests_that_exist() -> None:
    lines = (ROOT / "tests" / "slow_tests.txt").read_text(encoding="utf-8").splitlines()
    gone = []
    for line in lines:
        if not line.startswith("#"):
            path, _, name = line.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).is_file() else ""
            if f"def {name.rpartition('::')[2]}(" not in text:
                gone.append(line)
    assert not gone, "\n".join(gone)
