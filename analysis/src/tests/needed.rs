//! How many runs are needed, against numbers computed by hand.

use super::differences::arms;
use super::statistics::FEW;
use crate::arms::Metric;
use crate::needed::{HalfWidth, Needed, Wanted, needed, runs_needed, wide};

#[test]
fn the_number_is_that_of_stein() {
    // Student's quantile for 6 degrees of freedom is 2.44691, the variance 0.125562:
    // 2.44691^2 x 0.125562 / 0.1^2 = 75.18.
    assert_eq!(runs_needed(&FEW, 0.1), Some(76));
    assert_eq!(runs_needed(&FEW, 0.2), Some(19));
    assert_eq!(runs_needed(&FEW, 10.0), Some(7), "those that there are");
    assert_eq!(runs_needed(&[1.0], 0.1), None);
    assert_eq!(runs_needed(&[2.0; 5], 0.1), Some(5));
}

fn of(values: &[f64], wanted: &str) -> Needed {
    needed(&arms(values, &[]), &[wanted.parse().unwrap()]).remove(0)
}

#[test]
fn what_is_wanted_is_told_with_what_there_is() {
    assert_eq!(
        of(&FEW, "convergence_s=0.1").to_string(),
        "none, convergence_s: 4.79 ± 0.33 with 7 runs; ± 0.10 needs about 76"
    );
    let share = of(&FEW, "convergence_s=10%");
    assert_eq!(share.needed, Some(7));
    assert!(share.to_string().ends_with("; ± 0.48 (10 %) is reached"));
    let single = of(&[4.0], "convergence_s=1");
    assert!(single.to_string().contains("make a few more"), "{single}");
    let zero = of(&[0.0; 4], "convergence_s=1%");
    assert!(zero.to_string().contains("mean of 0"), "{zero}");
    let constant = of(&[0.0; 4], "convergence_s=0.1");
    assert!(constant.to_string().ends_with("is reached"), "{constant}");
}

#[test]
fn only_wide_intervals_are_spoken_of() {
    let arms = arms(&FEW, &[1.0, 5.0, 9.0, 2.0]);
    let wide = wide(&arms, &[Metric::Convergence, Metric::Updates]);
    let told: Vec<&str> = wide.iter().map(|w| w.arm.as_str()).collect();
    assert_eq!(told, ["tcpr"]);
}

#[test]
fn what_cannot_be_wanted_is_refused_with_what_can() {
    let parsed: Wanted = "updates_sent=5%".parse().unwrap();
    assert_eq!(parsed.half_width, HalfWidth::OfMean(0.05));
    for (text, says) in [
        ("convergence_s", "METRIC=HALF_WIDTH"),
        ("convergence=1", "convergence_s, disconnected_s"),
        ("convergence_s=0", "above 0"),
        ("convergence_s=-1%", "above 0"),
        ("convergence_s=NaN", "above 0"),
        ("convergence_s=fast", "`fast`"),
    ] {
        let error = text.parse::<Wanted>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}
