"""What code draws: `artifacts.charts` of code_run, with the official client's own classes."""

import base64

import pytest
from daytona import AsyncDaytona, ChartType, CreateSandboxFromSnapshotParams

PLOT = "import matplotlib.pyplot as plt\n"
MARKED = 'dtn_artifact_k39fd2:{"type":"chart","value":{"type":"bar","elements":[{"label":"x","value":2}]}}'


@pytest.fixture(scope="module")
def drawing(daytona):
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(language="python"))
    yield sandbox
    sandbox.delete()


def told(ran):
    """Each chart without its picture, which is checked."""
    charts = []
    for chart in ran.artifacts.charts:
        assert base64.b64decode(chart.png).startswith(b"\x89PNG\r\n")
        charts.append(chart)
    return charts


def test_a_line_has_points_labels_ticks_and_scales(drawing):
    code = PLOT + (
        "plt.plot([1, 2, 3], [1, 10, 100], label='a'); plt.plot([1, 2], [5, float('nan')], label='b')\n"
        "plt.axhline(4); plt.title('T'); plt.xlabel('X'); plt.ylabel('Y'); plt.yscale('log'); plt.xticks([1, 2, 3])\n"
        "print('before'); plt.show(); print('after')"
    )
    ran = drawing.process.code_run(code)
    assert (ran.exit_code, ran.result, ran.artifacts.stdout) == (0, "before\nafter\n", "before\nafter\n")
    (chart,) = told(ran)
    assert chart.type == ChartType.LINE
    assert (chart.title, chart.x_label, chart.y_label, chart.x_scale, chart.y_scale) == ("T", "X", "Y", "linear", "log")
    assert (chart.x_ticks, chart.x_tick_labels) == ([1.0, 2.0, 3.0], ["1", "2", "3"])
    assert len(chart.y_ticks) == len(chart.y_tick_labels) > 2
    lines = [(line.label, line.points) for line in chart.elements]
    assert lines == [("a", [[1.0, 1.0], [2.0, 10.0], [3.0, 100.0]]), ("b", [[1.0, 5.0]])]


def test_a_scatter_has_points(drawing):
    (chart,) = told(drawing.process.code_run(PLOT + "plt.scatter([1, 2], [3, 4], label='s'); plt.show()"))
    assert chart.type == ChartType.SCATTER
    assert [(cloud.label, cloud.points) for cloud in chart.elements] == [("s", [[1.0, 3.0], [2.0, 4.0]])]


@pytest.mark.parametrize("draw, is_turned", [("bar", False), ("barh", True)])
def test_bars_have_names_groups_and_values(drawing, draw, is_turned):
    code = PLOT + f"plt.{draw}(['a', 'b'], [3, 4.5], label='g'); plt.xlabel('X'); plt.ylabel('Y'); plt.show()"
    (chart,) = told(drawing.process.code_run(code))
    assert chart.type == ChartType.BAR
    assert [(bar.label, bar.group, bar.value) for bar in chart.elements] == [("a", "g", "3"), ("b", "g", "4.5")]
    assert (chart.x_label, chart.y_label) == (("Y", "X") if is_turned else ("X", "Y"))


def test_a_pie_has_angles(drawing):
    code = PLOT + "plt.pie([10, 30], labels=['a', 'b'], autopct='%1.1f%%', shadow=True); plt.show()"
    (chart,) = told(drawing.process.code_run(code))
    assert chart.type == ChartType.PIE
    wedges = [(wedge.label, wedge.angle, wedge.radius, wedge.additional_properties["autopct"]) for wedge in chart.elements]
    assert wedges == [("a", 90.0, 1.0, "25.0%"), ("b", 270.0, 1.0, "75.0%")]


@pytest.mark.parametrize("more", ["", ", patch_artist=True", ", vert=False", ", patch_artist=True, vert=False"])
def test_boxes_have_quartiles_and_outliers(drawing, more):
    code = PLOT + f"plt.boxplot([[1, 2, 3, 4, 20], [2, 3, 4, 5, 6]], labels=['p', 'q']{more}); plt.show()"
    (chart,) = told(drawing.process.code_run(code))
    assert chart.type == ChartType.BOX_AND_WHISKER
    boxes = [
        (box.label, box.min, box.first_quartile, box.median, box.third_quartile, box.max, box.outliers)
        for box in chart.elements
    ]
    assert boxes == [("p", 1.0, 2.0, 3.0, 4.0, 4.0, [20.0]), ("q", 2.0, 3.0, 4.0, 5.0, 6.0, [])]


