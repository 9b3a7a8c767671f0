//! How often clients may ask.

use super::values::parse;
use crate::settings::Setting;

/// One limit for each kind of request, by key and by organization.
pub(super) const SETTINGS: [Setting; 6] = [
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
];
