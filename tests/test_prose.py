"""Plain English: words that puzzle a reader are in no comment, text, page or name."""

import ast
import re
import tokenize

import pytest

from tests.servers import ROOT

CODE = ("service", "models", "training", "benchmarks", "clients", "docs")
WORDS = re.compile(
    r"\b([Ww]hose|[Tt]old|[Tt]ells?|[Aa]new|[Mm]end(s|ed|ing)?|[Ww]ish(es|ed)?)\b"
    r"|\b(as it is|is none|goes on|[Ss]o many|at hand|by the thousand)\b"
    r"|(?<!-)\b[Hh]eld\b(?![-_ ]out)"
)
PAGE = ROOT / "service" / "playground"


def texts(path):
    """Yield the comments and strings of a file, with their lines."""
    with path.open("rb") as opened:
        for token in tokenize.tokenize(opened.readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                yield token.start[0], token.string


def puzzling(text):
    """Return the words of a text that are not plain, in its lines joined."""
    joined = " ".join(re.sub(r'"?\s*\n\s*#?f?"?', " ", text).split())
    return [word[0] for word in WORDS.finditer(joined)]


# A first line that begins so is a riddle: the thing has a category and a purpose.
QUESTION = re.compile(r"(What|Which|Where|How|When|Why|Whether|Who(se|m|ever)?)\b")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def first_lines(path):
    """Yield the first line of every docstring of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text.partition("\n")[0]


@pytest.mark.parametrize("package", [*CODE, "tests"])
def test_documented_things_are_named_not_asked_about(package):
    lines = [
        (str(path.relative_to(ROOT)), line)
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in first_lines(path)
    ]

    assert lines
    assert not [place for place in lines if QUESTION.match(place[1])]


def names(path):
    """Yield the names that a file defines or uses, without attributes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def find_names(package, is_found):
    """Return the names of a package for which a function says so, by their lines."""
    return {
        f"{path.relative_to(ROOT)}:{line}": name
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in names(path)
        if is_found(name)
    }


@pytest.mark.parametrize("package", [*CODE, "tests"])
def test_names_have_no_puzzling_word(package):
    assert not find_names(package, lambda name: puzzling(name.replace("_", " ")))


# Limits are MAX_ and MIN_, as everywhere; a duration says its unit.
UNUSUAL = re.compile(
    r"(MOST|LONGEST|LARGEST|LEAST|SHORTEST|SMALLEST|FEWEST)(_.*)?"
    r"|(.*_)?(TIMEOUT|PATIENCE|PAUSE|DELAY|INTERVAL|GRACE)S?"
)


@pytest.mark.parametrize("package", [*CODE, "tests"])
def test_constants_have_the_usual_names(package):
    found = find_names(package, UNUSUAL.fullmatch)
    found |= {
        str(path.relative_to(ROOT)): constants
        for path in (ROOT / package).rglob("*.js")
        if "vendor" not in path.parts
        and (constants := re.findall(r"\b(?:MOST|LONGEST|LEAST)_\w+", path.read_text()))
    }

    assert not found


def test_commands_and_manifests_have_no_puzzling_word():
    deployed = [p for p in (ROOT / "deploy").rglob("*") if p.suffix != ".json"]
    files = [ROOT / "Makefile", ROOT / "Dockerfile", *deployed]
    files += (ROOT / "training" / "configs").glob("*.toml")
    texts = {p.name: p.read_text() for p in files if p.is_file()}

    assert len(texts) > 20
    assert {name for name, text in texts.items() if puzzling(text)} == set()


@pytest.mark.parametrize("package", [*CODE, "tests"])
def test_comments_and_texts_have_no_puzzling_word(package):
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.name == "test_prose.py":  # it lists the words
            continue
        name = str(path.relative_to(ROOT))
        for line, text in texts(path):
            if words := puzzling(text):
                found[f"{name}:{line}"] = words

    assert not found


def test_page_has_no_puzzling_word():
    found = {}
    scripts = [p for p in PAGE.rglob("*.js") if "vendor" not in p.parts]
    assert scripts
    for path in sorted(scripts):
        if words := puzzling(path.read_text()):
            found[path.name] = words

    assert not found


def test_documentation_has_no_puzzling_word():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = {}
    for path in sorted(pages):
        name = str(path.relative_to(ROOT))
        prose = re.sub(r"```.*?```|`[^`]*`", " ", path.read_text(), flags=re.DOTALL)
        words = puzzling(prose)
        if words and path.name != "CHANGELOG.md":  # a record of what was said
            found[name] = words

    assert not found
