//! What becomes of samples: a median and a percentile. Pure.

/// The middle of the samples, or of the two in the middle; none where there is no sample.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The smallest sample that at least `percent` of a hundred samples do not exceed; none where there is no sample.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> Option<f64> {
    let sorted = sorted(samples);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_book() {
        assert_eq!(median(&[]), None, "nothing was measured");
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0), "the middle, in whatever order they came");
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5), "between the two in the middle");
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 95), Some(95.0), "95 of a hundred do not exceed it");
        assert_eq!(percentile(&[7.0, 9.0], 95), Some(9.0), "of two it is the larger");
        assert_eq!(percentile(&[], 95), None, "nothing was measured");
    }
}
