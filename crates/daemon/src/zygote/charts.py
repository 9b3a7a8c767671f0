"""Writes what a program draws with matplotlib to a descriptor, one line of JSON for each figure.

It is compiled under a name whose frames Python leaves out of tracebacks.
"""

import sys

PYPLOT = "matplotlib.pyplot"
MOST_BYTES = 16 << 20
NEAR = 1e-9


class Finder:
    """Finds pyplot once, and adds to it when it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != PYPLOT:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader)
                return spec
        return None


class Loader:
    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        _call_with_frames_removed(self.loader.exec_module, module)
        try:
            watch(module)
        except Exception:
            pass


def _call_with_frames_removed(function, *arguments, **named):
    return function(*arguments, **named)


def watch(pyplot):
    import atexit
    import functools

    written = set()
    show = pyplot.show

    def write_open():
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if id(figure) not in written:
                written.add(id(figure))
                write(figure)

    @functools.wraps(show)
    def show_and_write(*arguments, **named):
        current = pyplot.gcf().number if pyplot.get_fignums() else None
        write_open()
        if current is not None:
            pyplot.figure(current)
        shown = show(*arguments, **named)
        # What was shown is gone, as a window would be.
        pyplot.close("all")
        written.clear()
        return shown

    pyplot.show = show_and_write
    atexit.register(write_open)


def write(figure):
    """Writes a figure; one that cannot be told is left out."""
    import json
    import os
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line = json.dumps({"type": "chart", "value": tell(figure)}, allow_nan=False).encode() + b"\n"
        while line and len(line) <= MOST_BYTES:
            line = line[os.write(DESCRIPTOR, line) :]
    except Exception:
        pass


def tell(figure):
    png = picture(figure)
    charts = [tell_axes(axes) for axes in figure.axes if not is_beside(axes)]
    if len(charts) == 1:
        told = charts[0]
    elif charts:
        told = {"type": "composite_chart", "elements": charts}
        headings = [figure._suptitle] if getattr(figure, "_suptitle", None) else figure.texts
        if headings:
            told["title"] = headings[0].get_text()
    else:
        told = {"type": "unknown", "elements": []}
    if png:
        told["png"] = png
    return told


def picture(figure):
    import base64
    import io

    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format="png", bbox_inches="tight", dpi=100)
    except Exception:
        return None
    return base64.b64encode(buffer.getvalue()).decode()


def is_beside(axes):
    """Whether these are the scale of others, or were never drawn to."""
    return axes.get_label() == "<colorbar>" or not axes.has_data()


def tell_axes(axes):
    kind, elements, is_turned = "unknown", [], False
    for find in (pie, bars, boxes, points, lines):
        try:
            found = find(axes)
        except Exception:
            continue
        if found is not None:
            kind, elements, is_turned = found
            break
    labels = [axes.get_xlabel(), axes.get_ylabel()]
    if is_turned:
        # The first label is that of what is compared, wherever it is.
        labels.reverse()
    told = {"type": kind, "title": axes.get_title(), "elements": elements}
    told["x_label"], told["y_label"] = labels
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        ticks = [number(tick) for tick in axis.get_ticklocs()]
        texts = [label.get_text() for label in axis.get_ticklabels()]
        if None in ticks:
            ticks, texts = [], []
        told[name + "_ticks"] = ticks
        told[name + "_tick_labels"] = texts
        told[name + "_scale"] = scale(axis, ticks, texts)
    return told


def scale(axis, ticks, texts):
    find = getattr(axis, "get_converter", None)
    converter = type(find() if find else getattr(axis, "converter", None)).__name__
    name = axis.get_scale()
    if "Date" in converter:
        return "datetime"
    if name != "linear":
        return name
    if "Category" in converter:
        return "categorical"
    # Names that were put at 0, 1, 2, …
    is_named = bool(ticks) and all(
        tick == place and text and text != str(place) for place, (tick, text) in enumerate(zip(ticks, texts))
    )
    return "categorical" if is_named else "linear"


def number(value):
    """As JSON can hold it."""
    value = float(value)
    return value if value - value == 0 else None


def pairs(xs, ys):
    both = ((number(x), number(y)) for x, y in zip(xs, ys))
    return [[x, y] for x, y in both if x is not None and y is not None]


def is_guide(line, axes):
    """A line across the axes, and not of data."""
    return line.get_transform() != axes.transData


def data_lines(axes):
    return [line for line in axes.lines if not is_guide(line, axes)]


def patches_of(axes):
    shadow = sys.modules["matplotlib.patches"].Shadow
    return [patch for patch in axes.patches if not isinstance(patch, shadow)]


def has_others(axes, *kinds):
    """Whether there is something that is neither of these kinds nor text."""
    every = {"lines": data_lines(axes), "patches": patches_of(axes)}
    every.update(collections=axes.collections, images=axes.images)
    return any(found and name not in kinds for name, found in every.items())


def lines(axes):
    found = data_lines(axes)
    if not found or has_others(axes, "lines", "collections"):
        return None
    elements = []
    for line in found:
        points = pairs(line.get_xdata(orig=False), line.get_ydata(orig=False))
        elements.append({"label": str(line.get_label()), "points": points})
    return "line", elements, False


def points(axes):
    collection = sys.modules["matplotlib.collections"].PathCollection
    found = axes.collections
    if not found or has_others(axes, "collections") or not all(isinstance(each, collection) for each in found):
        return None
    elements = []
    for each in found:
        offsets = each.get_offsets()
        elements.append({"label": str(each.get_label()), "points": pairs(offsets[:, 0], offsets[:, 1])})
    return "scatter", elements, False


def pie(axes):
    wedge = sys.modules["matplotlib.patches"].Wedge
    wedges = patches_of(axes)
    if not wedges or has_others(axes, "patches") or not all(isinstance(patch, wedge) for patch in wedges):
        return None
    texts = [text.get_text() for text in axes.texts]
    shares = [None] * len(wedges)
    if len(texts) == 2 * len(wedges):
        texts, shares = texts[::2], texts[1::2]
    elements = []
    for place, (patch, share) in enumerate(zip(wedges, shares)):
        label = texts[place] if place < len(texts) else str(patch.get_label())
        element = {"label": label, "angle": number(abs(patch.theta2 - patch.theta1)), "radius": number(patch.r)}
        if share is not None:
            element["autopct"] = share
        elements.append(element)
    return "pie", elements, False


def plain(value):
    """A number as one would write it."""
    value = getattr(value, "item", lambda: value)()
    is_whole = isinstance(value, float) and value == value // 1 and abs(value) < 1e15
    return str(int(value)) if is_whole else str(value)


def bars(axes):
    container = sys.modules["matplotlib.container"].BarContainer
    rectangle = sys.modules["matplotlib.patches"].Rectangle
    groups = [each for each in axes.containers if isinstance(each, container) and len(each)]
    drawn = [patch for group in groups for patch in group]
    if not groups or any(patch not in drawn for patch in patches_of(axes) if isinstance(patch, rectangle)):
        return None
    widths, heights = [rect.get_width() for rect in drawn], [rect.get_height() for rect in drawn]
    turns = [getattr(group, "orientation", None) for group in groups]
    is_turned = "horizontal" in turns
    if None in turns:
        is_turned = len(set(heights)) == 1 and len(set(widths)) > 1
    axis = axes.yaxis if is_turned else axes.xaxis
    names = list(zip(axis.get_ticklocs(), (label.get_text() for label in axis.get_ticklabels())))
    elements = []
    for group in groups:
        for rect in group:
            begin, size, value = rect.get_x(), rect.get_width(), rect.get_height()
            if is_turned:
                begin, size, value = rect.get_y(), rect.get_height(), rect.get_width()
            label = name_at(names, begin, size)
            element = {"label": label, "group": str(group.get_label()), "value": plain(value)}
            elements.append(element)
    return "bar", elements, is_turned


def name_at(names, begin, size):
    """The label of the tick in the middle, else of the one tick beneath, else where the middle is."""
    middle = begin + size / 2
    near = abs(size) * 1e-6 + NEAR
    for place, text in names:
        if text and abs(place - middle) <= near:
            return text
    beneath = [text for place, text in names if text and min(begin, begin + size) - near <= place <= max(begin, begin + size) + near]
    return beneath[0] if len(beneath) == 1 else "%g" % middle


def boxes(axes):
    """Boxes are rectangles of five corners, drawn as lines or as patches; what belongs to one touches it."""
    path = sys.modules["matplotlib.patches"].PathPatch
    frames, rest = [], []
    for line in data_lines(axes):
        xy = line.get_xydata()
        is_frame = len(xy) in (5, 11) and close(xy[0], xy[-1]) and line.get_linestyle() != "None"
        (frames if is_frame else rest).append(xy)
    if not frames:
        frames = [patch.get_path().vertices for patch in patches_of(axes) if isinstance(patch, path)]
        if any(not isinstance(patch, path) for patch in patches_of(axes)):
            return None
    elif has_others(axes, "lines"):
        return None
    if not frames or not rest:
        return None
    found = [span(frame) for frame in frames]
    strokes = [[(float(x), float(y)) for x, y in xy] for xy in rest]
    # A whisker stands on the middle of its box.
    is_upright = any(is_whisker(stroke, box) for stroke in strokes for box in found)
    if not is_upright:
        found = [(y, x) for x, y in found]
        strokes = [[(y, x) for x, y in stroke] for stroke in strokes]
        if not any(is_whisker(stroke, box) for stroke in strokes for box in found):
            return None
    axis = axes.xaxis if is_upright else axes.yaxis
    names = list(zip(axis.get_ticklocs(), (label.get_text() for label in axis.get_ticklabels())))
    elements = []
    for across, along in found:
        element = tell_box(across, along, strokes)
        elements.append({"label": name_at(names, across[0], across[1] - across[0]), **element})
    return "box_and_whisker", elements, not is_upright


def close(one, other):
    return abs(one[0] - other[0]) <= NEAR and abs(one[1] - other[1]) <= NEAR


def span(corners):
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return (min(xs), max(xs)), (min(ys), max(ys))


def is_whisker(stroke, box):
    (left, right), along = box
    if len(stroke) != 2 or abs(stroke[0][0] - stroke[1][0]) > NEAR:
        return False
    is_middle = abs(stroke[0][0] - (left + right) / 2) <= (right - left) * 1e-6 + NEAR
    low, high = sorted(y for _, y in stroke)
    is_below, is_above = abs(high - along[0]) <= NEAR, abs(low - along[1]) <= NEAR
    return is_middle and (is_below or is_above)


def tell_box(across, along, strokes):
    (left, right), (first, third) = across, along
    low, high, median, outliers = first, third, None, []
    middle, near = (left + right) / 2, (right - left) * 1e-6 + NEAR
    for stroke in strokes:
        if is_whisker(stroke, (across, along)):
            ends = [y for _, y in stroke]
            low, high = min(low, *ends), max(high, *ends)
        elif len(stroke) == 2 and abs(stroke[0][1] - stroke[1][1]) <= NEAR:
            is_within = left - near <= min(stroke[0][0], stroke[1][0]) and max(stroke[0][0], stroke[1][0]) <= right + near
            is_cap = abs(stroke[0][0] - stroke[1][0]) < (right - left) * 0.75
            if is_within and not is_cap and first - NEAR <= stroke[0][1] <= third + NEAR:
                median = stroke[0][1]
    for stroke in strokes:
        if stroke and all(abs(x - middle) <= near for x, _ in stroke) and not is_whisker(stroke, (across, along)):
            outliers += [y for _, y in stroke if y < low or y > high]
    told = {"min": low, "first_quartile": first, "median": median, "third_quartile": third, "max": high}
    told = {name: value for name, value in told.items() if value is not None and number(value) is not None}
    return {**told, "outliers": [value for value in outliers if number(value) is not None]}