def test_several_axes_are_one_chart_of_charts(drawing):
    code = PLOT + (
        "figure, (one, other) = plt.subplots(1, 2); one.plot([1, 2], [3, 4]); one.set_title('A')\n"
        "other.bar(['x'], [2]); figure.suptitle('S'); plt.show()"
    )
    (chart,) = told(drawing.process.code_run(code))
    assert (chart.type, chart.title) == (ChartType.COMPOSITE_CHART, "S")
    assert [(part.type, part.title) for part in chart.elements] == [(ChartType.LINE, "A"), (ChartType.BAR, "")]
    # The client has no field for what is in a part.
    (line,) = chart.elements[0].additional_properties["elements"]
    assert line["points"] == [[1.0, 3.0], [2.0, 4.0]]


def test_dates_are_told_as_such(drawing):
    code = "import datetime as d\n" + PLOT + "plt.plot([d.date(2020, 1, 1), d.date(2020, 1, 2)], [1, 2]); plt.show()"
    (chart,) = told(drawing.process.code_run(code))
    assert chart.x_scale == "datetime"
    assert chart.elements[0].points == [[18262.0, 1.0], [18263.0, 2.0]]


def test_what_is_no_known_chart_has_a_picture(drawing):
    (chart,) = told(drawing.process.code_run(PLOT + "plt.imshow([[1, 2], [3, 4]]); plt.colorbar(); plt.show()"))
    assert chart.type == ChartType.UNKNOWN


def test_figures_come_in_order_shown_or_left_open_and_once(drawing):
    code = PLOT + (
        "plt.plot([1, 2]); plt.title('1'); plt.show(); plt.show()\n"
        "plt.plot([3]); plt.title('2'); plt.figure(); plt.plot([4]); plt.title('3'); plt.show()\n"
        "plt.plot([5]); plt.title('4'); 1 / 0"
    )
    ran = drawing.process.code_run(code)
    assert ran.exit_code == 1
    traceback = 'Traceback (most recent call last):\n  File "<stdin>", line 4, in <module>\nZeroDivisionError: '
    assert ran.result.startswith(traceback)
    assert [chart.title for chart in told(ran)] == ["1", "2", "3", "4"]


def test_code_without_figures_has_none(drawing):
    ran = drawing.process.code_run("import matplotlib; print(1)")
    assert (ran.result, ran.artifacts.charts) == ("1\n", [])


def test_a_module_that_is_missing_is_told_as_ever(drawing):
    ran = drawing.process.code_run("import matplotlib.nothing")
    wanted = (
        'Traceback (most recent call last):\n  File "<stdin>", line 1, in <module>\n'
        "ModuleNotFoundError: No module named 'matplotlib.nothing'\n"
    )
    assert (ran.exit_code, ran.result) == (1, wanted)


def test_marked_lines_of_a_program_are_charts_and_not_text(drawing):
    ran = drawing.process.code_run(f"print('a', end=''); print('''{MARKED}'''); print('b')")
    (chart,) = ran.artifacts.charts
    assert (ran.result, chart.type, chart.elements[0].value) == ("ab\n", ChartType.BAR, "2")


@pytest.mark.parametrize("rest", ["", "{", "{}", '{"type":"chart","value":[]}', "null", "[" * 5000])
def test_marked_lines_that_are_no_charts_stay_text(drawing, rest):
    ran = drawing.process.code_run(f"print('dtn_artifact_k39fd2:' + '''{rest}''')")
    assert (ran.result, ran.artifacts.charts) == (f"dtn_artifact_k39fd2:{rest}\n", [])


def test_a_command_keeps_its_marked_lines(drawing):
    assert drawing.process.exec(f"echo '{MARKED}'").result == MARKED + "\n"


def test_a_figure_beside_much_output(drawing):
    ran = drawing.process.code_run(PLOT + "plt.plot([1, 2]); plt.show(); print('x' * 5_000_000)")
    assert (len(ran.result), len(told(ran))) == (5_000_001, 1)


async def test_charts_come_to_the_asynchronous_client(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            ran = await sandbox.process.code_run(PLOT + "plt.plot([1, 2]); plt.show()")
            (chart,) = told(ran)
            assert (chart.type, chart.elements[0].points) == (ChartType.LINE, [[0.0, 1.0], [1.0, 2.0]])
        finally:
            await sandbox.delete()
