//! Every pair of project and brand gets a number, in order of first appearance.

use std::collections::HashMap;

use domain::brand::BrandRole;

/// The names seen so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<String, HashMap<String, u32>>,
    series: Vec<(String, String, BrandRole)>,
}

impl Names {
    /// The number of a series; the role is that of its first row.
    pub(super) fn series(&mut self, project: &str, brand: &str, role: BrandRole) -> u32 {
        if let Some(number) = self.known.get(project).and_then(|brands| brands.get(brand)) {
            return *number;
        }
        let number =
            u32::try_from(self.series.len()).expect("fewer series than rows, which are limited");
        self.known
            .entry(project.to_owned())
            .or_default()
            .insert(brand.to_owned(), number);
        self.series
            .push((project.to_owned(), brand.to_owned(), role));
        number
    }

    /// Project, brand and role of a series.
    pub(super) fn of(&self, series: u32) -> (&str, &str, BrandRole) {
        let (project, brand, role) = &self.series[series as usize];
        (project, brand, *role)
    }
}
