//! Quantities in human notation: durations, sizes, CPUs. One grammar for documents and labels. Never guesses a unit: a number
//! without a unit is rejected where two units would be plausible.

use std::time::Duration;

use crate::types::InvalidValue;

/// Longer durations are most likely a wrong unit, and would exceed what Swarm and the engines store.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const DURATION_RULE: &str = "a duration must be one or more numbers with a unit (ms, s, m, h), at most a year in total";
const SIZE_RULE: &str = "a size must be a whole number, optionally followed by k, m or g for multiples of 1024";
const CPUS_RULE: &str = "CPUs must be a number above 0 with at most nine decimals";

/// Reads `10s`, `1m30s`, `1.5h`, `500ms` or a bare `0`.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidValue> {
    let refused = || InvalidValue(DURATION_RULE.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(refused());
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (part, after) = duration_part(rest).ok_or_else(refused)?;
        total = total.checked_add(part).filter(|sum| *sum <= DURATION_MAX).ok_or_else(refused)?;
        rest = after;
    }
    Ok(total)
}

/// One number with its unit, and the rest of the text.
fn duration_part(text: &str) -> Option<(Duration, &str)> {
    let number_len = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, rest) = text.split_at(number_len);
    let unit_len = rest.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
    let (unit, rest) = (rest.get(..unit_len)?, rest.get(unit_len..)?);
    let unit_nanos: u64 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    };
    let nanos = scaled(number, unit_nanos)?;
    Some((Duration::from_nanos(u64::try_from(nanos).ok()?), rest))
}

/// Reads a size in bytes: `8k`, `32m`, `1g`, `64M`, `64MiB`, `1048576`. The unit is always a power of 1024, as nginx and
/// Docker's own tools read it.
pub fn parse_size(text: &str) -> Result<u64, InvalidValue> {
    let refused = || InvalidValue(SIZE_RULE.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    // Swarm stores amounts as signed numbers; larger amounts are a mistake elsewhere, too.
    number.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(refused)
}

/// Reads memory for a Swarm resource: a size of at least 4 MiB, below which Swarm rejects the service.
pub fn parse_memory(text: &str) -> Result<i64, InvalidValue> {
    let bytes = i64::try_from(parse_size(text)?).map_err(|_| InvalidValue(SIZE_RULE.to_owned()))?;
    if bytes < 4 << 20 { Err(InvalidValue("memory must be at least 4 MiB, because Swarm rejects less".to_owned())) } else { Ok(bytes) }
}

/// Reads CPUs as billionths of one: `0.5`, `2`. At least 0.001, below which Swarm rejects the service.
pub fn parse_cpus(text: &str) -> Result<i64, InvalidValue> {
    let nanos =
        scaled(text, 1_000_000_000).and_then(|nanos| i64::try_from(nanos).ok()).ok_or_else(|| InvalidValue(CPUS_RULE.to_owned()))?;
    if nanos < 1_000_000 { Err(InvalidValue("CPUs must be at least 0.001, because Swarm rejects less".to_owned())) } else { Ok(nanos) }
}

/// A decimal number times `factor`, exactly; decimals below one unit are truncated.
fn scaled(number: &str, factor: u64) -> Option<u128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.len() <= 18 && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(decimals) {
        return None;
    }
    let unit = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let digits = whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(decimals.parse::<u128>().ok()?)?;
    Some(digits.checked_mul(u128::from(factor))? / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duration_ms(text: &str) -> Option<u128> {
        parse_duration(text).ok().map(|duration| duration.as_millis())
    }

    #[test]
    fn the_parts_of_a_duration_are_added_up() {
        let cases =
            [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("1.5h", 5_400_000), ("0", 0), ("0s", 0), ("8760h", 31_536_000_000)];
        for (text, expected) in cases {
            assert_eq!(duration_ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn durations_without_a_unit_or_out_of_range_are_rejected() {
        for text in ["", "10", "s", "ten", "-1s", "1s ", "1d", "9000h", "99999999999999999999s", "1..5s", ".5s", "1µ", "1é"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn size_units_are_powers_of_1024_in_every_spelling() {
        for (text, expected) in [("0", 0), ("8k", 8192), ("64M", 64 << 20), ("64MiB", 64 << 20), ("1gb", 1 << 30), ("7", 7), ("7b", 7)] {
            assert_eq!(parse_size(text).ok(), Some(expected), "{text}");
        }
        for text in ["", "k", "1.5g", "1t", "-1", "99999999999999999999", "9223372036854775807k", "1 k", "1é"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn resources_below_the_minimum_of_swarm_are_rejected() {
        assert_eq!(parse_cpus("0.5").ok(), Some(500_000_000));
        assert_eq!(parse_cpus("2").ok(), Some(2_000_000_000));
        assert_eq!(parse_memory("4m").ok(), Some(4 << 20));
        assert!(parse_cpus("0.0001").is_err() && parse_cpus("0").is_err() && parse_cpus("1e3").is_err() && parse_cpus("half").is_err());
        assert!(parse_memory("3m").is_err());
    }
}
