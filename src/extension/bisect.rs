//! Finds the parts that an engine refuses, by testing ever smaller sets. Knows neither tables nor engines; the number of tests is
//! bounded.

use std::collections::BTreeSet;
use std::future::Future;

/// One refused part among five thousand takes thirty tests; more than this means many refused parts.
const TESTS_MAX: usize = 200;

/// The refused parts among `suspects`, each with the engine's message. `refusal` returns why the engine refuses everything but the given
/// parts. `None`: it refuses even without all of them, or too many parts are refused.
pub(super) async fn find<P, E, F, A>(suspects: BTreeSet<P>, mut refusal: F) -> Result<Option<Vec<(P, String)>>, E>
where
    P: Ord + Clone,
    F: FnMut(BTreeSet<P>) -> A,
    A: Future<Output = Result<Option<String>, E>>,
{
    if suspects.is_empty() || refusal(suspects.clone()).await?.is_some() {
        return Ok(None);
    }
    let mut left_out = suspects.clone();
    let mut untried = vec![suspects.into_iter().collect::<Vec<P>>()];
    let mut refused = Vec::new();
    for _ in 0..TESTS_MAX {
        let Some(mut chunk) = untried.pop() else { return Ok(Some(refused)) };
        // Accepted parts stay in, so that one is found of parts that are refused only in combination.
        let rest: BTreeSet<P> = left_out.iter().filter(|part| chunk.binary_search(part).is_err()).cloned().collect();
        match refusal(rest.clone()).await? {
            None => left_out = rest,
            Some(message) if chunk.len() == 1 => refused.extend(chunk.pop().map(|part| (part, message))),
            Some(_) => {
                let second = chunk.split_off(chunk.len() / 2);
                untried.extend([second, chunk]);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// An engine that refuses whatever is in `bad`, or both of a pair, among the numbers below `all`.
    async fn check(all: u32, bad: &[u32], pair: Option<(u32, u32)>, expected: Option<&[u32]>, tests_max: usize) {
        let tests_run = Cell::new(0);
        let found = find((0..all).collect(), |left_out: BTreeSet<u32>| {
            tests_run.set(tests_run.get() + 1);
            let is_in = |number: &u32| !left_out.contains(number);
            let alone = bad.iter().find(|number| is_in(number)).map(|number| format!("about {number}"));
            let together = pair.filter(|(a, b)| is_in(a) && is_in(b)).map(|_| "about two".to_owned());
            async move { Ok::<_, Infallible>(alone.or(together)) }
        });
        let Ok(found) = found.await;
        let numbers = found.as_ref().map(|found| found.iter().map(|(number, _)| *number).collect::<Vec<_>>());
        assert_eq!(numbers.as_deref(), expected);
        assert!(found.into_iter().flatten().all(|(number, message)| message == format!("about {number}") || message == "about two"));
        assert!(tests_run.get() <= tests_max, "{} tests", tests_run.get());
    }

    #[tokio::test]
    async fn rejected_parts_are_found_with_few_tests() {
        check(5000, &[17], None, Some(&[17]), 30).await;
        check(5000, &[0, 2500, 4999], None, Some(&[0, 2500, 4999]), 90).await;
        check(1, &[0], None, Some(&[0]), 2).await;
    }

    #[tokio::test]
    async fn one_of_two_parts_that_are_rejected_together_is_found() {
        check(100, &[], Some((3, 90)), Some(&[90]), 20).await;
    }

    #[tokio::test]
    async fn nothing_is_found_if_no_suspect_or_every_suspect_is_the_cause() {
        check(0, &[], None, None, 0).await;
        // Number 100 is not a suspect.
        check(100, &[100], None, None, 1).await;
        let all_of_them: Vec<u32> = (0..1000).collect();
        check(1000, &all_of_them, None, None, 1 + TESTS_MAX).await;
    }
}
