"""The transcript in the documentation is what the tools really say."""

import processes
import transcript

MARK = "<!-- transcript -->\n"


def test_the_documentations_transcript_is_what_the_tools_say(server, mcp_url):
    page = (processes.ROOT / "docs/mcp.md").read_text(encoding="utf-8")
    _, told, _ = page.split(MARK)
    assert told.strip() == transcript.transcript(mcp_url, server.key).strip()
