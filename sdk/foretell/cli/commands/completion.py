"""``sdk completion``: a script for the shell."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")

_WHERE = {
    "bash": 'eval "$(sdk completion bash)"      in ~/.bashrc',
    "zsh": 'eval "$(sdk completion zsh)"      in ~/.zshrc',
    "fish": "sdk completion fish | source      in ~/.config/fish/config.fish",
}


@click.command("completion", epilog="  ".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print a completion script for bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    from foretell.cli.app import sdk
    from foretell.cli.output import raw

    found = get_completion_class(shell)
    assert found is not None
    completer = found(sdk, {}, "sdk", "_SDK_COMPLETE")
    raw(completer.source_template % completer.source_vars())
    return 0
