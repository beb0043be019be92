"""scripts/try_image.py on the project's Dockerfiles: their steps, and what is in force for the commands in the root."""

from pathlib import Path

import pytest

from scripts.try_image import Image, steps, variables

DOCKER = Path(__file__).resolve().parents[1] / "docker"


def test_comments_go_and_continued_lines_are_joined():
    text = "# a comment\nFROM debian\n\nRUN one \\\n    && two \\\n# within\n    && three\nUSER 1000:1000\n"
    assert steps(text) == [("FROM", "debian"), ("RUN", "one && two && three"), ("USER", "1000:1000")]


def test_variables_take_the_values_of_those_before():
    assert variables("PATH=/opt/bin:$PATH NAME='a b'", {"PATH": "/bin"}) == {"PATH": "/opt/bin:/bin", "NAME": "a b"}
    assert variables("X=${UNKNOWN}", {}) == {"X": ""}


@pytest.mark.parametrize("name", ["cpu", "cu112", "legacy"])
def test_an_image_runs_without_rights_and_has_a_health_check(name, tmp_path, monkeypatch):
    image = Image(tmp_path, {})
    ran = []
    monkeypatch.setattr(Image, "bootstrap", lambda self, *which, **how: 0)
    monkeypatch.setattr(Image, "copy_checkout", lambda self: ran.append(("COPY", self.folder, self.user)) or 0)
    monkeypatch.setattr(
        Image, "enter", lambda self, command, env=None: ran.append((command[-1], self.folder, self.user)) or 0
    )
    for step in steps((DOCKER / f"{name}.Dockerfile").read_text(encoding="utf-8")):
        assert image.carry_out(step, copies=[], check_gpg=True) == 0
    assert [user for *_, user in ran] == ["root"] * 3 and image.user == "1000:1000"
    assert [folder for _, folder, _ in ran] == ["/", "/opt/gluon_liver", "/opt/gluon_liver"]
    assert "useradd --uid 1000" in ran[0][0] and "SYSTEM_PACKAGES=no" in ran[2][0]
    assert image.health and image.entrypoint and image.command
    assert image.env["PATH"].startswith("/opt/venv/bin:") or name == "legacy"


def test_what_is_not_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match="ONBUILD"):
        Image(tmp_path, {}).carry_out(*steps("ONBUILD RUN x"), copies=[], check_gpg=True)
