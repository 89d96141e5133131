//! Date and time as records write them, and their parts.
//!
//! Reads ISO 8601 with or without `T`, fraction and zone, and Unix seconds or milliseconds. Zones are not converted:
//! Sigma's time modifiers take a date as it stands.

/// A part of a date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// A date and time, parts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
}

impl Part {
    /// The part of the date and time that `text` is.
    pub(crate) fn of(self, text: &str) -> Option<i128> {
        let date = Date::parse(text)?;
        Some(i128::from(match self {
            Self::Minute => date.minute,
            Self::Hour => date.hour,
            Self::Day => date.day,
            Self::Week => date.week(),
            Self::Month => date.month,
            Self::Year => date.year,
        }))
    }
}

/// Unix milliseconds of a date and time; without a zone it is UTC.
pub(crate) fn unix_ms(text: &str) -> Option<u64> {
    let date = Date::parse(text)?;
    let seconds =
        date.days().checked_mul(86_400)?.checked_add(date.hour * 3600 + date.minute * 60 + date.second)?;
    let at_ms = seconds.checked_mul(1000)?.checked_add(date.millisecond)?;
    u64::try_from(at_ms.checked_sub(zone_minutes(text) * 60_000)?).ok()
}

/// `2026-01-02 03:04:05.678`, UTC.
pub(crate) fn utc(at_ms: u64) -> String {
    let Date { year, month, day, hour, minute, second, millisecond } = Date::from_unix_ms(at_ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millisecond:03}")
}

impl Date {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(number) = text.parse::<u64>().ok().filter(|number| *number >= 100_000_000) {
            // Seconds from 1973 until the year 5138, milliseconds after.
            return Some(Self::from_unix_ms(if number < 100_000_000_000 {
                number.saturating_mul(1000)
            } else {
                number
            }));
        }
        let (day, time) = text.split_at_checked(10)?;
        let mut parts = day.split(['-', '/']).map(digits);
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let mut date = Self { year, month, day, hour: 0, minute: 0, second: 0, millisecond: 0 };
        if let Some(time) = time.strip_prefix(['T', 't', ' ']) {
            let end = time.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(time.len());
            let mut parts = time.get(..end)?.split(':');
            date.hour = digits(parts.next()?)?;
            date.minute = digits(parts.next()?)?;
            if let Some(seconds) = parts.next() {
                let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
                date.second = digits(whole)?;
                let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
                date.millisecond = digits(&fraction)?;
            }
        } else if !time.is_empty() {
            return None;
        }
        let is_valid = (1..=12).contains(&date.month)
            && (1..=31).contains(&date.day)
            && date.hour < 24
            && date.minute < 60
            && date.second < 61;
        is_valid.then_some(date)
    }

    fn from_unix_ms(at_ms: u64) -> Self {
        let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
        let (days, of_day) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000));
        // Days since 0000-03-01, counted in eras of 400 years: a year that begins in March ends with the leap day.
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march = (5 * of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * march + 2) / 5 + 1,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
        }
    }

    /// Days since 1970-01-01.
    fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march = (self.month + 9) % 12;
        let of_year = (153 * march + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }

    /// Week by ISO 8601: the one with the year's first Thursday is the first.
    fn week(self) -> i64 {
        // 1970-01-01 was a Thursday; the week of a day is that of its Thursday.
        let thursday = self.days() - (self.days() + 3).rem_euclid(7) + 3;
        let year = Self::from_unix_ms(u64::try_from(thursday).unwrap_or(0).saturating_mul(86_400_000)).year;
        let first = Self { year, month: 1, day: 1, hour: 0, minute: 0, second: 0, millisecond: 0 };
        (thursday - first.days()) / 7 + 1
    }
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// Minutes that the zone at the end is ahead of UTC.
fn zone_minutes(text: &str) -> i64 {
    let Some(time) = text.trim().get(10..) else { return 0 };
    let Some(at) = time.rfind(['+', '-']) else { return 0 };
    let (_, zone) = time.split_at(at);
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let (Some(hours), Some(minutes)) = (digits.get(..2), digits.get(2..).or(Some("0"))) else { return 0 };
    let minutes =
        hours.parse::<i64>().unwrap_or(0) * 60 + minutes.get(..2).unwrap_or("0").parse::<i64>().unwrap_or(0);
    if zone.starts_with('-') { -minutes } else { minutes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_date_are_those_that_are_written() {
        for text in ["2026-11-25T02:06:18Z", "2026-11-25 02:06:18.123", "2026-11-25T02:06:18+08:00"] {
            let parts: Vec<_> = [Part::Minute, Part::Hour, Part::Day, Part::Week, Part::Month, Part::Year]
                .iter()
                .map(|part| part.of(text).unwrap())
                .collect();
            assert_eq!(parts, [6, 2, 25, 48, 11, 2026], "{text}");
        }
        assert_eq!(Part::Year.of("1764036378"), Some(2025));
        for text in ["", "2026", "2026-13-01", "yesterday at 5", "2026-01-01x"] {
            assert_eq!(Part::Year.of(text), None, "{text}");
        }
    }

    #[test]
    fn weeks_are_those_of_iso_8601_at_the_turn_of_the_year() {
        for (text, week) in
            [("2026-01-01", 1), ("2027-01-01", 53), ("2024-12-30", 1), ("2023-01-01", 52), ("2026-12-28", 53)]
        {
            assert_eq!(Part::Week.of(text), Some(week), "{text}");
        }
    }

    #[test]
    fn a_time_is_read_back_as_it_was_written() {
        for at_ms in [0, 951_782_400_000, 1_764_036_378_123, 4_102_444_799_999] {
            assert_eq!(unix_ms(&utc(at_ms)), Some(at_ms));
        }
        assert_eq!(unix_ms("2026-11-25T10:00:00+08:00"), unix_ms("2026-11-25T02:00:00Z"));
    }
}
