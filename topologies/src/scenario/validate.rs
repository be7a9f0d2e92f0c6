//! From what an author wrote to a scenario that can be run.
//!
//! *Assumes* the shape that [`super::authored`] gives. *Guarantees* that what passes can be
//! resolved without fail, and that nothing is mended in silence: each impossible or contradictory
//! value is a [`Flaw`] at its own place.

mod deadlines;
mod failure;
mod fresh;
mod router;
mod value;

use self::deadlines::Part;
use self::value::{number, whole};
use super::authored::{At, Authored};
use super::network;
use super::refusal::{Flaw, UnsupportedStrategy};
use super::{Scenario, Settings};
use crate::cell::Cell;
use crate::kinds::{FailureKind, InjectorKind, Strategy};
use crate::resolved::{FailureSettings, InjectorSettings, quiet_period};
use crate::units::Span;

/// Most runs per arm: run numbers have four digits, so that names sort in order.
const MAX_RUNS: u32 = 9_999;
/// Restart Time is a 12-bit number of seconds (RFC 4724, section 3).
const RESTART_TIME_MAX_S: u64 = 4_095;

type Checked<T> = Result<T, Flaw>;

pub(crate) fn scenario(authored: Authored, text: &str) -> Checked<Scenario> {
    let name = name(authored.name)?;
    let injector = authored.injector.unwrap_or_default();
    let injector_kind = injector
        .kind
        .as_ref()
        .map_or(InjectorKind::Flaplab, |k| k.value);
    let strategies = strategies(authored.strategies, injector_kind)?;
    let topology_kind = authored.topology.value.kind.value;
    let network = network::network(authored.topology, injector.primary, injector.backup)?;
    let destination = network::destination(authored.destination)?;
    let mrai_place = (authored.router.as_ref()).and_then(|r| r.mrai.as_ref().map(|m| m.place));
    let router = router::router(authored.router.unwrap_or_default(), network.graph.size())?;
    let failure = failure::failure(&authored.failure, topology_kind, &network, &strategies)?;
    let filler_place = injector.filler.as_ref().map(|f| f.place);
    let filler = injector
        .filler
        .map(|f| failure::filler(f, &failure, injector_kind, &router))
        .transpose()?;
    failure::interrupted_transfer(authored.failure.when.as_ref(), filler.as_ref())?;
    let restart_time = whole(
        injector.restart_time.as_ref(),
        "restart_time",
        120,
        "BGP",
        (1, RESTART_TIME_MAX_S),
    )?;
    let silence = Part {
        takes: quiet_period(router.mrai),
        place: mrai_place,
    };
    let place = &authored.failure;
    let planned = [
        (filler.map_or(Span::ZERO, |f| f.duration()), filler_place),
        (
            failure.detect_delay,
            place.detect_delay.as_ref().map(|d| d.place),
        ),
        (
            failure.restart_delay,
            place.restart_delay.as_ref().map(|d| d.place),
        ),
        (
            times(failure.kill_interval, failure.kills - 1),
            place.repeat.as_ref().map(|r| r.value.interval.place),
        ),
        (
            probing(&failure, router.mrai),
            place.rounds.as_ref().map(|r| r.place).or(mrai_place),
        ),
    ]
    .map(|(takes, place)| Part { takes, place });
    let deadlines =
        deadlines::deadlines(authored.deadlines.unwrap_or_default(), &silence, &planned)?;

    let data_plane_probe = failure::probed(authored.data_plane_probe, failure.kind)?;
    let fresh = fresh::fresh(authored.fresh, &failure, network.shuffle, data_plane_probe)?;

    let settings = Settings {
        cell: Cell::default(),
        topology_kind,
        shuffle: network.shuffle,
        injector: InjectorSettings {
            kind: injector_kind,
            restart_time,
            // The longest path through the primary has an ASN of each router and the injector's
            // where it leaves the last router; where the backup router hears it, one less.
            backup_path_length: network.graph.size() + 1,
            filler,
        },
        primary: network.primary,
        backup: network.backup,
        graph: network.graph,
        router,
        destination,
        failure,
        data_plane_probe,
        fresh,
        deadlines,
    };
    Ok(Scenario {
        name,
        description: authored.description,
        strategies,
        runs: runs(authored.runs)?,
        seed: authored.seed.map_or(1, |s| s.value),
        cells: vec![settings],
        text: text.to_owned(),
    })
}

fn times(span: Span, n: u32) -> Span {
    Span::from(span.as_duration().saturating_mul(n))
}

/// What the rounds of an MRAI probe take: in each, six changes that wait for the MRAI, a phase drawn
/// over one more, and the silence before the next round.
fn probing(failure: &FailureSettings, mrai: Span) -> Span {
    if failure.kind != FailureKind::MraiProbe {
        return Span::ZERO;
    }
    let waits = times(mrai, 7).as_duration();
    let round = waits.saturating_add(quiet_period(mrai).as_duration());
    times(Span::from(round), failure.rounds)
}

fn name(name: At<String>) -> Checked<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let n = &name.value;
    let first = n.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && n.len() <= 64 && n.chars().all(fits) {
        return Ok(name.value);
    }
    Err(Flaw::new(
        name.place,
        format!("`{n}` cannot be a scenario's name: it becomes part of file names"),
        "use letters, digits, `.`, `_` and `-`, at most 64, the first a letter or digit",
    ))
}

fn strategies(
    authored: Option<At<Vec<At<Strategy>>>>,
    injector: InjectorKind,
) -> Checked<Vec<Strategy>> {
    let Some(authored) = authored else {
        return Ok(vec![Strategy::None, Strategy::GracefulRestart]);
    };
    let mut all = Vec::new();
    for At { value, place } in authored.value {
        if all.contains(&value) {
            return Err(Flaw::new(
                place,
                format!("strategy `{value}` is listed twice"),
                "list each arm once; `runs` says how often it is run",
            ));
        }
        UnsupportedStrategy::check(injector, value)
            .map_err(|e| Flaw::new(place, e.problem(), UnsupportedStrategy::REMEDY))?;
        all.push(value);
    }
    if all.is_empty() {
        return Err(Flaw::new(
            authored.place,
            "no strategy is listed: there would be nothing to run",
            "list at least one, such as `tcpr`, or leave the key out for `none` and `graceful-restart`",
        ));
    }
    Ok(all)
}

fn runs(authored: Option<At<i64>>) -> Checked<u32> {
    authored.map_or(Ok(10), |r| {
        number(&r, "runs", "runs per arm", (1, MAX_RUNS))
    })
}
