"""Commands run in the process of the tests, with all that they print."""

import warnings

import pytest

from gluon_liver.commands import main


@pytest.fixture
def said_by(capfd):
    """said_by(words of a command ..., code=None): what it prints, libraries and their warnings too."""

    def run(*arguments, code=None):
        with warnings.catch_warnings():
            warnings.resetwarnings()  # pytest keeps them from the screen
            warnings.showwarning = lambda *shown, **more: print(warnings.formatwarning(*shown[:4]))
            ended = main([str(argument) for argument in arguments])
        assert code in (None, ended)
        out, err = capfd.readouterr()
        return (out + err).encode()

    return run
