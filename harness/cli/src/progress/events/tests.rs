use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use analysis::arms::Metric;
use results::{Finding, FindingKind, Severity, Status};

use super::super::model::Plan;
use super::*;

fn model() -> Model {
    let plan = Plan {
        name: "test".to_owned(),
        path: PathBuf::from("out"),
        arms: vec!["none".to_owned()],
        runs: vec![("none-0".to_owned(), 0), ("none-1".to_owned(), 0)],
        shared: Vec::new(),
        jobs: Some(3),
    };
    Model::new(plan, Duration::ZERO)
}

fn told(event: &str, object: Value) -> Value {
    let mut out = Vec::new();
    let mut events = Events::new(&mut out);
    events.tell(event, Duration::from_micros(1_234_567), object);
    assert!(events.fault().is_none());
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(&format!("{{\"event\":\"{event}\",\"t_s\":1.234,")));
    assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_run_that_ended_is_told_with_its_findings_figures_and_counts() {
    let mut model = model();
    let finding = Finding {
        kind: FindingKind::CpuPressure,
        severity: Severity::Warning,
        place: "machine".to_owned(),
        message: "two\nlines".to_owned(),
    };
    let end = RunEnd {
        metrics: vec![(Metric::Convergence, 5.25), (Metric::Updates, 44.0)],
        ..RunEnd::new("none-0".to_owned(), Status::Complete, None, vec![finding])
    };
    model.ended(end.clone());
    let object = told("run-ended", run_ended(&end, &model, Duration::ZERO));
    let expected = json!({
        "event": "run-ended", "t_s": 1.234,
        "run": "none-0", "arm": "none", "path": "out/runs/none-0",
        "status": "complete", "valid": true, "again": false, "error": null,
        "findings": [{
            "kind": "cpu-pressure", "severity": "warning", "place": "machine", "message": "two\nlines",
        }],
        "metrics": {"convergence_s": 5.25, "updates_sent": 44.0},
        "runs": {"planned": 2, "valid": 1, "invalid": 0, "failed": 0, "aborted": 0, "left": 1},
        "left_s": null,
    });
    assert_eq!(object, expected);
}

#[test]
fn what_happens_to_a_run_is_told_with_its_arm() {
    let model = model();
    let phase = CampaignEvent::Progress {
        run_id: "none-1".to_owned(),
        stage: Stage::BringUp,
        text: "5 nodes".to_owned(),
    };
    let (event, object) = of_event(&phase, &model).unwrap();
    let expected = json!({"event": "run-phase", "t_s": 1.234, "run": "none-1", "arm": "none",
        "phase": "bring-up", "text": "5 nodes"});
    assert_eq!(told(event, object), expected);
}

/// Takes one line, then nothing more.
struct Full(ErrorKind, usize);

impl Write for Full {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.1 += 1;
        assert!(self.1 <= 2, "nothing is written after an error");
        if self.1 == 1 {
            Ok(octets.len())
        } else {
            Err(Error::from(self.0))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_that_cannot_be_written_is_told_in_the_end_and_a_reader_that_left_is_not() {
    for (kind, is_fault) in [
        (ErrorKind::StorageFull, true),
        (ErrorKind::BrokenPipe, false),
    ] {
        let mut events = Events::new(Full(kind, 0));
        for _ in 0..4 {
            events.tell("ended", Duration::ZERO, json!({}));
        }
        assert_eq!(events.fault().is_some(), is_fault, "{kind}");
    }
}
