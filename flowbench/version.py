"""The version of flowbench, for the package, its files and its requests."""

__version__ = "0.1.0"
