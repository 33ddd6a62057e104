"""`python -m archc.train` is `archc train`: what torchrun starts is a module."""

import runpy
import sys

sys.argv[1:1] = ["train"]
runpy.run_module("archc", run_name="__main__", alter_sys=True)
