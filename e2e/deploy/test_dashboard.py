"""The dashboard, as Grafana's own models read it. There is no Grafana in a package registry to show it in."""

import pytest
import yaml
from conftest import DEPLOY, dashboard, queries, run, tool
from grafana_foundation_sdk.models.dashboard import Dashboard, RowPanel

SOURCE = "pitlane-prometheus"


def test_grafanas_models_read_every_panel():
    read = Dashboard.from_json(dashboard())
    given = dashboard()["panels"]
    assert [panel.title for panel in read.panels] == [panel["title"] for panel in given]
    for panel, as_given in zip(read.panels, given, strict=True):
        if not isinstance(panel, RowPanel):
            assert panel.type_val == as_given["type"]
            assert panel.field_config.defaults.unit == as_given["fieldConfig"]["defaults"]["unit"]
            assert len(panel.targets) == len(as_given["targets"])
    assert [variable.name for variable in read.templating.list_val] == ["instance"]


def test_every_panel_has_a_number_a_place_and_words_of_its_own():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_every_query_goes_to_the_source_that_is_provisioned_and_to_the_chosen_instances():
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/pitlane.yml").read_text())["datasources"]
    assert [source["uid"] for source in sources] == [SOURCE]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == SOURCE
            assert 'instance=~"$instance"' in target["expr"], panel["title"]


def test_the_provisioned_folder_is_where_the_dashboard_is_mounted():
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/pitlane.yml").read_text())["providers"][0]
    services = yaml.safe_load((DEPLOY / "compose/docker-compose.yml").read_text())["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["../grafana/dashboards"] == provider["options"]["path"]


@pytest.mark.parametrize("where,query", [pair for pair in queries() if pair[0].startswith("panel")])
def test_every_query_is_one(where, query, tmp_path):
    rules = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": query}]}]}
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rules))
    assert "SUCCESS" in run(tool("promtool"), "check", "rules", str(file)), where
