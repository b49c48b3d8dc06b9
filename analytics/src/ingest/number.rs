//! From the text of a number to a value in the metric's unit.

use domain::mapping::{FileFormat, MetricColumn};

use super::Refusal;

/// Reads the numbers of one file.
pub(super) struct Numbers<'m> {
    format: &'m FileFormat,
}

impl<'m> Numbers<'m> {
    pub(super) fn new(format: &'m FileFormat) -> Self {
        Self { format }
    }

    /// The value; nothing for a cell that means "no value".
    pub(super) fn read(&self, text: &str, metric: &MetricColumn) -> Result<Option<f64>, Refusal> {
        if self.format.na.iter().any(|na| na == text) {
            return Ok(metric.na_value);
        }
        if let Some(level) = metric.levels.get(text) {
            return Ok(Some(*level));
        }
        let number = metric.scale.value(self.number(text)?, metric.unit) / metric.divide_by;
        if !number.is_finite() {
            return Err(Refusal::new(
                "value.not_finite",
                "is too large for a number",
            ));
        }
        if metric.min.is_some_and(|min| number < min) {
            return Err(Refusal::new(
                "value.below_minimum",
                format!(
                    "is below the smallest believable value {}",
                    metric.min.unwrap_or_default()
                ),
            ));
        }
        if metric.max.is_some_and(|max| number > max) {
            return Err(Refusal::new(
                "value.above_maximum",
                format!(
                    "is above the largest believable value {}",
                    metric.max.unwrap_or_default()
                ),
            ));
        }
        Ok(Some(number))
    }

    fn number(&self, text: &str) -> Result<f64, Refusal> {
        let FileFormat {
            decimal, thousands, ..
        } = *self.format;
        let mut rest = text;
        for mark in &self.format.strip {
            rest = rest
                .strip_prefix(mark.as_str())
                .unwrap_or(rest)
                .trim_start();
            rest = rest.strip_suffix(mark.as_str()).unwrap_or(rest).trim_end();
        }
        let wrong = || {
            Refusal::new(
                "value.not_a_number",
                format!(
                    "is not a number with the decimal mark '{decimal}': correct file.decimal, or list the text in file.na"
                ),
            )
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        let (sign, digits) = match mantissa.strip_prefix(['-', '+']) {
            Some(digits) => (if mantissa.starts_with('-') { "-" } else { "" }, digits),
            None => ("", mantissa),
        };
        let (whole, fraction) = digits.split_once(decimal).unwrap_or((digits, ""));
        let mut plain = String::with_capacity(text.len() + 1);
        plain.push_str(sign);
        match thousands.filter(|mark| whole.contains(*mark)) {
            None => plain.push_str(whole),
            Some(mark) => {
                let groups: Vec<&str> = whole.split(mark).collect();
                if groups[0].is_empty()
                    || groups[0].len() > 3
                    || groups[1..].iter().any(|g| g.len() != 3)
                {
                    return Err(Refusal::new(
                        "value.grouping",
                        format!(
                            "has '{mark}' where no thousand ends: perhaps it is the decimal mark"
                        ),
                    ));
                }
                groups.iter().for_each(|group| plain.push_str(group));
            }
        }
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !numeric(&plain[sign.len()..])
            || !numeric(fraction)
            || (whole.is_empty() && fraction.is_empty())
        {
            return Err(wrong());
        }
        if !fraction.is_empty() {
            plain.push('.');
            plain.push_str(fraction);
        }
        plain.push_str(exponent);
        plain.parse().map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> MetricColumn {
        serde_json::from_value(serde_json::json!({
            "column": "x", "key": "x", "section": "marketplace", "role": "outcome", "unit": "currency"
        }))
        .expect("a metric")
    }

    fn read(format: &FileFormat, text: &str) -> Result<Option<f64>, &'static str> {
        Numbers::new(format)
            .read(text, &metric())
            .map_err(|r| r.code)
    }

    #[test]
    fn decimal_points_and_commas_are_read_as_the_mapping_says() {
        let point = FileFormat::default();
        let comma = FileFormat {
            decimal: ',',
            thousands: Some('.'),
            ..FileFormat::default()
        };
        assert_eq!(read(&point, "-12.5"), Ok(Some(-12.5)));
        assert_eq!(read(&point, "1.5e3"), Ok(Some(1500.0)));
        assert_eq!(read(&comma, "1.234.567,25"), Ok(Some(1_234_567.25)));
        assert_eq!(read(&comma, "0,5"), Ok(Some(0.5)));
        assert_eq!(read(&point, "0,5"), Err("value.not_a_number"));
    }

    #[test]
    fn a_misplaced_thousands_mark_is_never_swallowed() {
        let comma = FileFormat {
            decimal: ',',
            thousands: Some('.'),
            ..FileFormat::default()
        };
        for text in ["12.5", "1234.567", ".500", "1..000"] {
            assert_eq!(read(&comma, text), Err("value.grouping"), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "abc", "-", ".", "1 000", "NaN", "inf", "0x10", "1.2.3", "１２",
        ] {
            assert!(read(&FileFormat::default(), text).is_err(), "{text}");
        }
        assert_eq!(
            read(&FileFormat::default(), "1e999"),
            Err("value.not_finite")
        );
    }

    #[test]
    fn currency_signs_are_cut_off_and_micros_scaled() {
        let format = FileFormat {
            strip: vec!["€".into(), "%".into()],
            ..FileFormat::default()
        };
        assert_eq!(read(&format, "€ 12.50"), Ok(Some(12.5)));
        assert_eq!(read(&format, "7 %"), Ok(Some(7.0)));
        let micros = MetricColumn {
            divide_by: 1e6,
            ..metric()
        };
        assert_eq!(
            Numbers::new(&format)
                .read("5339500000", &micros)
                .map_err(|r| r.code),
            Ok(Some(5339.5))
        );
    }

    #[test]
    fn absent_values_levels_and_bounds_follow_the_metric() {
        let format = FileFormat {
            na: vec![String::new(), "na".into()],
            ..FileFormat::default()
        };
        let numbers = Numbers::new(&format);
        let mut metric = metric();
        assert_eq!(numbers.read("na", &metric).map_err(|r| r.code), Ok(None));
        metric.na_value = Some(0.0);
        metric.levels.insert("event1".into(), 1.0);
        metric.min = Some(0.0);
        metric.max = Some(10.0);
        assert_eq!(
            numbers.read("na", &metric).map_err(|r| r.code),
            Ok(Some(0.0))
        );
        assert_eq!(
            numbers.read("event1", &metric).map_err(|r| r.code),
            Ok(Some(1.0))
        );
        assert_eq!(
            numbers.read("-1", &metric).map_err(|r| r.code),
            Err("value.below_minimum")
        );
        assert_eq!(
            numbers.read("11", &metric).map_err(|r| r.code),
            Err("value.above_maximum")
        );
    }
}
