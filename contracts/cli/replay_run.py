"""Carry a replay out with `contracts.replay.send.run`, show how far it is, and what it came to."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import click

from contracts.errors import Exit, KitError
from contracts.replay.plan.messages import read_run
from contracts.replay.target.rails import Target

REPORT: Final = "report.json"
"""The machine report's name in the folder of its run."""


def carry_out(folder: Path, target: Target, *, concurrency: int, await_archived_s: float | None) -> Exit:
    """Send what is left of a run; print the final table, and leave the report in its folder.

    A run that has its report is complete, and what that says of it stays.

    Raises:
        KitError: the run was broken off; the error says how to go on with it.
    """
    if (folder / REPORT).exists():
        click.echo(f"complete  nothing is left to send: {folder / REPORT} says what it came to")
        return Exit.OK if json.loads((folder / REPORT).read_bytes())["passes"] else Exit.BROKEN
    from contracts.cli.tables import print_table
    from contracts.replay.send.run import execute

    run, next_step = read_run(folder), f"go on with it: contracts replay --resume {folder}"
    with click.progressbar(
        length=run.messages, label=run.run_id, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        try:
            report = asyncio.run(
                execute(
                    folder,
                    access=target.access,
                    concurrency=concurrency,
                    await_archived_s=await_archived_s,
                    progress=bar.update,
                )
            )
        except KitError as error:
            error.add_note(f"  {next_step}")
            raise
        except KeyboardInterrupt:
            click.echo(f"broken off; {next_step}", err=True)
            raise
    (folder / REPORT).write_text(json.dumps(report.to_json(), indent=2) + "\n", "utf-8")
    print_table(("replay", run.run_id), report.rows())
    click.echo(f"report    {folder / REPORT}")
    return Exit(report.exit_code)
