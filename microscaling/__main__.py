"""The command line: `python -m microscaling`, or `microscaling`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import MutableMapping, Sequence

from microscaling import __version__, factory
from microscaling import log as logs
from microscaling.agent import Agent
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils import privileges

log = logging.getLogger("mssagent")

BAD_SETTINGS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the agent as the environment says. Returns the exit code: 0 asked to stop, 1 failed, 2 bad
    settings."""
    parser = argparse.ArgumentParser(
        prog="microscaling",
        description="Shares a fixed number of containers between services, by priority. "
        "All settings are environment variables: see the table in the README.",
    )
    parser.add_argument("--version", action="version", version=f"microscaling {__version__}")
    parser.parse_args(arguments)
    try:
        agent = build(os.environ)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"microscaling: {problem}\n")
        return BAD_SETTINGS
    return agent.run()


def build(environ: MutableMapping[str, str]) -> Agent:
    """The agent that these variables describe. Raises ConfigError.

    Root is given up before anything of the configuration is read.
    """
    dropped = privileges.drop(environ)
    settings = Settings.from_env(environ)
    logs.setup(settings)
    if dropped:
        log.info("%s", dropped)
    engine = factory.make_engine(settings)
    scheduler = factory.make_scheduler(settings, environ)
    tasks = factory.make_tasks(settings, environ)
    monitors = factory.make_monitors(settings)
    log.info(
        "microscaling %s: %s scheduler, %s configuration, %d tasks share %d containers%s",
        __version__,
        settings.scheduler,
        settings.config,
        len(tasks.tasks),
        tasks.max_containers,
        ", dry run" if settings.dry_run else "",
    )
    return Agent(tasks, engine, scheduler, monitors, settings.on_exit == "leave", settings.exit_timeout_s)


if __name__ == "__main__":
    sys.exit(main())
