//! The published figures, as the report will show them.

use results::reference::{Metric, Reference, Relation, SURTON2014_YAML, surton2014};
use topologies::{FailureKind, Strategy, TopologyKind};

#[test]
fn the_figures_of_chapter_3_are_there() {
    let reference = surton2014();
    assert_eq!(reference.setup.router, "Quagga");
    assert!(reference.setup.router_version.is_none());
    assert_eq!((reference.setup.routers, reference.setup.mrai_s), (16, 5.0));
    let told: Vec<_> = reference
        .values
        .iter()
        .map(|v| {
            let relative = v.relative_to.map(|s| format!(" + {s}")).unwrap_or_default();
            let stated = format!("{}{}{relative}", v.relation, v.value);
            (v.figure, v.failure, v.strategy, v.metric, stated)
        })
        .collect();
    use FailureKind::{Control, Correlated};
    use Metric::{ConvergenceS, DisconnectedS, UpdatesSent};
    use Strategy::{GracefulRestart, None};
    let tell = |f, k, s, m, v: &str| (f, k, s, m, v.to_owned());
    assert_eq!(
        told,
        [
            tell(7, Control, None, ConvergenceS, ">15"),
            tell(8, Control, None, DisconnectedS, ">11"),
            tell(9, Control, None, UpdatesSent, ">45"),
            tell(7, Control, GracefulRestart, ConvergenceS, "=0"),
            tell(8, Control, GracefulRestart, DisconnectedS, "=0"),
            tell(9, Control, GracefulRestart, UpdatesSent, "=1"),
            tell(11, Correlated, None, ConvergenceS, ">111"),
            tell(12, Correlated, None, DisconnectedS, "=86"),
            tell(13, Correlated, None, UpdatesSent, "~190"),
            tell(11, Correlated, GracefulRestart, ConvergenceS, ">100 + none"),
        ]
    );
}

#[test]
fn a_figure_is_found_by_failure_strategy_and_metric() {
    let find = |s, m| surton2014().value(FailureKind::Correlated, s, m);
    let found = find(Strategy::None, Metric::UpdatesSent).unwrap();
    assert_eq!((found.relation, found.value), (Relation::About, 190.0));
    assert_eq!(found.topology, TopologyKind::BClique);
    assert!(found.quotation.contains("nearly 190 updates per router"));
    // The text gives no number here, and none is made up.
    assert!(find(Strategy::GracefulRestart, Metric::DisconnectedS).is_none());
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let text = SURTON2014_YAML.replacen("    unit: s", "    units: s", 1);
    let error = Reference::parse(&text).unwrap_err().to_string();
    assert!(error.contains("units"), "{error}");
    assert!(error.contains("line"), "{error}");
}

#[test]
fn the_tables_of_tcpr_are_there_as_the_rows_quote_them() {
    let rows = &surton2014().benchmarks;
    let figures: Vec<u32> = rows.iter().map(|r| r.figure).collect();
    assert_eq!(
        figures,
        [21, 21, 22, 22, 22, 23, 23, 23, 24, 24, 24, 25, 25]
    );
    for row in rows {
        let numbers: Vec<f64> = row
            .quotation
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(numbers[..2], [row.value, row.deviation], "{row:?}");
        assert_eq!(row.same_measure, row.figure <= 22);
    }
}
