"""Owns the settings of the benchmarks: the host's, with the yardstick's table and address added."""

from resolutionflow.settings import *  # noqa: F403
from resolutionflow.settings import INSTALLED_APPS as _HOST_APPS

INSTALLED_APPS = [*_HOST_APPS, "bench.yardstick"]
ROOT_URLCONF = "bench.yardstick.urls"
