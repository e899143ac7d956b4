"""The pages on clients: each block runs with a real service and prints what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.servers import ROOT
from tests.test_documentation import ADDRESS, assert_alike, console_calls

pytestmark = [pytest.mark.tensorflow, pytest.mark.server]

HOST = ADDRESS.removeprefix("http://")
DOCUMENT = "docs/how-to/clients.md"
DOCUMENTS = (DOCUMENT, "docs/how-to/python-client.md")
CLIENT = ROOT / "clients" / "python"  # next to the programs, as a user's copy is
SECONDS = 60
COMMANDS = {
    "python": [sys.executable, "-"],
    "javascript": ["node", "--input-type=module"],
}


def blocks(language):
    """Pairs of a program and what it prints."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        found = re.findall(rf"```{language}\n(.*?)```\n+```text\n(.*?)```", text, re.S)
        assert len(found) == text.count(f"```{language}\n")
        for k, pair in enumerate(found):
            yield pytest.param(*pair, id=f"{document}-{language}-{k}")


def run(language, program, server):
    """Run a program against a service and return what it prints."""
    done = subprocess.run(
        COMMANDS[language],
        input=program.replace(HOST, server.url.removeprefix("http://")),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("program", "printed"), list(blocks("python")))
def test_python_clients_print_what_the_document_shows(bundled_server, program, printed):
    assert run("python", program, bundled_server) == printed


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize(("program", "printed"), list(blocks("javascript")))
def test_javascript_prints_what_the_document_shows(bundled_server, program, printed):
    assert run("javascript", program, bundled_server) == printed


def test_curl_prints_what_the_document_shows(bundled_server):
    calls = list(console_calls(DOCUMENT))

    assert len(calls) == 3
    for command, shown in calls:
        arguments = shlex.split(command.replace(ADDRESS, bundled_server.url))
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert_alike(json.loads(done.stdout), json.loads(shown), command)
