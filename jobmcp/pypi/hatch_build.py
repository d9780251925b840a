"""Tags the wheel with the platforms of its programs, for any version of Python."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Platforms(BuildHookInterface):
    def initialize(self, version, build_data):
        arch = os.environ["JOBCORE_ARCH"]
        # The programs are static: they need no C library.
        platforms = [f"manylinux_2_17_{arch}", f"manylinux2014_{arch}", f"musllinux_1_1_{arch}"]
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + ".".join(platforms)
