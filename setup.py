"""Owns the one build step a pyproject cannot say: the ConnectWise reference is mapped into the wheel.

The tree keeps a single copy under docs/; the wheel carries it as psa/providers/connectwise/reference.json.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

REFERENCE = Path("docs/connectwise/connectwise-psa-resolutionflow-reference.json")
TARGET = Path("psa/providers/connectwise/reference.json")


class BuildWithReference(build_py):
    """build_py, and the reference beside the vendor's code."""

    def run(self) -> None:
        """Build the packages, then copy the reference into them."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / TARGET
            self.mkpath(str(target.parent))
            self.copy_file(str(REFERENCE), str(target))


setup(cmdclass={"build_py": BuildWithReference})
