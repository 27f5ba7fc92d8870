"""Values that are text: labels of an image, variables of the environment."""

from __future__ import annotations

import math

from hypothesis import given

from microscaling.clients.oci.name import parse_name
from microscaling.config.images.labels import PREFIX, apply_labels
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings, variables
from microscaling.utils.json_path import JSONPath
from microscaling.utils.text import one_line
from tests.fuzz.checks import SECRET, check_error, check_line, fuzz, heard, is_whole
from tests.fuzz.inputs import Dice, dice

INT64 = 2**63
NAMES = ["is-scalable", "priority", "max-delta", "min-containers", "max-containers"]
LABELS = [{PREFIX + name: value for name in NAMES} for value in ("1", "0", "true", " 7 ")]
FIELDS = ("pull_images", "exit_timeout_s", "ku", "tu", "kp", "ki", "vel_samples", "scale_down_window_s")
TYPED = [f"MSS_{name.upper()}" for name in (*FIELDS, "log_format", "on_exit", "api_token", "server_token")]
SECRETS = {name for name in variables() if name.endswith(("_TOKEN", "_KEY", "_STRING"))}


@fuzz
@given(dice)
def test_labels(dice: Dice) -> None:
    """Whatever an image says, its task stays one that can be."""
    labels, image, least, more = dice.value(*LABELS), dice.text("a/b:c"), dice.number(6), dice.number(6)
    if not isinstance(labels, dict):
        return  # no source of labels passes it on
    task = Task("a", min_containers=least, max_containers=least + more, max_delta=more)
    with heard() as said:
        apply_labels(task, labels, image)
    assert is_whole(task.min_containers, 0, task.max_containers)
    assert is_whole(task.max_containers, 0, INT64)
    assert is_whole(task.max_delta, 0, INT64)
    assert is_whole(task.priority, -INT64, INT64)
    assert type(task.is_scalable) is bool
    for line in said:
        check_line(line)


@fuzz
@given(dice)
def test_settings(dice: Dice) -> None:
    """Settings, or a line for each variable that cannot be used."""
    names = sorted(variables())
    environ = {dice.pick(names): dice.digits() for _ in range(dice.number(4))}
    environ |= {dice.pick(TYPED): dice.digits() for _ in range(dice.number(3))}
    environ |= (
        {dice.pick(names) + "_FILE": dice.text("/dev/null", "/", "/none")} if dice.number(4) == 3 else {}
    )
    environ |= {name: SECRET + " " + value for name, value in environ.items() if name in SECRETS}
    with heard() as said:
        named: set[str] = set()
        try:
            settings = Settings.from_env(environ)
        except ConfigError as error:
            check_error(error)
            named = {line.partition(":")[0].partition(" ")[0] for line in error.problems}
        else:
            assert 0 < settings.exit_timeout_s <= 86400
            assert all(
                math.isfinite(n) for n in (settings.ku, settings.tu, settings.kp, settings.ki, settings.kd)
            )
            assert is_whole(settings.vel_samples, 1, 10**9)
    # MSS_CONFIG is named as missing where a file and data are both given.
    assert named <= environ.keys() | {"MSS_CONFIG"}
    for line in said:
        check_line(line)


PARTS = [
    "a",
    "A",
    "localhost",
    "docker.io",
    ":5000",
    "/",
    "@",
    ":",
    "sha256:" + "0" * 64,
    "_",
    "-",
    ".",
    "[::1]",
]


@fuzz
@given(dice)
def test_names_of_images(dice: Dice) -> None:
    image = dice.text() if dice.number(4) == 0 else "".join(dice.pick(PARTS) for _ in range(dice.number(9)))
    try:
        name = parse_name(image)
    except ConfigError as error:
        check_error(error)
    else:
        assert str(parse_name(str(name))) == str(name)


STEPS = ["a", ".", "[0]", "[999999999]", '["a b"]', "['", "]", "$", " ", "[-1]", "[1e3]", "b"]


@fuzz
@given(dice)
def test_places_in_json(dice: Dice) -> None:
    path = dice.text() if dice.number(4) == 0 else "".join(dice.pick(STEPS) for _ in range(dice.number(6)))
    try:
        JSONPath(path).find(dice.value({"a": [{"a": 1, "a b": "2"}], "b": 0}))
    except ValueError as error:
        check_error(error)
    except LookupError as error:
        check_line(one_line(str(error.args[0])))
