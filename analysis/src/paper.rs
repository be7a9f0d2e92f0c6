//! How much paper a figure takes.
//!
//! *Assumes* journals of two columns, of 84 mm each and 178 mm together (ACM, IEEE and Elsevier lie within 4 mm of
//! that). *Guarantees* sizes in which lettering of 7 to 8 points is legible without scaling.

/// The paper that a figure takes, millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paper {
    /// Width.
    pub width_mm: i32,
    /// Height of the plot without its legend.
    pub height_mm: i32,
}

impl Paper {
    /// What a figure takes if nobody says otherwise.
    pub const PLAIN: Self = Self::new(88, 56);
    /// One column of a paper of two.
    pub const ONE_COLUMN: Self = Self::new(84, 54);
    /// Both columns.
    pub const TWO_COLUMNS: Self = Self::new(178, 76);

    const fn new(width_mm: i32, height_mm: i32) -> Self {
        Self {
            width_mm,
            height_mm,
        }
    }

    /// Entries of the legend beside one another.
    pub(crate) fn legend_columns(self) -> usize {
        if self.width_mm < 150 { 1 } else { 2 }
    }

    /// From one of them to the next.
    pub(crate) fn legend_column_mm(self) -> i32 {
        (self.width_mm - 13) / 2
    }
}
