"""`margrave warm`: compile the kernels once, so that no command waits for them."""

import click


@click.command()
def warm() -> int:
    """Compile the kernels for whole books (extra ``fast``) and keep them on disk.

    The first time it takes some ten seconds, later none; after an update of Margrave or Numba it is due again.
    """
    try:
        from margrave.kernels.compiled.warming import warm as compile_all
    except ImportError as missing:
        click.echo(f"error: {missing}", err=True)
        return 1
    compile_all(lambda title: click.echo(f"compiling {title}", err=True))
    click.echo("the kernels are compiled")
    return 0


COMMANDS = {"warm": warm}
