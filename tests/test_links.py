"""The links of the Markdown files: they lead to files and headings that exist."""

import re
import subprocess

import pytest

from tests.servers import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


NAMED = re.compile(r"\[([\w.-]+\.md)\]\(([^)\s#]+)")


def markdown_files():
    """Every Markdown file that git knows of."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = sorted(ROOT / name for name in done.stdout.split())
    assert files
    return files


def anchors(text):
    """The addresses GitHub gives headings."""
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "path", markdown_files(), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_somewhere(path):
    for link in LINK.findall(FENCE.sub("", path.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path

        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


@pytest.mark.parametrize(
    "path", markdown_files(), ids=lambda p: str(p.relative_to(ROOT))
)
def test_link_that_names_a_file_leads_to_that_file(path):
    for name, target in NAMED.findall(path.read_text()):
        assert target.rpartition("/")[2] == name
