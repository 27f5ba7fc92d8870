"""Pictures of simulated runs, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

from microscaling.errors import ConfigError
from microscaling.simulate.simulation import Run

ENDINGS = (".svg", ".png")


def check_ending(path: str) -> None:
    """Raises ConfigError unless a picture can have this name, and matplotlib is there."""
    if not path.lower().endswith(ENDINGS):
        raise ConfigError(f"--picture: {path}: expected a name that ends in .svg or .png")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            "--picture: needs an extra: pip install '.[simulate]' in the clone (matplotlib is missing)"
        ) from None


def draw(runs: Sequence[tuple[str, Run]], path: str) -> None:
    """Draws queues and containers of each run, one column for each; the format is by the ending of the
    name. Raises ConfigError if the file cannot be written."""
    # Not pyplot, which keeps figures in a global list and may look for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(runs) + 1, 6), layout="constrained")
    axes = figure.subplots(2, len(runs), sharex=True, sharey="row", squeeze=False)
    for column, (rule, run) in enumerate(runs):
        queue_axes, container_axes = axes[0][column], axes[1][column]
        for name, samples in run.samples.items():
            if name in run.queues:
                queue_axes.plot(run.times, [sample.waiting for sample in samples], label=name, lw=1)
        queue_axes.set_title(rule, fontsize=10)
        container_axes.stackplot(
            run.times,
            [[sample.running for sample in samples] for samples in run.samples.values()],
            labels=list(run.samples),
            step="post",
            alpha=0.7,
        )
        container_axes.axhline(run.tasks.max_containers, color="black", lw=0.8, ls="--", label="cap")
        ups = [at for at, _, before, after, _ in run.decisions if after > before]
        downs = [at for at, _, before, after, _ in run.decisions if after < before]
        for moments, mark, meaning in ((ups, "^", "wants more"), (downs, "v", "gives back")):
            container_axes.plot(moments, [0] * len(moments), mark, ms=3, color="black", label=meaning)
        container_axes.set_xlabel("seconds")
    axes[0][0].set_ylabel("jobs waiting")
    axes[1][0].set_ylabel("containers")
    axes[0][-1].legend(fontsize=8)
    axes[1][-1].legend(fontsize=8)
    try:
        figure.savefig(path, metadata={"Date": None} if path.lower().endswith(".svg") else {})
    except OSError as error:
        raise ConfigError(f"--picture: {path}: cannot be written: {error.strerror}") from None
