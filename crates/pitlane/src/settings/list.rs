//! The list of settings.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pitlane_api::{PublicUrl, RateLimits};
use pitlane_build::BuildSettings;
use pitlane_control::Patience;
use pitlane_image::RegistryRules;
use pitlane_model::{ImageName, Limits};
use pitlane_network::{Ipv4Net, Subnet, Upstreams};
use pitlane_storage::ContextLimits;

use super::{LogFormat, ObjectStorageSettings, Setting, Settings, UplinkSetting};
use crate::environment::variable;
use crate::failure::Failure;

/// One file system is never larger than that with blocks of the usual size.
const VOLUME_SIZES: std::ops::RangeInclusive<u32> = 1..=16_384;

/// Below are the machine's own users; above, the last sandbox's ids would not fit into 32 bits.
const FIRST_IDS: std::ops::RangeInclusive<u32> = 65_536..=2_147_483_648;

/// Every setting, in the order in which they are shown.
pub(super) const SETTINGS: [Setting; 59] = [
    Setting {
        key: "listen",
        flag: "listen",
        variable: "PITLANE_LISTEN",
        value: "ADDRESS",
        default: "127.0.0.1:3986",
        help: "Address and port of the API; port 0 takes a free one. Anyone who reaches it and has a key can run code",
        apply: |settings, text| set(&mut settings.listen, text),
    },
    Setting {
        key: "state",
        flag: "state",
        variable: "PITLANE_STATE",
        value: "DIR",
        default: super::DEFAULT_STATE,
        help: "Folder of what survives a restart: the database, the sandboxes' disks, the first key. One server per folder",
        apply: |settings, text| path(text).map(|path| settings.state = path),
    },
    Setting {
        key: "run",
        flag: "run-dir",
        variable: "PITLANE_RUN_DIR",
        value: "DIR",
        default: "",
        help: "Folder of run-time files, such as sockets [default: derived from the state folder, in /run/pitlane]",
        apply: |settings, text| path(text).map(|path| settings.run = Some(path)),
    },
    Setting {
        key: "image_cache",
        flag: "image-cache",
        variable: "PITLANE_IMAGE_CACHE",
        value: "DIR",
        default: "/var/cache/pitlane/images",
        help: "Folder of root filesystems, which servers may share",
        apply: |settings, text| path(text).map(|path| settings.image_cache = path),
    },
    Setting {
        key: "image",
        flag: "image",
        variable: "PITLANE_IMAGE",
        value: "NAME",
        default: "default",
        help: "Image behind the snapshot that sandboxes start from; the first start prepares it",
        apply: |settings, text| {
            let image = ImageName::new(text).map_err(|why| why.to_string())?;
            settings.image = image;
            Ok(())
        },
    },
    Setting {
        key: "daemon",
        flag: "daemon",
        variable: "PITLANE_DAEMON",
        value: "FILE",
        default: "",
        help: "Program that serves inside sandboxes [default: the one in this binary, if it was built with one]",
        apply: |settings, text| path(text).map(|path| settings.daemon = Some(path)),
    },
    Setting {
        key: "public_url",
        flag: "public-url",
        variable: "PITLANE_PUBLIC_URL",
        value: "URL",
        default: "",
        help: "Address under which clients reach this server, if a proxy stands before it [default: as each client says]",
        apply: |settings, text| {
            settings.public_url = Some(PublicUrl::new(text).map_err(|why| why.to_string())?);
            Ok(())
        },
    },
    Setting {
        key: "object_storage.url",
        flag: "storage-url",
        variable: "PITLANE_STORAGE_URL",
        value: "URL",
        default: "",
        help: "Address under which clients upload build contexts, without a path [default: the root of the public URL's host]",
        apply: |settings, text| {
            let url = PublicUrl::new(text).map_err(|why| why.to_string())?;
            if url.as_str().matches('/').count() > 2 {
                return Err("it has a path, and clients sign the path that they send".to_owned());
            }
            settings.storage_url = Some(url);
            Ok(())
        },
    },
    Setting {
        key: "object_storage.listen",
        flag: "storage-listen",
        variable: "PITLANE_STORAGE_LISTEN",
        value: "ADDRESS",
        default: "",
        help: "Address and port of object storage over https, which the Python SDK needs; port 0 takes a free one [default: only beside the API]",
        apply: |settings, text| {
            settings.storage_listen = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "object_storage.certificate",
        flag: "storage-certificate",
        variable: "PITLANE_STORAGE_CERTIFICATE",
        value: "FILE",
        default: "",
        help: "Certificate for that, and those above it, as PEM [default: one that the server makes, in the state folder]",
        apply: |settings, text| path(text).map(|path| settings.storage_certificate = Some(path)),
    },
    Setting {
        key: "object_storage.private_key_file",
        flag: "storage-private-key",
        variable: "PITLANE_STORAGE_PRIVATE_KEY",
        value: "FILE",
        default: "",
        help: "The certificate's key, as PEM",
        apply: |settings, text| path(text).map(|path| settings.storage_private_key = Some(path)),
    },
    Setting {
        key: "object_storage.max_context",
        flag: "max-context",
        variable: "PITLANE_MAX_CONTEXT",
        value: "GIB",
        default: "8",
        help: "Size of one build context at most",
        apply: |settings, text| gib(&mut settings.contexts.context_bytes, text),
    },
    Setting {
        key: "object_storage.room_per_organization",
        flag: "context-room-per-organization",
        variable: "PITLANE_CONTEXT_ROOM_PER_ORGANIZATION",
        value: "GIB",
        default: "32",
        help: "What the build contexts of one organization may take together",
        apply: |settings, text| gib(&mut settings.contexts.organization_bytes, text),
    },
    Setting {
        key: "object_storage.room",
        flag: "context-room",
        variable: "PITLANE_CONTEXT_ROOM",
        value: "GIB",
        default: "64",
        help: "What all build contexts may take together",
        apply: |settings, text| gib(&mut settings.contexts.total_bytes, text),
    },
    Setting {
        key: "object_storage.keep",
        flag: "keep-contexts",
        variable: "PITLANE_KEEP_CONTEXTS",
        value: "DAYS",
        default: "7",
        help: "Days that a build context stays which nobody uses",
        apply: |settings, text| {
            let days: u32 = positive(text)?;
            settings.contexts.keep = Duration::from_secs(u64::from(days) * 24 * 3600);
            Ok(())
        },
    },
    Setting {
        key: "build.variables",
        flag: "build-variables",
        variable: "PITLANE_BUILD_VARIABLES",
        value: "VARIABLES",
        default: "",
        help: "Variables of RUN steps that no image keeps, for mirrors of packages: PIP_INDEX_URL=URL, NPM_CONFIG_REGISTRY=URL, http_proxy=URL, …, separated by spaces [default: none]",
        apply: |settings, text| {
            settings.builds.mirrors.variables = variables(text)?;
            Ok(())
        },
    },
    Setting {
        key: "build.deadline",
        flag: "build-deadline",
        variable: "PITLANE_BUILD_DEADLINE",
        value: "MINUTES",
        default: "60",
        help: "Minutes that one build may take",
        apply: |settings, text| {
            let minutes: u32 = positive(text)?;
            settings.builds.limits.deadline = Duration::from_secs(u64::from(minutes) * 60);
            Ok(())
        },
    },
    Setting {
        key: "build.concurrent",
        flag: "build-concurrent",
        variable: "PITLANE_BUILD_CONCURRENT",
        value: "NUMBER",
        default: "4",
        help: "Builds that run at the same time; more wait. Each step may use what a sandbox may at most",
        apply: |settings, text| {
            settings.builds.limits.concurrent = positive(text)?;
            Ok(())
        },
    },
    Setting {
        key: "max_connections",
        flag: "max-connections",
        variable: "PITLANE_MAX_CONNECTIONS",
        value: "NUMBER",
        default: "10000",
        help: "Connections served at the same time; more wait",
        apply: |settings, text| positive(text).map(|number| settings.max_connections = number),
    },
    Setting {
        key: "metrics",
        flag: "metrics",
        variable: "PITLANE_METRICS",
        value: "ADDRESS",
        default: "",
        help: "Address and port of GET /metrics, which needs no key; port 0 takes a free one [default: no metrics]",
        apply: |settings, text| {
            settings.metrics = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.create_per_key",
        flag: "limit-create-per-key",
        variable: "PITLANE_LIMIT_CREATE_PER_KEY",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Sandboxes that a key may create in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.create.per_key = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.create_per_organization",
        flag: "limit-create-per-organization",
        variable: "PITLANE_LIMIT_CREATE_PER_ORGANIZATION",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Sandboxes that an organization may create in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.create.per_organization = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.control_per_key",
        flag: "limit-control-per-key",
        variable: "PITLANE_LIMIT_CONTROL_PER_KEY",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Other requests of the control plane that a key may make in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.control.per_key = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.control_per_organization",
        flag: "limit-control-per-organization",
        variable: "PITLANE_LIMIT_CONTROL_PER_ORGANIZATION",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Other requests of the control plane that an organization may make in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.control.per_organization = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.toolbox_per_key",
        flag: "limit-toolbox-per-key",
        variable: "PITLANE_LIMIT_TOOLBOX_PER_KEY",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Requests to sandboxes that a key may make in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.toolbox.per_key = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "rate_limits.toolbox_per_organization",
        flag: "limit-toolbox-per-organization",
        variable: "PITLANE_LIMIT_TOOLBOX_PER_ORGANIZATION",
        value: "NUMBER/PERIOD",
        default: "",
        help: "Requests to sandboxes that an organization may make in a second, minute or hour, such as 100/minute [default: no limit]",
        apply: |settings, text| {
            settings.rate_limits.toolbox.per_organization = Some(parse(text)?);
            Ok(())
        },
    },
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
    Setting {
        key: "log.filter",
        flag: "log",
        variable: "PITLANE_LOG",
        value: "FILTER",
        default: "info",
        help: "What is logged: a level (error, warn, info, debug, trace), or levels by module such as pitlane_engine=debug",
        apply: |settings, text| {
            tracing_subscriber::EnvFilter::from_str(text).map_err(|why| why.to_string())?;
            settings.log = text.to_owned();
            Ok(())
        },
    },
    Setting {
        key: "log.format",
        flag: "log-format",
        variable: "PITLANE_LOG_FORMAT",
        value: "FORMAT",
        default: "auto",
        help: "How log lines look: human, json, or auto, which is human on a terminal",
        apply: |settings, text| {
            settings.log_format = match text {
                "auto" => LogFormat::Auto,
                "human" => LogFormat::Human,
                "json" => LogFormat::Json,
                _ => return Err("it is one of auto, human, json".to_owned()),
            };
            Ok(())
        },
    },
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
    Setting {
        key: "network.uplink",
        flag: "uplink",
        variable: "PITLANE_UPLINK",
        value: "UPLINK",
        default: "none",
        help: "The sandboxes' way to the internet: none, host (through this machine; adds NAT rules of its own to its firewall), or netns:PATH",
        apply: |settings, text| {
            settings.uplink = match text.split_once(':') {
                None if text == "none" => UplinkSetting::None,
                None if text == "host" => UplinkSetting::Host,
                Some(("netns", named)) => UplinkSetting::Namespace(path(named)?),
                _ => return Err("it is one of none, host, netns:PATH".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        key: "network.subnet",
        flag: "subnet",
        variable: "PITLANE_SUBNET",
        value: "CIDR",
        default: "10.213.0.0/16",
        help: "Range of the sandboxes' addresses; must not be in use on this machine. One address a sandbox",
        apply: |settings, text| {
            let range: Ipv4Net = parse(text)?;
            settings.subnet = Subnet::new(range).map_err(|why| why.to_string())?;
            Ok(())
        },
    },
    Setting {
        key: "network.allow_private",
        flag: "allow-private",
        variable: "PITLANE_ALLOW_PRIVATE",
        value: "CIDRS",
        default: "",
        help: "Private ranges that sandboxes may reach, comma separated [default: none]",
        apply: |settings, text| list(text).map(|ranges| settings.allow_private = ranges),
    },
    Setting {
        key: "network.resolvers",
        flag: "resolvers",
        variable: "PITLANE_RESOLVERS",
        value: "ADDRESSES",
        default: "",
        help: "Name servers that the sandboxes' questions go to, comma separated [default: those of /etc/resolv.conf]",
        apply: |settings, text| {
            let resolvers =
                text.split(',').map(|one| resolver(one.trim())).collect::<Result<_, _>>()?;
            settings.resolvers = Upstreams::Fixed(resolvers);
            Ok(())
        },
    },
    Setting {
        key: "sandboxes.prepared",
        flag: "prepared",
        variable: "PITLANE_PREPARED",
        value: "NUMBER",
        default: "8",
        help: "Sandboxes of the default snapshot kept waiting to be taken, disk, network and daemon included; 0 makes each when it is asked for",
        apply: |settings, text| set(&mut settings.prepared, text),
    },
    Setting {
        key: "sandboxes.pool_memory_mib",
        flag: "pool-memory",
        variable: "PITLANE_POOL_MEMORY",
        value: "MIB",
        default: "",
        help: "Memory that sandboxes waiting in all pools together may take, in MiB [default: a quarter of the machine's]",
        apply: |settings, text| {
            settings.pool_memory_mib = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "volumes.size_gib",
        flag: "volume-size",
        variable: "PITLANE_VOLUME_SIZE",
        value: "GIB",
        default: "10",
        help: "Size of a volume that is made; it takes the room of what is in it",
        apply: |settings, text| {
            let gib = parse(text)?;
            if !VOLUME_SIZES.contains(&gib) {
                return Err(format!(
                    "it is between {} and {}",
                    VOLUME_SIZES.start(),
                    VOLUME_SIZES.end()
                ));
            }
            settings.volume_gib = gib;
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.endpoint",
        flag: "volume-endpoint",
        variable: "PITLANE_VOLUME_ENDPOINT",
        value: "URL",
        default: "",
        help: "S3-compatible object storage in which volumes are made from now on, https://HOST[:PORT] [default: they are files on this machine]",
        apply: |settings, text| {
            settings.object_storage.endpoint = Some(text.trim().to_owned());
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.region",
        flag: "volume-region",
        variable: "PITLANE_VOLUME_REGION",
        value: "NAME",
        default: "us-east-1",
        help: "Region that requests to that storage are signed for",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.region);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.bucket",
        flag: "volume-bucket",
        variable: "PITLANE_VOLUME_BUCKET",
        value: "NAME",
        default: "",
        help: "Bucket there, which must exist [default: none]",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.bucket);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.prefix",
        flag: "volume-prefix",
        variable: "PITLANE_VOLUME_PREFIX",
        value: "PATH",
        default: "",
        help: "What the keys of all volumes there begin with; servers that share a bucket should not share it [default: nothing]",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.prefix);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.access_key_file",
        flag: "volume-access-key-file",
        variable: "PITLANE_VOLUME_ACCESS_KEY_FILE",
        value: "FILE",
        default: "",
        help: "File with the key to that storage: its id on the first line, its secret on the second [default: none]",
        apply: |settings, text| {
            settings.object_storage.access_key_file = Some(path(text)?);
            Ok(())
        },
    },
    Setting {
        key: "sandboxes.disk_overcommit",
        flag: "disk-overcommit",
        variable: "PITLANE_DISK_OVERCOMMIT",
        value: "NUMBER",
        default: "100",
        help: "How many times the room left in the state folder may be promised to sandboxes' disks; 1 promises only what is there, 0 sets no bound",
        apply: |settings, text| set(&mut settings.disk_overcommit, text),
    },
    Setting {
        key: "sandboxes.first_id",
        flag: "first-id",
        variable: "PITLANE_FIRST_ID",
        value: "NUMBER",
        default: "2147483648",
        help: "First of the host's user ids that sandboxes get, 65,536 each; servers on one machine should not share them",
        apply: |settings, text| {
            let first = parse(text)?;
            if !FIRST_IDS.contains(&first) {
                return Err(format!("it is between {} and {}", FIRST_IDS.start(), FIRST_IDS.end()));
            }
            settings.first_id = first;
            Ok(())
        },
    },
    Setting {
        key: "sandboxes.max_cpu",
        flag: "max-cpu",
        variable: "PITLANE_MAX_CPU",
        value: "NUMBER",
        default: "4",
        help: "CPUs that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, positive(text)?, of.memory_gib(), of.disk_gib())
        },
    },
    Setting {
        key: "sandboxes.max_memory",
        flag: "max-memory",
        variable: "PITLANE_MAX_MEMORY",
        value: "GIB",
        default: "8",
        help: "Memory that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, of.cpu_count(), positive(text)?, of.disk_gib())
        },
    },
    Setting {
        key: "sandboxes.max_disk",
        flag: "max-disk",
        variable: "PITLANE_MAX_DISK",
        value: "GIB",
        default: "10",
        help: "Disk that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, of.cpu_count(), of.memory_gib(), positive(text)?)
        },
    },
    Setting {
        key: "sandboxes.target",
        flag: "target",
        variable: "PITLANE_TARGET",
        value: "NAME",
        default: "local",
        help: "Name of this machine as a region, for clients that show one",
        apply: |settings, text| {
            text.clone_into(&mut settings.target);
            Ok(())
        },
    },
    Setting {
        key: "deadlines.start",
        flag: "start-deadline",
        variable: "PITLANE_START_DEADLINE",
        value: "SECONDS",
        default: "120",
        help: "Seconds until a sandbox that starts must be usable",
        apply: |settings, text| seconds(&mut settings.patience.start, text),
    },
    Setting {
        key: "deadlines.stop",
        flag: "stop-deadline",
        variable: "PITLANE_STOP_DEADLINE",
        value: "SECONDS",
        default: "60",
        help: "Seconds until a sandbox that stops must have no processes; then it gets as long again, by force",
        apply: |settings, text| seconds(&mut settings.patience.stop, text),
    },
    Setting {
        key: "deadlines.archive",
        flag: "archive-deadline",
        variable: "PITLANE_ARCHIVE_DEADLINE",
        value: "SECONDS",
        default: "1800",
        help: "Seconds until the disk of a sandbox must be packed away, or back",
        apply: |settings, text| seconds(&mut settings.patience.archive, text),
    },
    Setting {
        key: "deadlines.resize",
        flag: "resize-deadline",
        variable: "PITLANE_RESIZE_DEADLINE",
        value: "SECONDS",
        default: "600",
        help: "Seconds until a sandbox must have other limits",
        apply: |settings, text| seconds(&mut settings.patience.resize, text),
    },
    Setting {
        key: "deadlines.destroy",
        flag: "destroy-deadline",
        variable: "PITLANE_DESTROY_DEADLINE",
        value: "SECONDS",
        default: "300",
        help: "Seconds until everything a deleted sandbox held must be free; then it is in state error, and tried again later",
        apply: |settings, text| seconds(&mut settings.patience.destroy, text),
    },
];

impl Settings {
    /// Values that the defaults replace, or that stand for "not given".
    pub(super) fn before_defaults() -> Result<Self, Failure> {
        Ok(Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: PathBuf::new(),
            run: None,
            image_cache: PathBuf::new(),
            image: ImageName::new("default")?,
            registries: RegistryRules::default(),
            daemon: None,
            public_url: None,
            storage_url: None,
            storage_listen: None,
            storage_certificate: None,
            storage_private_key: None,
            contexts: ContextLimits::STANDARD,
            builds: BuildSettings::default(),
            max_connections: 0,
            metrics: None,
            rate_limits: RateLimits::default(),
            mcp: pitlane_mcp::Settings::default(),
            log: String::new(),
            log_format: LogFormat::Auto,
            uplink: UplinkSetting::None,
            subnet: Subnet::standard(),
            allow_private: Vec::new(),
            resolvers: Upstreams::File(PathBuf::from("/etc/resolv.conf")),
            prepared: 0,
            pool_memory_mib: None,
            volume_gib: 0,
            object_storage: ObjectStorageSettings::default(),
            disk_overcommit: 0,
            first_id: 0,
            maximum: Limits::MAXIMUM,
            target: String::new(),
            patience: Patience::STANDARD,
        })
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|why: T::Err| why.to_string())
}

fn set<T: FromStr<Err: std::fmt::Display>>(place: &mut T, text: &str) -> Result<(), String> {
    *place = parse(text)?;
    Ok(())
}

fn list<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Vec<T>, String> {
    text.split(',').filter(|one| !one.trim().is_empty()).map(parse).collect()
}

/// Variables, `NAME=VALUE`, separated by spaces.
fn variables(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split_whitespace().map(|word| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{word:?} is not NAME=VALUE")),
    });
    let pairs: BTreeMap<String, String> = pairs.collect::<Result<_, String>>()?;
    pitlane_model::Environment::new(pairs.clone()).map_err(|error| error.to_string())?;
    Ok(pairs)
}

/// The parts of a list with commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A size in GiB, kept in bytes.
fn gib(place: &mut u64, text: &str) -> Result<(), String> {
    let number: u32 = positive(text)?;
    *place = u64::from(number) << 30;
    Ok(())
}

fn positive<T: FromStr<Err: std::fmt::Display> + From<u8> + PartialOrd>(
    text: &str,
) -> Result<T, String> {
    let number: T = parse(text)?;
    if number < T::from(1) { Err("it is at least 1".to_owned()) } else { Ok(number) }
}

fn seconds(place: &mut Duration, text: &str) -> Result<(), String> {
    *place = Duration::from_secs(positive(text)?);
    Ok(())
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn resolver(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| parse::<IpAddr>(text).map(|address| (address, 53).into()))
}

fn limits(settings: &mut Settings, cpu: u32, memory: u32, disk: u32) -> Result<(), String> {
    let processes = settings.maximum.process_count();
    settings.maximum = Limits::new(cpu, memory, disk, processes).map_err(|why| why.to_string())?;
    Ok(())
}
