"""The same server as for the newer client."""

import importlib.util
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))
spec = importlib.util.spec_from_file_location("newer_conftest", HERE / "conftest.py")
newer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(newer)
server, mcp_url, stdio = newer.server, newer.mcp_url, newer.stdio
