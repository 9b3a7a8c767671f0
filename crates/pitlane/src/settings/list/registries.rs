//! Registries of images.

use super::values::words;
use crate::environment::variable;
use crate::settings::Setting;

/// Which are asked, and through whom.
pub(super) const SETTINGS: [Setting; 4] = [
    Setting {
        key: "registries.allow",
        flag: "registry-allow",
        variable: "PITLANE_REGISTRY_ALLOW",
        value: "HOSTS",
        default: "",
        help: "Image registries that may be at addresses that are not public, HOST or HOST:PORT, comma separated [default: none]",
        apply: |settings, text| {
            words(text)
                .try_for_each(|host| settings.registries.allow(host).map_err(|why| why.to_string()))
        },
    },
    Setting {
        key: "registries.plain",
        flag: "registry-plain",
        variable: "PITLANE_REGISTRY_PLAIN",
        value: "HOSTS",
        default: "",
        help: "Image registries that are asked without encryption, at any address, HOST or HOST:PORT, comma separated [default: none]",
        apply: |settings, text| {
            words(text).try_for_each(|host| {
                settings.registries.allow_plain(host).map_err(|why| why.to_string())
            })
        },
    },
    Setting {
        key: "registries.mirrors",
        flag: "registry-mirrors",
        variable: "PITLANE_REGISTRY_MIRRORS",
        value: "MIRRORS",
        default: "",
        help: "Who is asked before a registry, such as docker.io=mirror.example:5000, comma separated [default: nobody]",
        apply: |settings, text| {
            words(text).try_for_each(|rule| {
                settings.registries.mirror(rule).map_err(|why| why.to_string())
            })
        },
    },
    Setting {
        key: "registries.proxy",
        flag: "registry-proxy",
        variable: "PITLANE_REGISTRY_PROXY",
        value: "URL",
        default: "environment",
        help: "Through whom image registries are asked that are not named in these settings: http://HOST:PORT, none, or environment (HTTPS_PROXY and NO_PROXY)",
        apply: |settings, text| match text {
            "none" => Ok(()),
            "environment" => {
                let named = ["HTTPS_PROXY", "https_proxy"].into_iter().find_map(variable);
                let Some(proxy) = named else { return Ok(()) };
                let excepted = ["NO_PROXY", "no_proxy"].into_iter().find_map(variable);
                words(&excepted.unwrap_or_default())
                    .for_each(|host| settings.registries.except(host));
                // Other programs take it without its scheme.
                let is_whole = proxy.contains("://");
                let proxy = if is_whole { proxy } else { format!("http://{proxy}") };
                settings.registries.through(&proxy).map_err(|why| format!("HTTPS_PROXY: {why}"))
            }
            proxy => settings.registries.through(proxy).map_err(|why| why.to_string()),
        },
    },
];
