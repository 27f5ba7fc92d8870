"""What a person writes in YAML: values in any case, and no key that means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from microscaling.config.file import FileConfig
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.redis import RedisMetric
from microscaling.settings import Settings
from microscaling.target.base import RULES
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.utils.text import alternatives

pytest.importorskip("yaml")

GOOD = """
maxContainers: 5
apps:
  - name: mailer
    maxContainers: 3
    ruleType: {rule}
    metricType: {metric}
    config: {{targetQueueLength: 5, {config}}}
"""


def read(folder: Path, text: str, name: str = "apps.yml") -> list[Task]:
    path = folder / name
    path.write_text(text)
    return FileConfig(Settings(config_file=str(path))).get_apps("me")[0]


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return [problem.partition("apps.yml: ")[2] for problem in caught.value.problems]


@pytest.mark.parametrize("rule", ["queue", "QUEUE", "Queue"])
@pytest.mark.parametrize("metric", ["nsq", "NSQ", "Nsq"])
def test_values_match_in_any_case(tmp_path: Path, rule: str, metric: str) -> None:
    (task,) = read(tmp_path, GOOD.format(rule=rule, metric=metric, config="topicName: a, channelName: b"))
    assert type(task.target) is QueueLengthTarget
    assert type(task.metric) is NSQMetric


def test_values_of_a_metric_too(tmp_path: Path) -> None:
    config = "url: 'redis://h/0', key: jobs, kind: Stream, missing: Held"
    (task,) = read(tmp_path, GOOD.format(rule="simplequeue", metric="redis", config=config))
    assert type(task.target) is SimpleQueueLengthTarget
    assert isinstance(task.metric, RedisMetric)
    assert (task.metric.kind, task.metric.missing) == ("stream", "held")


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    text = GOOD.format(rule="Queues", metric="NSQ", config="topicName: a, channelName: b")
    expected = f'apps[0].ruleType: expected {alternatives(RULES.names())}, got "Queues"; did you mean Queue?'
    assert problems(tmp_path, text) == [expected]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("maxContainer: 3", "apps[0].maxContainer: is not known; did you mean maxContainers?"),
        ("mincontainers_: 1", "apps[0].mincontainers_: is not known; did you mean minContainers?"),
        ("zzz: 1", "apps[0].zzz: is not known; a name that begins with x- is ignored"),
        ("config: {memmory: 64m}", "apps[0].config.memmory: is not known; did you mean memory?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, key: str, problem: str) -> None:
    text = f"maxContainers: 5\napps:\n  - name: a\n    {key}\n"
    if not key.startswith("max"):
        text += "    maxContainers: 3\n"
    found = problems(tmp_path, text)
    assert found == [problem]


def test_keys_with_x_and_those_of_other_metrics_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = "topicName: a, channelName: b, path: depth, x-note: 5"
    read(tmp_path, "x-owner: me\n" + GOOD.format(rule="Queue", metric="NSQ", config=config))
    assert [record.getMessage().partition(".config.")[2] for record in caplog.records] == [
        "path: is not known here, and ignored"
    ]


def test_json_is_taken_to_the_letter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = '{"name": "a", "maxContainers": 3, "ruleType": "queue", "maxDelta": 2}'
    text = f'{{"maxContainers": 5, "apps": [{app}]}}'
    (task,) = read(tmp_path, text, "apps.json")
    assert task.is_remainder()
    said = [record.getMessage() for record in caplog.records]
    assert any(line.endswith("this task gets what the others leave; did you mean Queue?") for line in said)
    assert any("maxDelta: is not known here, and ignored" in line for line in said)
