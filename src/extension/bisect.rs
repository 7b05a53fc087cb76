//! Finds the parts that an engine refuses, by asking it about ever smaller sets. Knows neither tables nor engines; the
//! number of questions is bounded.

use std::collections::BTreeSet;
use std::future::Future;

/// One culprit among five thousand takes thirty questions; whoever needs more than this has many.
const QUESTIONS_MAX: usize = 200;

/// The culprits among `suspects`, each with the engine's words about it. `refusal` says what the engine has against
/// everything but the given ones. None: even without all of them it refuses, or there are too many to be told apart.
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
    let mut culprits = Vec::new();
    for _ in 0..QUESTIONS_MAX {
        let Some(mut chunk) = untried.pop() else { return Ok(Some(culprits)) };
        // What was found good stays in, so that of parts that only refuse each other's company one is to blame.
        let rest: BTreeSet<P> = left_out.iter().filter(|part| chunk.binary_search(part).is_err()).cloned().collect();
        match refusal(rest.clone()).await? {
            None => left_out = rest,
            Some(words) if chunk.len() == 1 => culprits.extend(chunk.pop().map(|part| (part, words))),
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
    async fn check(all: u32, bad: &[u32], pair: Option<(u32, u32)>, expected: Option<&[u32]>, questions_max: usize) {
        let asked = Cell::new(0);
        let found = find((0..all).collect(), |left_out: BTreeSet<u32>| {
            asked.set(asked.get() + 1);
            let is_in = |number: &u32| !left_out.contains(number);
            let alone = bad.iter().find(|number| is_in(number)).map(|number| format!("about {number}"));
            let together = pair.filter(|(a, b)| is_in(a) && is_in(b)).map(|_| "about two".to_owned());
            async move { Ok::<_, Infallible>(alone.or(together)) }
        });
        let Ok(found) = found.await;
        let numbers = found.as_ref().map(|found| found.iter().map(|(number, _)| *number).collect::<Vec<_>>());
        assert_eq!(numbers.as_deref(), expected);
        assert!(found.into_iter().flatten().all(|(number, words)| words == format!("about {number}") || words == "about two"));
        assert!(asked.get() <= questions_max, "{} questions", asked.get());
    }

    #[tokio::test]
    async fn the_culprits_are_found_with_few_questions() {
        check(5000, &[17], None, Some(&[17]), 30).await;
        check(5000, &[0, 2500, 4999], None, Some(&[0, 2500, 4999]), 90).await;
        check(1, &[0], None, Some(&[0]), 2).await;
    }

    #[tokio::test]
    async fn of_two_that_refuse_each_other_one_is_to_blame() {
        check(100, &[], Some((3, 90)), Some(&[90]), 20).await;
    }

    #[tokio::test]
    async fn what_is_nobody_s_fault_or_everybody_s_is_not_found() {
        check(0, &[], None, None, 0).await;
        // Number 100 is none of the suspects.
        check(100, &[100], None, None, 1).await;
        let everybody: Vec<u32> = (0..1000).collect();
        check(1000, &everybody, None, None, 1 + QUESTIONS_MAX).await;
    }
}
