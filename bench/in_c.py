"""The C reference, compiled for this machine where gcc is at hand."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from margrave.kernels.normal import TAIL_DENOMINATOR, TAIL_NUMERATOR

FLAGS = (
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library; None without a compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    numbers = {"TAIL_P": TAIL_NUMERATOR, "TAIL_Q": TAIL_DENOMINATOR}
    head = "".join(
        f"static const double {name}[] = {{{', '.join(map(repr, n))}}};\n" for name, n in numbers.items()
    )
    folder = Path(tempfile.mkdtemp(prefix="margrave-bench-"))
    source, built = folder / "reference.c", folder / "reference.so"
    source.write_text(head + Path(__file__).with_name("reference.c").read_text())
    subprocess.run([compiler, *FLAGS, "-shared", "-fPIC", source, "-o", built, "-lm"], check=True)
    loaded = ctypes.CDLL(str(built))
    shutil.rmtree(folder)
    return loaded


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Pointer to a contiguous array's data."""
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)
