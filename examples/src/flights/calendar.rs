//! Times as the files write them.

const MS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since 1970 of a time like `2013-01-31T05:00:00Z`.
pub fn utc_ms(text: &str) -> Option<i64> {
    let digits = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    let valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !valid || text.get(19..) != Some("Z") {
        return None;
    }
    Some(days_since_1970(year, month, day) * MS_PER_DAY + (hour * 3_600 + minute * 60 + second) * 1_000)
}

/// A time like `2013-01-31 05:00` from milliseconds since 1970.
pub fn utc_minute(ms: i64) -> String {
    let (mut day, in_day) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY) / 60_000);
    let mut year = 1970;
    while day >= days_since_1970(year + 1, 1, 1) {
        year += 1;
    }
    while day < days_since_1970(year, 1, 1) {
        year -= 1;
    }
    let month = (1..=12).rev().find(|month| days_since_1970(year, *month, 1) <= day).unwrap_or(1);
    day -= days_since_1970(year, month, 1);
    format!("{year}-{month:02}-{:02} {:02}:{:02}", day + 1, in_day / 60, in_day % 60)
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(utc_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(utc_ms("2013-01-01T10:00:00Z"), Some(1_357_034_400_000));
        assert_eq!(utc_ms("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        for bad in [
            "",
            "2013-01-01",
            "2013-13-01T10:00:00Z",
            "2013-01-01T10:00:00+01:00",
            "2013-01-0\u{e9}T10:00:00Z",
        ] {
            assert_eq!(utc_ms(bad), None, "{bad}");
        }
        assert_eq!(utc_minute(1_357_034_400_000), "2013-01-01 10:00");
        assert_eq!(utc_minute(1_709_251_199_000), "2024-02-29 23:59");
        assert_eq!(utc_minute(-60_000), "1969-12-31 23:59");
    }
}
