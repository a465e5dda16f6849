"""The C reference, compiled for this machine where gcc is at hand."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
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


def bound(name: str, *arguments: int | np.ndarray) -> Callable[[], None] | None:
    """Call of a function of the library with integers and arrays, which it keeps alive; None without a compiler."""
    loaded = library()
    if loaded is None:
        return None
    assert all(isinstance(a, int) or a.flags.c_contiguous for a in arguments)
    passed = [ctypes.c_int64(a) if isinstance(a, int) else ctypes.c_void_p(a.ctypes.data) for a in arguments]
    function = getattr(loaded, name)

    def run(_kept: tuple[int | np.ndarray, ...] = arguments) -> None:
        function(*passed)

    return run
