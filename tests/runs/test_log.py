"""gluon_liver.runs.log: which records of log.jsonl are read."""

import json

import pytest

from gluon_liver.errors import RunError
from gluon_liver.runs import log as log_module
from gluon_liver.runs.log import read_log


def step(number):
    return {"event": "step", "step": number, "losses": {"total": 1.0 / number}}


def write(path, records, end=""):
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + end)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def steps_of(records):
    return [record["step"] for record in records if record["event"] == "step"]


def test_a_few_of_many_steps_are_read_the_last_among_them(path, monkeypatch):
    others = [{"event": "start", "steps": 10}, {"event": "checkpoint", "step": 10}]
    write(path, [others[0], *map(step, range(1, 11)), others[1]])
    assert steps_of(read_log(path)) == [*range(1, 11)] == steps_of(read_log(path, steps=10))
    assert steps_of(read_log(path, steps=4)) == [3, 6, 9, 10]
    assert steps_of(read_log(path, steps=5)) == [2, 4, 6, 8, 10]
    parsed, parse = [], log_module._parsed
    monkeypatch.setattr(log_module, "_parsed", lambda line, where: parsed.append(line) or parse(line, where))
    assert read_log(path, steps=0) == others and len(parsed) == 2


def test_what_was_lost_at_a_resume_is_not_told(path):
    kept = [{"event": "start", "step": 0}, step(1), {"event": "note"}, step(2)]
    lost = [{"event": "note"}, step(3), {"event": "checkpoint", "step": 3}, {"event": "end", "step": 3}]
    after = [{"event": "resume", "step": 2}, step(3), step(4)]
    write(path, [*kept, *lost, *after])
    assert read_log(path) == [*kept, {"event": "note"}, *after]
    assert steps_of(read_log(path, steps=2)) == [4]  # the 3rd and the last of five lines, the 3rd was lost
    assert [one["event"] for one in read_log(path, steps=0)] == ["start", "note", "note", "resume"]
    write(path, [step(1), step(2), {"event": "resume", "step": 1}])
    assert steps_of(read_log(path, steps=1)) == []


def test_a_line_that_a_kill_cut_off_is_no_fault_and_another_is(path):
    write(path, [step(1), {"event": "end"}], end='{"event": "st')
    assert len(read_log(path)) == 2
    write(path, [step(1)], end='{"event": "st\n')
    with pytest.raises(RunError, match="line 2 is not JSON"):
        read_log(path)
    path.write_bytes(b"\xff\xfe{\n")
    with pytest.raises(RunError, match="is not text"):
        read_log(path)
    with pytest.raises(RunError, match="cannot be read: No such file"):
        read_log(path.with_name("none"))
