"""Measures frames and tasks of a long series: `make playground-frames`.

500 events of 128 units, one step of the selection a frame, in each view. Run it on an
idle machine: other processes take frames away, so the tests look at the main thread's
own time instead.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tests.playground.browsers import open_chromium
from tests.servers import ROOT, Server

NUM_EVENTS = 500
NUM_STEPS = 300
VIEWS = ("Unfolded", "Heat map", "Folded")

WATCH_TASKS = """() => {
  window.tasks = [];
  const note = (list) => window.tasks.push(...list.getEntries().map((e) => e.duration));
  new PerformanceObserver(note).observe({ type: "longtask" });
}"""

# Times from one frame to the next while the selection moves by one event a frame.
PLAY = """async (count) => {
  document.querySelector('[aria-label="First"]').click();
  const next = document.querySelector('[aria-label="Step"]');
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let k = 0; k < count; k++) {
    next.click();
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames;
}"""

SHOWS = "text => document.querySelector('.counter')?.textContent === text"


def half_hours(count):
    """Make rows of a series, half an hour apart."""
    return [
        {
            "time": f"2015-01-{5 + k // 48:02}T{k % 48 // 2:02}:{k % 2 * 30:02}:00",
            "value": 15_000 + 100 * (k * 37 % 50),
        }
        for k in range(count)
    ]


def widen(route):
    """Answer as the service does, each unit twice: 128 units of 64."""
    answer = route.fetch().json()
    for layer in answer["predictions"][0]["layers"]:
        for name, steps in layer.items():
            layer[name] = [[*step, *step] for step in steps]
    route.fulfill(json=answer)


def open_long_series(page):
    """Open the series, at its first event."""
    page.route("**/taxi:explain", widen)
    events = json.dumps(half_hours(NUM_EVENTS))
    page.evaluate(
        "place => { location.hash = place }", f"#model=taxi&events={events}&selected=0"
    )
    # Not `expect`: what it does in the page meanwhile would count as well.
    page.wait_for_function(SHOWS, arg=f"1 / {NUM_EVENTS}", timeout=60_000)


class ProcessorTime:
    """Time of the processor in script, styles and layout; a GPU paints elsewhere."""

    PARTS = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def read_ms(self):
        """Return the main thread's milliseconds so far."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * sum(m["value"] for m in metrics if m["name"] in self.PARTS)


@contextmanager
def trace_tasks(page):
    """Collect the processor's milliseconds of each task of the main threads.

    Other processes lengthen a task by the clock on the wall, and not by this one.
    """
    session = page.context.browser.new_browser_cdp_session()
    events, done, tasks = [], [], []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda end: done.append(end))
    options = {"categories": "toplevel", "transferMode": "ReportEvents"}
    session.send("Tracing.start", options)
    yield tasks
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    session.detach()
    tasks.extend(_list_tasks(events))


def _list_tasks(events):
    names = [event for event in events if event["name"] == "thread_name"]
    main = {
        (event["pid"], event["tid"])
        for event in names
        if event["args"]["name"] == "CrRendererMain"
    }
    return [
        event["tdur"] / 1000
        for event in events
        if "tdur" in event and (event["pid"], event["tid"]) in main
    ]


def play(page, view, steps):
    """Step through a view from its first event; times from frame to frame, in ms."""
    page.get_by_role("button", name=view, exact=True).click()
    return page.evaluate(PLAY, steps)


def measure(page):
    """Play every view and print what was measured."""
    processor = ProcessorTime(page)
    for view in VIEWS:
        page.evaluate("() => { window.tasks = [] }")
        before = processor.read_ms()
        frames = play(page, view, NUM_STEPS)
        busy = (processor.read_ms() - before) / len(frames)
        longest = max(page.evaluate("window.tasks"), default=0)
        print(
            f"{view:9} {1000 / statistics.mean(frames):5.1f} frames/s, "
            f"99% within {statistics.quantiles(frames, n=100)[98]:.1f} ms; "
            f"{busy:.1f} ms of the processor a step; "
            f"{f'longest task {longest:.0f} ms' if longest else 'no task over 50 ms'}"
        )


def main() -> None:
    """Start the service and a browser, and measure."""
    with (
        tempfile.TemporaryDirectory() as home,
        Server(ROOT / "artifacts", Path(home)) as server,
        open_chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
        with trace_tasks(page) as tasks:
            page.goto(f"{server.url}/playground")
            page.locator(".bench").wait_for()
            page.evaluate(WATCH_TASKS)
            open_long_series(page)
        longest = max(page.evaluate("window.tasks"), default=0)
        print(
            f"opening   longest task {longest:.0f} ms, "
            f"{max(tasks):.0f} ms of the processor"
        )
        measure(page)


if __name__ == "__main__":
    main()
