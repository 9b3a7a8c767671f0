//! What an AI agent can ask for: one typed dispatcher over sandboxes, with capped output.
#![forbid(unsafe_code)]
