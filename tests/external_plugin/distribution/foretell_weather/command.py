"""``sdk weather FILE``: what a file of observations holds."""

from __future__ import annotations

import json

import click


@click.command("weather")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def weather(file: str, as_json: bool) -> None:
    """Describe a file of observations."""
    from foretell_weather.source import ObservationOptions, ObservationSource

    source = ObservationSource(ObservationOptions(path=file))
    rows = source.read(0, len(source))
    assert isinstance(rows.examples, dict)
    bad = {error.row for error in rows.errors}
    good = [row for row in range(len(source)) if row not in bad]
    temperatures = rows.examples["temperature"][good].tolist()
    facts = {
        "observations": len(source),
        "unusable": len(bad),
        "coldest": min(temperatures, default=None),
        "warmest": max(temperatures, default=None),
    }
    if as_json:
        click.echo(json.dumps({"schema": "foretell-weather", "version": 1, **facts}))
        return
    for name, value in facts.items():
        click.echo(f"{name:<14}{value}")
