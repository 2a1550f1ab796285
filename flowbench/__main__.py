"""So that ``python -m flowbench`` is the command."""

from flowbench.cli import main

main(prog_name="flowbench")
