"""Make matplotlib's SVG a part of a page: no styles, no others' ids, no fixed colours.

A page with a policy that forbids inline styles would show none of them; attributes do
the same. Colours become variables of the page's style sheet, for dark and light.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT_SIZE = re.compile(r"([\d.]+)px")
# Drawn in these, shown in the page's: by name of the variable.
COLOURS = {
    "ink": "#010101",
    "grid": "#020202",
    "one": "#030303",
    "two": "#040404",
    "three": "#050505",
    "four": "#060606",
}
VARIABLES = {code: f"var(--{name})" for name, code in COLOURS.items()}


def clean_svg(text: str, prefix: str, title: str) -> str:
    """Make a picture a part of a page.

    Args:
        text: What matplotlib wrote.
        prefix: Of its ids, other than that of the page's other pictures.
        title: What it shows, for those who do not see it.
    """
    ElementTree.register_namespace("", SVG)
    # Written by matplotlib a moment ago, from numbers and printable words.
    root = ElementTree.fromstring(text)
    remove_unshown(root)
    used = find_references(root)
    for element in root.iter():
        clean_element(element, prefix, used)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    return ElementTree.tostring(root, encoding="unicode")


def remove_unshown(root: ElementTree.Element) -> None:
    """Remove metadata and style sheets."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}:
                parent.remove(child)


def find_references(root: ElementTree.Element) -> set[str]:
    """List the ids that something refers to."""
    used = set()
    for element in root.iter():
        used.add(element.get(HREF, "#")[1:])
        used.update(REFERENCE.findall(element.get("clip-path", "")))
    return used - {""}


def clean_element(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Replace an element's style by attributes, its id and references by its own."""
    for name, value in read_style(element.attrib.pop("style", "")):
        element.set(name, value)
    for name in ("fill", "stroke"):
        if drawn := element.get(name):
            element.set(name, VARIABLES.get(drawn, drawn))
    own = element.attrib.pop("id", "")
    if own in used:
        element.set("id", prefix + own)
    if HREF in element.attrib:
        element.set("href", f"#{prefix}{element.attrib.pop(HREF)[1:]}")
    if clip := element.get("clip-path"):
        element.set("clip-path", REFERENCE.sub(rf"url(#{prefix}\1)", clip))


def read_style(style: str) -> Iterator[tuple[str, str]]:
    """Yield the declarations of a style as attributes; the page chooses the font."""
    for declaration in style.split(";"):
        name, _, value = (word.strip() for word in declaration.partition(":"))
        if name == "font":
            found = FONT_SIZE.search(value)
            name, value = "font-size", found[1] if found else ""
        if name and value:
            yield name, value
