# SPDX-License-Identifier: MIT
"""The figures of compare.py as one SVG for docs/performance.md."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402

matplotlib.rcParams.update({
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "camtap",  # the same figures, the same file
    "font.family": "sans-serif", "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"], "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888", "axes.titlesize": 10,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "text.color": "#222222", "axes.labelcolor": "#444444",
    "xtick.color": "#444444", "ytick.color": "#444444"})

STYLES = {  # colour, line, width: floors are grey, camtap stands out, peers have colours of Okabe and Ito
    "camtap": ("#d55e00", "-", 2.6), "seqpacket": ("#555555", "-", 1.8), "pipe": ("#888888", "--", 1.2),
    "eventfd": ("#888888", "-.", 1.2), "futex": ("#888888", ":", 1.4), "iceoryx": ("#0072b2", "-", 1.4),
    "gstreamer": ("#009e73", "-", 1.4), "gstreamer-zero-copy": ("#009e73", "--", 1.4), "pipewire": ("#cc79a7", "-", 1.4),
    "ustreamer": ("#e69f00", "-", 1.4)}
PANELS = (  # key, rate wanted, title, axis
    ("p50_us", True, "Latency, median", "µs"),
    ("p99_us", True, "Latency, 99th percentile", "µs"),
    ("producer_us", True, "CPU time of the producer", "µs per frame"),
    ("rate", False, "As fast as it goes", "frames per second and reader"))


def series(cells, name, key):
    """[(readers, value)] of a candidate."""
    points = [(cell["readers"], cell["summary"].get(name, {}).get(key)) for cell in cells]
    return sorted((count, value) for count, value in points if value is not None and value > 0)


def panel(axes, cells, about, key, title, unit):
    for name, label in about["labels"].items():
        points = series(cells, name, key)
        if not points or name not in STYLES:
            continue
        colour, line, width = STYLES[name]
        axes.plot(*zip(*points), line, color=colour, linewidth=width, marker="o", markersize=width * 1.6, label=label,
                  zorder=3 if name == "camtap" else 2)
    counts = sorted({cell["readers"] for cell in cells})
    axes.set(title=title, xlabel="readers", ylabel=unit, xscale="log", yscale="log")
    axes.xaxis.set_major_locator(ticker.FixedLocator(counts))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.7)
    axes.tick_params(length=0)


def draw(about, path):
    """The panels that there are figures for: of 1080p if that was measured, else of the first size."""
    sizes = [cell["size"] for cell in about["cells"]]
    size = "1080p" if "1080p" in sizes else sizes[0]
    panels = []
    for key, paced, title, unit in PANELS:
        rates = sorted({cell["rate"] for cell in about["cells"] if cell["size"] == size and (cell["rate"] > 0) == paced})
        if rates:
            chosen = [cell for cell in about["cells"] if cell["size"] == size and cell["rate"] == rates[-1]]
            panels.append((chosen, key, f"{title}, {size}" + (f", {rates[-1]} fps" if paced else ""), unit))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.6 * columns, 3.3 * rows + 0.7), squeeze=False)
    for place, (chosen, key, title, unit) in zip(axes.flat, panels):
        panel(place, chosen, about, key, title, unit)
    for place in axes.flat[len(panels):]:
        place.set_visible(False)
    handles = {label: handle for place in axes.flat for handle, label in zip(*place.get_legend_handles_labels())}
    figure.tight_layout(rect=(0, 0.5 / (3.3 * rows + 0.7), 1, 1), h_pad=1.5, w_pad=1.5)
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=5, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
