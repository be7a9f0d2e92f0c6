//! The routers: their implementation, timers and further lines.
//!
//! *Assumes* the number of routers. *Guarantees* timers that the implementation can be told and
//! that the protocol allows; the file system is not looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Checked;
use super::value::whole;
use crate::addressing::INJECTOR;
use crate::graph::router_index;
use crate::kinds::{RouterKind, RouterLimits};
use crate::resolved::RouterSettings;
use crate::scenario::authored::{At, AuthoredRouter, ExtraConfig};
use crate::scenario::network;
use crate::scenario::refusal::Flaw;
use crate::units::Span;

/// HOLDTIME is a 16-bit number of seconds (RFC 4271, section 4.2), and at least 3 (ibid.).
const HOLD_TIME_S: (u64, u64) = (3, 65_535);

pub(super) fn router(authored: AuthoredRouter, size: usize) -> Checked<RouterSettings> {
    let kind = authored.kind.as_ref().map_or(RouterKind::Frr, |k| k.value);
    let RouterLimits {
        name,
        mrai_max_s,
        connect_retry_max_s,
        stale_path_time_max_s,
    } = kind.limits();
    let timer = |value: &Option<At<Span>>, key, default, range| {
        whole(value.as_ref(), key, default, name, range)
    };
    let mrai = timer(&authored.mrai, "mrai", 5, (0, mrai_max_s))?;
    let connect_retry = timer(
        &authored.connect_retry,
        "connect_retry",
        1,
        (1, connect_retry_max_s),
    )?;
    let hold_time = hold_time(authored.hold_time.as_ref(), name)?;
    let keepalive = keepalive(
        authored.keepalive.as_ref(),
        name,
        &hold_time,
        authored.hold_time.as_ref(),
    )?;
    let stale_path_time = timer(
        &authored.stale_path_time,
        "stale_path_time",
        360,
        (1, stale_path_time_max_s),
    )?;
    Ok(RouterSettings {
        kind,
        path: folder(authored.kind.as_ref(), authored.path)?,
        mrai,
        connect_retry,
        keepalive,
        hold_time,
        stale_path_time,
        extra_config: authored
            .extra_config
            .map_or_else(|| Ok(BTreeMap::new()), |e| extra_config(e, size))?,
    })
}

/// The folder of the daemons. What is in it is the harness's matter.
fn folder(kind: Option<&At<RouterKind>>, path: Option<At<String>>) -> Checked<Option<PathBuf>> {
    match path {
        Some(At { value, .. }) if value.starts_with('/') => Ok(Some(PathBuf::from(value))),
        Some(At { value, place }) => Err(Flaw::new(
            place,
            format!("`path` is `{value}`: not absolute"),
            "write the folder of zebra and bgpd from `/` on, such as `/opt/quagga/sbin`",
        )),
        None => match kind {
            Some(kind) if kind.value == RouterKind::Quagga => Err(Flaw::new(
                kind.place,
                "router `quagga` needs a `path`: no distribution has it any more",
                "add `path: /opt/quagga/sbin`, the folder of your zebra and bgpd",
            )),
            _ => Ok(None),
        },
    }
}

fn hold_time(authored: Option<&At<Span>>, router: &str) -> Checked<Span> {
    if let Some(hold) = authored
        && hold.value < Span::from_secs(HOLD_TIME_S.0)
    {
        return Err(Flaw::new(
            hold.place,
            format!("`hold_time` is {}: less than 3 s", hold.value),
            "write `3s` or more (RFC 4271, section 4.2); a session without a hold time is not supported",
        ));
    }
    whole(authored, "hold_time", 180, router, HOLD_TIME_S)
}

fn keepalive(
    authored: Option<&At<Span>>,
    router: &str,
    hold: &Span,
    hold_authored: Option<&At<Span>>,
) -> Checked<Span> {
    let third_s = hold.as_duration().as_secs() / 3;
    let Some(keepalive) = authored else {
        // A shorter hold time alone takes the keepalive with it, as RFC 4271, section 10, has it.
        return Ok(Span::from_secs(third_s.min(60)));
    };
    let value = whole(authored, "keepalive", 60, router, (1, HOLD_TIME_S.1 / 3))?;
    if value > Span::from_secs(third_s) {
        let whose = match hold_authored {
            Some(at) => format!("the `hold_time` of line {}, {hold}", at.place.line()),
            None => format!("the default `hold_time`, {hold}"),
        };
        return Err(Flaw::new(
            keepalive.place,
            format!("`keepalive` is {value}: more than a third of {whose}"),
            format!("write `{third_s}s` or less (RFC 4271, section 10), or a longer `hold_time`"),
        ));
    }
    Ok(value)
}

fn extra_config(authored: ExtraConfig, size: usize) -> Checked<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for (node, lines) in authored.0 {
        if node.value == INJECTOR || router_index(&node.value).is_none_or(|i| i >= size) {
            return Err(network::no_such_router(&node, size));
        }
        if let Some(line) = lines.iter().find(|l| l.value.contains(['\n', '\r'])) {
            return Err(Flaw::new(
                line.place,
                "one line of configuration has a line break in it",
                "give each line as an item of its own",
            ));
        }
        all.insert(node.value, lines.into_iter().map(|l| l.value).collect());
    }
    Ok(all)
}
