//! Two campaigns beside each other, as a folder: figures, `differences.csv`, and the report.
//!
//! *Assumes* a [`Contrast`]. *Guarantees* that the folder is new, and has a figure for each arm and
//! metric with both distributions in it.

use std::path::Path;

use crate::AnalyzeError;
use crate::contrast::Contrast;
use crate::differences::Difference;
use crate::figures::{self, Figure};
use crate::folder::{Folder, refuse_existing};
use crate::sheets;

impl Contrast {
    /// Writes figures, differences and report into a new folder.
    ///
    /// # Errors
    /// If the folder is there, or cannot be written, or a figure cannot be drawn.
    pub fn write(&self, to: &Path) -> Result<(), AnalyzeError> {
        refuse_existing(to)?;
        let mut folder = Folder::default();
        folder.add("report.txt", self.to_string());
        let table = |source| AnalyzeError::Table {
            file: "differences.csv",
            source,
        };
        let mut sheet = sheets::differences(&self.named()).map_err(table)?;
        folder.add(
            "differences.csv",
            sheets::to_csv(&mut sheet).map_err(table)?,
        );
        for arm in &self.arms {
            for metric in &self.metrics {
                let figure = Figure::of(*metric);
                let svg = figures::of_two(figure, &arm.name, &arm.a, &arm.b)?;
                let pdf = figures::to_pdf(figure, &svg)?;
                let name = format!("{}-{}", figure.name, as_file(&arm.name));
                folder.add(format!("{name}.pdf"), pdf);
                folder.add(format!("{name}.svg"), svg);
            }
        }
        Ok(folder.write(to)?)
    }

    /// The differences with the arm in the names of both sides.
    fn named(&self) -> Vec<Difference> {
        let of_arm = |arm: &crate::contrast::ComparedArm| -> Vec<Difference> {
            let mut differences = arm.differences.clone();
            for d in &mut differences {
                d.of = format!("{}: {}", d.of, arm.b.strategy);
                d.against = format!("{}: {}", d.against, arm.a.strategy);
            }
            differences
        };
        self.arms.iter().flat_map(of_arm).collect()
    }
}

/// A name as a part of a file's: what is no letter, digit, `.` or `=` becomes `-`.
pub(crate) fn as_file(name: &str) -> String {
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '=' => c,
        _ => '-',
    };
    let mut file: String = name.chars().map(plain).collect();
    while file.contains("--") {
        file = file.replace("--", "-");
    }
    file.trim_matches('-').to_owned()
}
