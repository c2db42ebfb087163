"""``python -m tests.formal.emit NAME FILE claims|all``: RTLIL of a proof's bench, without or with what only the induction needs.

A process of its own, because each variant of the sources needs one.
"""

import sys
from pathlib import Path

from .bench import Bench
from .catalogue import PROOFS

if __name__ == "__main__":
    name, file, what = sys.argv[1:]
    Bench.induction = what == "all"
    Path(file).write_text(PROOFS[name].build().rtlil())
