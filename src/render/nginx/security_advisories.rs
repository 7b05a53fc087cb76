//! Which published security advisories affect a version of the engine. A table of facts, from nginx's own list of advisories
//! as of 2026-07-22, except for mail and Windows, which do not apply here. It never guesses: unknown versions produce no
//! finding.

use crate::render::Vulnerabilities;

/// A version: 1, 31, 3.
type Version = (u16, u16, u16);

/// The published data about one vulnerability.
struct Advisory {
    cve: &'static str,
    /// The range of affected versions, both ends included, whatever the branch.
    vulnerable: &'static [(Version, Version)],
    /// The first fixed versions of their branches.
    fixed: &'static [Version],
}

/// Since 2021, newest first.
#[rustfmt::skip]
const ADVISORIES: &[Advisory] = &[
    Advisory { cve: "CVE-2026-42533", vulnerable: &[((0, 9, 6), (1, 31, 2))], fixed: &[(1, 31, 3), (1, 30, 4)] },
    Advisory { cve: "CVE-2026-60005", vulnerable: &[((1, 15, 8), (1, 31, 2))], fixed: &[(1, 31, 3), (1, 30, 4)] },
    Advisory { cve: "CVE-2026-56434", vulnerable: &[((0, 8, 11), (1, 31, 2))], fixed: &[(1, 31, 3), (1, 30, 4)] },
    Advisory { cve: "CVE-2026-42530", vulnerable: &[((1, 31, 0), (1, 31, 1))], fixed: &[(1, 31, 2)] },
    Advisory { cve: "CVE-2026-42055", vulnerable: &[((1, 13, 10), (1, 31, 1))], fixed: &[(1, 31, 2), (1, 30, 3)] },
    Advisory { cve: "CVE-2026-48142", vulnerable: &[((0, 3, 50), (1, 31, 1))], fixed: &[(1, 31, 2), (1, 30, 3)] },
    Advisory { cve: "CVE-2026-9256", vulnerable: &[((0, 1, 17), (1, 31, 0))], fixed: &[(1, 31, 1), (1, 30, 2)] },
    Advisory { cve: "CVE-2026-42926", vulnerable: &[((1, 29, 4), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-42945", vulnerable: &[((0, 6, 27), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-42946", vulnerable: &[((0, 8, 42), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-42934", vulnerable: &[((0, 3, 50), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-40460", vulnerable: &[((1, 25, 0), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-40701", vulnerable: &[((1, 19, 0), (1, 30, 0))], fixed: &[(1, 31, 0), (1, 30, 1)] },
    Advisory { cve: "CVE-2026-27654", vulnerable: &[((0, 5, 13), (1, 29, 6))], fixed: &[(1, 29, 7), (1, 28, 3)] },
    Advisory { cve: "CVE-2026-27784", vulnerable: &[((1, 1, 19), (1, 29, 6))], fixed: &[(1, 29, 7), (1, 28, 3)] },
    Advisory { cve: "CVE-2026-32647", vulnerable: &[((1, 1, 19), (1, 29, 6))], fixed: &[(1, 29, 7), (1, 28, 3)] },
    Advisory { cve: "CVE-2026-28755", vulnerable: &[((1, 27, 2), (1, 29, 6))], fixed: &[(1, 29, 7), (1, 28, 3)] },
    Advisory { cve: "CVE-2026-1642", vulnerable: &[((1, 3, 0), (1, 29, 4))], fixed: &[(1, 29, 5), (1, 28, 2)] },
    Advisory { cve: "CVE-2025-23419", vulnerable: &[((1, 11, 4), (1, 27, 3))], fixed: &[(1, 27, 4), (1, 26, 3)] },
    Advisory { cve: "CVE-2024-7347", vulnerable: &[((1, 5, 13), (1, 27, 0))], fixed: &[(1, 27, 1), (1, 26, 2)] },
    Advisory { cve: "CVE-2024-32760", vulnerable: &[((1, 25, 0), (1, 25, 5)), ((1, 26, 0), (1, 26, 0))], fixed: &[(1, 27, 0), (1, 26, 1)] },
    Advisory { cve: "CVE-2024-31079", vulnerable: &[((1, 25, 0), (1, 25, 5)), ((1, 26, 0), (1, 26, 0))], fixed: &[(1, 27, 0), (1, 26, 1)] },
    Advisory { cve: "CVE-2024-35200", vulnerable: &[((1, 25, 0), (1, 25, 5)), ((1, 26, 0), (1, 26, 0))], fixed: &[(1, 27, 0), (1, 26, 1)] },
    Advisory { cve: "CVE-2024-34161", vulnerable: &[((1, 25, 0), (1, 25, 5)), ((1, 26, 0), (1, 26, 0))], fixed: &[(1, 27, 0), (1, 26, 1)] },
    Advisory { cve: "CVE-2024-24989", vulnerable: &[((1, 25, 3), (1, 25, 3))], fixed: &[(1, 25, 4)] },
    Advisory { cve: "CVE-2024-24990", vulnerable: &[((1, 25, 0), (1, 25, 3))], fixed: &[(1, 25, 4)] },
    Advisory { cve: "CVE-2022-41741", vulnerable: &[((1, 1, 3), (1, 23, 1)), ((1, 0, 7), (1, 0, 15))], fixed: &[(1, 23, 2), (1, 22, 1)] },
    Advisory { cve: "CVE-2022-41742", vulnerable: &[((1, 1, 3), (1, 23, 1)), ((1, 0, 7), (1, 0, 15))], fixed: &[(1, 23, 2), (1, 22, 1)] },
    Advisory { cve: "CVE-2021-23017", vulnerable: &[((0, 6, 18), (1, 20, 0))], fixed: &[(1, 21, 0), (1, 20, 1)] },
];

/// The published vulnerabilities of the engine that reports this version (`nginx/1.29.3`); `None` if none are known here, or
/// if it is not nginx.
pub fn vulnerabilities(engine: &str) -> Option<Vulnerabilities> {
    let version = read(engine)?;
    let concerned: Vec<&Advisory> = ADVISORIES.iter().filter(|advisory| concerns(advisory, version)).collect();
    let fixed: Vec<Version> = concerned.iter().flat_map(|advisory| advisory.fixed).copied().collect();
    let newest = |odd: u16| fixed.iter().filter(|version| version.1 % 2 == odd).max();
    let fixed_in = [newest(1), newest(0)].into_iter().flatten().map(|(a, b, c)| format!("{a}.{b}.{c}")).collect();
    (!concerned.is_empty()).then(|| Vulnerabilities { cves: concerned.iter().map(|advisory| advisory.cve).collect(), fixed_in })
}

/// A version in the range is not affected if its own branch was fixed.
fn concerns(advisory: &Advisory, version: Version) -> bool {
    let (major, minor, patch) = version;
    let mended = advisory.fixed.iter().any(|fixed| (fixed.0, fixed.1) == (major, minor) && patch >= fixed.2);
    !mended && advisory.vulnerable.iter().any(|(from, to)| (*from..=*to).contains(&version))
}

/// Parses `nginx/1.31.3`, with or without text around it.
fn read(engine: &str) -> Option<Version> {
    let word = engine.split_whitespace().find_map(|word| word.strip_prefix("nginx/"))?;
    let mut parts = word.split('.').map(str::parse);
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (Ok(major), Ok(minor), Ok(patch), None) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vulnerabilities_are_reported_only_for_affected_versions() {
        for (engine, newest, count, fixed_in) in [
            ("nginx/1.31.3", None, 0, &[][..]),
            ("nginx/1.30.4", None, 0, &[]),
            ("nginx/1.31.4", None, 0, &[]),
            ("nginx/1.33.0", None, 0, &[]),
            ("nginx/2.0.0", None, 0, &[]),
            ("nginx version: nginx/1.31.2", Some("CVE-2026-42533"), 3, &["1.31.3", "1.30.4"]),
            ("nginx/1.31.1 (built by somebody)", Some("CVE-2026-42533"), 6, &["1.31.3", "1.30.4"]),
            ("nginx/1.30.3", Some("CVE-2026-42533"), 3, &["1.31.3", "1.30.4"]),
            ("nginx/1.30.1", Some("CVE-2026-42533"), 6, &["1.31.3", "1.30.4"]),
            ("nginx/1.29.8", Some("CVE-2026-42533"), 12, &["1.31.3", "1.30.4"]),
            ("nginx/1.28.3", Some("CVE-2026-42533"), 11, &["1.31.3", "1.30.4"]),
            ("openresty/1.25.3.1", None, 0, &[]),
            ("nginx/1.25.3.1", None, 0, &[]),
            ("nginx", None, 0, &[]),
            ("", None, 0, &[]),
        ] {
            let faults = vulnerabilities(engine);
            let found = faults.as_ref().map_or((None, 0, Vec::new()), |f| (f.cves.first().copied(), f.cves.len(), f.fixed_in.clone()));
            assert_eq!(found, (newest, count, fixed_in.iter().map(|v| (*v).to_owned()).collect()), "{engine}: {faults:?}");
        }
    }

    #[test]
    fn an_advisory_does_not_apply_to_versions_with_the_fix() {
        for advisory in ADVISORIES {
            for fixed in advisory.fixed {
                assert!(!concerns(advisory, *fixed), "{} at {fixed:?}", advisory.cve);
            }
            for (from, to) in advisory.vulnerable {
                assert!(from <= to && concerns(advisory, *from) && concerns(advisory, *to), "{}", advisory.cve);
            }
        }
    }
}
