//! What MCP clients see.

use pitlane_api::PublicUrl;

use super::values::{list, set};
use crate::settings::Setting;

/// Tools, tokens and who may ask.
pub(super) const SETTINGS: [Setting; 4] = [
    Setting {
        key: "mcp.toolset",
        flag: "mcp-toolset",
        variable: "PITLANE_MCP_TOOLSET",
        value: "TOOLSET",
        default: "default",
        help: "Which tools MCP clients see at /mcp: default, daytona (the names of Daytona's own MCP server) or minimal",
        apply: |settings, text| set(&mut settings.mcp.toolset, text),
    },
    Setting {
        key: "mcp.issuer",
        flag: "mcp-issuer",
        variable: "PITLANE_MCP_ISSUER",
        value: "URL",
        default: "",
        help: "OAuth issuer that MCP clients are sent to for tokens; the API decides which tokens it takes [default: none]",
        apply: |settings, text| {
            let issuer = PublicUrl::new(text).map_err(|why| why.to_string())?;
            settings.mcp.issuer = Some(issuer.as_str().to_owned());
            Ok(())
        },
    },
    Setting {
        key: "mcp.hosts",
        flag: "mcp-hosts",
        variable: "PITLANE_MCP_HOSTS",
        value: "NAMES",
        default: "",
        help: "Names under which /mcp may be reached beside localhost, IP addresses and the public URL's, comma separated [default: none]",
        apply: |settings, text| list(text).map(|names| settings.mcp.hosts = names),
    },
    Setting {
        key: "mcp.origins",
        flag: "mcp-origins",
        variable: "PITLANE_MCP_ORIGINS",
        value: "ORIGINS",
        default: "",
        help: "Web origins whose pages may use /mcp beside those on this machine, comma separated, such as https://app.example.org [default: none]",
        apply: |settings, text| list(text).map(|origins| settings.mcp.origins = origins),
    },
];
