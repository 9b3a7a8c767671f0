"""Language servers, by an SDK of half a year ago."""

import pytest
from daytona import DaytonaError, LspCompletionPosition

SOURCES = {
    "python": ("a.py", "class Greeter:\n    def greet(self):\n        pass\n\nGreeter().gr\n", 4, 12),
    "typescript": ("a.ts", "class Greeter { greet() {} }\nnew Greeter().gr\n", 1, 16),
}


@pytest.mark.parametrize("language", SOURCES)
def test_an_old_sdk_gets_completions_and_symbols(make, language):
    name, text, line, character = SOURCES[language]
    sandbox = make()
    path = f"/home/daytona/project/{name}"
    sandbox.fs.upload_file(text.encode(), path)
    server = sandbox.create_lsp_server(language, "/home/daytona/project")
    with pytest.raises(DaytonaError):
        server.did_open(path)
    server.start()
    server.did_open(path)
    found = server.completions(path, LspCompletionPosition(line=line, character=character))
    assert "greet" in {item.insert_text or item.label for item in found.items}
    assert {symbol.name for symbol in server.document_symbols(path)} == {"Greeter", "greet"}
    assert "Greeter" in {symbol.name for symbol in server.sandbox_symbols("Greeter")}
    assert "Greeter" in {symbol.name for symbol in server.workspace_symbols("Greeter")}
    server.did_close(path)
    server.stop()
    assert sandbox.get_user_home_dir() == "/home/daytona"
