"""Owns the settings of a fire test: those of the host, with the `PSA` keys of CHAOS_PSA, a JSON object."""

import json
import os

from resolutionflow.settings import *  # noqa: F403
from resolutionflow.settings import PSA as _HOST_PSA

PSA = {**_HOST_PSA, **json.loads(os.environ.get("CHAOS_PSA", "{}"))}
