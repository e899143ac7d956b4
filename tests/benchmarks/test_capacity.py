"""The sum of docs/how-to/scale.md: recomputed from the published figures."""

import json
import re

from benchmarks import capacity
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "how-to" / "scale.md").read_text()
SUM = PAGE.partition("<!-- measured -->\n")[2].partition("\n<!-- end -->")[0]


def test_page_has_what_the_published_figures_give():
    assert capacity.describe() == SUM, "run python -m benchmarks.capacity"


def test_sum_is_what_a_reader_computes_from_the_page_alone():
    """Each line follows from numbers that the page shows, within their rounding."""

    def number(pattern):
        return float(re.search(pattern, SUM).group(1).replace(",", ""))

    bulk = number(r"256 rows a request \| (\d+)")
    step = number(r"redis \| [\d,]+ \| [\d,]+ of RAM \| (\d+)")
    size = number(r"redis \| [\d,]+ \| ([\d,]+) of RAM")
    cores, servers = number(r"\*\*(\d+) cores"), number(r"\*\*(\d+) servers")

    assert abs(cores - (bulk + step) / 0.6) < 2
    assert abs(servers - step / 0.6) < 2
    assert abs(number(r"session: (\d+) GB") - 100 * size / 1000) < 1
    assert abs(number(r"\*\*(\d+) GB on each") - 0.1 * size / servers / 0.6) < 1


def test_cost_of_a_core_is_of_the_published_run():
    data = json.loads((ROOT / "docs/explanation/performance.json").read_text())
    rows = {result["name"]: result["rows"] for result in data["results"]}
    rate = rows["throughput"]["carryover"]["requests/s"]

    assert data["machine"]["processor"].startswith(f"{capacity.CORES} cores")
    assert f"| one event a request | {2e6 / rate:.0f} | {rate / 2:,.0f} |" in SUM


def test_bytes_of_the_network_are_those_of_a_record():
    text = (ROOT / "docs/explanation/memory-benchmarks.md").read_text()
    memory, rest = re.search(
        r"\(([\d,]+) bytes of memory and a\nrecord's (\d+)\)", text
    ).groups()
    record = int(memory.replace(",", "")) + int(rest)

    assert f"{record:,} bytes" in PAGE
    assert f"{2 * record / 1000:.1f} KB" in PAGE
    assert f"{2 * record * 8 / 1000:.0f} Gbit/s" in PAGE
