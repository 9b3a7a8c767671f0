// The official client for TypeScript does what a coding agent does: `client.mjs http URL KEY` or `client.mjs stdio COMMAND`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [way, era, ...where] = process.argv.slice(2);
const transport =
  way === "http"
    ? new StreamableHTTPClientTransport(new URL(where[0]), { requestInit: { headers: { "X-API-Key": where[1] } } })
    : new StdioClientTransport({ command: where[0], args: ["mcp", "start"], env: process.env });
const mode = era === "legacy" ? "legacy" : "auto";
const client = new Client({ name: "pitlane-tests", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);

const done = async (name, args = {}) => {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
};

const listed = await client.listTools();
assert.equal(listed.tools.length, 10);
const name = `typescript-${way}-${era}`;
const { sandbox_id } = await done("create_sandbox", { name });
try {
  const code = "console.log(JSON.stringify({it: \"it's\"}))";
  const ran = await done("execute_code", { sandbox_id, code, language: "javascript" });
  assert.deepEqual([ran.exit_code, ran.stdout], [0, `{"it":"it's"}\n`]);
  const failed = await done("execute_shell", { sandbox_id, command: "exit 7" });
  assert.equal(failed.exit_code, 7);
  const file = { sandbox_id, file_path: "dir/ä.txt" };
  await done("file_operation", { ...file, operation: "write", content: "x" });
  assert.equal((await done("file_operation", { ...file, operation: "read" })).content, "x");
  const seed = `export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=s GIT_AUTHOR_EMAIL=s GIT_COMMITTER_NAME=s GIT_COMMITTER_EMAIL=s
    mkdir served && cd served && git init -q -b main seed && cd seed && echo 1 > f && git add f && git commit -qm first
    cd .. && git clone -q --bare seed public/a.git`;
  await done("execute_shell", { sandbox_id, command: seed });
  const source = readFileSync(new URL("../git_server.py", import.meta.url), "utf8");
  await done("file_operation", { sandbox_id, operation: "write", file_path: "git_server.py", content: source });
  const start = "(setsid python3 git_server.py served > port 2>/dev/null < /dev/null &); until test -s port; do :; done; cat port";
  const port = (await done("execute_shell", { sandbox_id, command: start })).stdout.trim();
  const git = { sandbox_id, working_directory: "work" };
  await done("git_operation", { ...git, operation: "clone", repository_url: `http://127.0.0.1:${port}/public/a.git` });
  await done("file_operation", { sandbox_id, operation: "write", file_path: "work/new", content: "x" });
  const committed = await done("git_operation", { ...git, operation: "commit", commit_message: "new" });
  assert.ok(committed.success);
} finally {
  const deleted = await done("delete_sandbox", { sandbox_id });
  assert.ok(deleted.success);
}
await client.close();
console.log("done");
