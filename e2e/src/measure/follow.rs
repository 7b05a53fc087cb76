//! How long after a task's RUNNING the first request through the proxy succeeds.

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

use super::{Ingress, median, random_share};
use crate::testbed::{HttpCall, Testbed};
use crate::wait::eventually;

/// The longest random pause before a service is created: longer than the period of any measured poller.
const PHASE_MAX: Duration = Duration::from_secs(3);
/// The pause between two requests while waiting for the first success: the resolution of the result.
const STEP: Duration = Duration::from_millis(10);

/// Creates and removes `runs` services one after the other. For each, prints the time from Swarm's own time stamp of the task's
/// RUNNING (the same clock: all nodes are on this machine) to the first 200.
pub fn follow(testbed: &Testbed, ingress: &Ingress, runs: usize) -> Result<()> {
    let mut times = Vec::new();
    for run in 0..runs {
        thread::sleep(PHASE_MAX.mul_f64(random_share()));
        let took = one(testbed, ingress, run)?;
        println!("run {run}: first 200 {:.3} s after RUNNING", took.as_secs_f64());
        times.push(took);
    }
    let middle = median(&mut times);
    let (least, most) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    println!("{ingress:?}: RUNNING to first 200, {runs} runs: median {middle:.3?}, least {least:.3?}, most {most:.3?}");
    Ok(())
}

fn one(testbed: &Testbed, ingress: &Ingress, run: usize) -> Result<Duration> {
    let (name, host) = (format!("follow{run}"), format!("follow{run}.test"));
    let mut args = vec!["--network".to_owned(), "measured".to_owned()];
    args.extend(ingress.labels(&name, &host));
    args.push("demo-app:v1".to_owned());
    testbed.create(&name, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
    let call = HttpCall::get(&ingress.address(testbed), &host, "/").patience(Duration::from_secs(2));
    let deadline = SystemTime::now() + Duration::from_secs(60);
    while !call.send().is_ok_and(|answer| answer.status == 200) {
        ensure!(SystemTime::now() < deadline, "{host} never answered 200");
        thread::sleep(STEP);
    }
    let answered = SystemTime::now();
    let task = testbed.await_running(&name, 1)?.remove(0);
    let running = task["Status"]["Timestamp"].as_str().context("the task has no time stamp")?;
    let running: SystemTime = running.parse::<jiff::Timestamp>().with_context(|| format!("read {running}"))?.into();
    testbed.docker(&["service", "rm", &name])?;
    eventually(Duration::from_secs(60), &format!("{host} is gone"), || {
        ensure!(call.send()?.status != 200, "still answers");
        Ok(())
    })?;
    Ok(answered.duration_since(running).unwrap_or_default())
}
