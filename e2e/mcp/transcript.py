"""A coding agent at work, as text: what it calls, and what its model reads. `transcript.py URL KEY` prints it."""

import json
import re
import sys

import wire

BUG = '''def median(numbers):
    """The middle of a list."""
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2]
'''
TEST = '''from stats import median

def test_odd():
    assert median([3, 1, 2]) == 2

def test_even():
    assert median([4, 1, 3, 2]) == 2.5
'''
RUN = "python3 -c 'import test_stats; test_stats.test_odd(); test_stats.test_even(); print(\"2 passed\")'"
FIXED = BUG.replace(
    "    return ordered[len(ordered) // 2]\n",
    "    half = len(ordered) // 2\n    if len(ordered) % 2:\n        return ordered[half]\n    return (ordered[half - 1] + ordered[half]) / 2\n",
)


def steps():
    """Each step is a remark, a tool and its arguments; `BOX` stands for the sandbox."""
    file = {"sandbox_id": "BOX"}
    yield "A sandbox for the work.", "create_sandbox", {"name": "median"}
    yield "The code, and a test of it.", "file_operation", {**file, "operation": "write", "file_path": "stats.py", "content": BUG}
    yield None, "file_operation", {**file, "operation": "write", "file_path": "test_stats.py", "content": TEST}
    yield "A test that fails is a result, with its exit code.", "execute_shell", {**file, "command": RUN}
    yield "The repair.", "file_operation", {**file, "operation": "write", "file_path": "stats.py", "content": FIXED}
    yield None, "execute_shell", {**file, "command": RUN}
    yield "Code runs as it is, whatever quotes it has.", "execute_code", {**file, "code": "from stats import median\nprint(f\"it's {median([1, 2])}\")"}
    yield "Long output is cut to its end, and says where all of it is.", "execute_shell", {**file, "command": "seq 100000"}
    yield "What does not wait: a server in the background.", "exec_session", {**file, "action": "start", "command": "python3 -m http.server 8080"}
    yield None, "get_preview_url", {**file, "port": 8080}
    yield "A mistake is answered with what to do.", "file_operation", {**file, "operation": "read", "path": "stats.py"}
    yield None, "file_operation", {**file, "operation": "read", "file_path": "missing.py"}
    yield None, "execute_shell", {"sandbox_id": "medien", "command": "true"}
    yield "And away with it.", "delete_sandbox", file


def shown(text, box):
    """Text in which what differs from run to run is the same every time, and what is long is short."""
    text = text.replace(box, "7f0c…")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "5b1e…", text)
    text = re.sub(r"/logs/[0-9a-f]+", "/logs/c7ac…", text)
    text = re.sub(r"\btool-[0-9a-f]+", "tool-8b44…", text)
    text = re.sub(r"\b\d+\.\d+ ?s\b", "0.1 s", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+/\S*", "http://127.0.0.1:3986/…", text)
    lines = text.splitlines()
    if len(lines) > 16:
        lines = [*lines[:6], f"… ({len(lines) - 10} lines) …", *lines[-4:]]
    return "\n".join(lines)


def arguments_shown(arguments, box):
    short = {key: value if len(str(value)) < 90 else str(value)[:60].split("\n")[0] + " …" for key, value in arguments.items()}
    return shown(json.dumps(short, ensure_ascii=False), box)


def transcript(url, key):
    """The transcript, as Markdown."""
    text, box = [], "median"
    for remark, tool, arguments in steps():
        arguments = {name: box if value == "BOX" else value for name, value in arguments.items()}
        result = wire.call(url, key, tool, arguments)
        if tool == "create_sandbox":
            box = result["structuredContent"]["sandbox_id"]
        if remark:
            text.append(remark + "\n")
        failed = "isError\n" if result.get("isError") else ""
        links = [f"→ {block['uri']}" for block in result["content"] if block["type"] == "resource_link"]
        said = shown("\n".join([result["content"][0]["text"], *links]), box)
        text.append(f"```text\n{tool} {arguments_shown(arguments, box)}\n\n{failed}{said}\n```\n")
    return "\n".join(text)


if __name__ == "__main__":
    print(transcript(*sys.argv[1:]))
