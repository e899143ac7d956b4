"""A page of a report as a browser reads it, and data for one."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from training.data.dataset import Sequences
from training.html_report.classified import Asked

VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</style></svg>",
    '" onload="x',
    "$x$ & $",
    "zero\0byte",
    "half \ud800",
    "事件",
)


class Page(HTMLParser):
    """Elements of a page, that are closed in the order they were opened."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and data.strip():
            self.texts.append(data.strip())

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


def pack(cases, targets):
    """Make sequences of cases, every event asked for what its target says."""
    inputs, asked = (np.concatenate(one).astype(np.int32) for one in (cases, targets))
    offsets = np.append(0, np.cumsum([len(case) for case in cases]))
    return Sequences(inputs, asked, np.ones(len(inputs), np.uint8), offsets)


def ask(sequences, predict, others=None):
    labels = ["a", "b", "c"]
    return Asked(sequences, predict, others or {}, lambda k: "abc"[k], labels)
