"""`margrave warm`: compile the kernels once, so that no command waits for them."""

import gc
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click


@click.command()
def warm() -> int:
    """Compile the kernels for whole books (extra ``fast``) and keep them on disk.

    The first time it takes some ten seconds, later none; after an update of Margrave or Numba it is due again.
    """
    try:
        from margrave.kernels.compiled.warming import GROUPS
    except ImportError as missing:
        click.echo(f"error: {missing}", err=True)
        return 1
    workers = min(len(GROUPS), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if workers > 1:
        # A compiler keeps most of what it makes: looking for garbage is a tenth of its time.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=gc.disable) as pool:
            tasks = [pool.submit(_compiled, group) for group in GROUPS]
            for task in tasks:
                task.result()
    else:
        for group in GROUPS:
            _compiled(group)
    click.echo("the kernels are compiled")
    return 0


def _compiled(group: str) -> None:
    from margrave.kernels.compiled.warming import warm as compile_some

    compile_some(lambda title: click.echo(f"compiling {title}", err=True), (group,))


COMMANDS = {"warm": warm}
