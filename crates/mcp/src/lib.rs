//! The MCP rim, over stdio and HTTP, and LangSwarm's REST rim over the tools.
#![forbid(unsafe_code)]
