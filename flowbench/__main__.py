"""Run the command as ``python -m flowbench``."""

from flowbench.cli import main

main(prog_name="flowbench")
