//! Proxies that start while the control plane is silent: from their volume, by names, and with a name server that answers late or not
//! at all.

use std::time::Duration;

use swarmgate::proxy::check;
use tokio::time::Instant;

use crate::silence_fixture::{HOST, LIMIT, SLACK, SilenceFixture, check_answers};
use crate::stage::{eventually, on_stage};
use crate::traffic::{SteadyLoad, get};

/// Longer than the agent waits for an answer from Docker.
const SLOW_ANSWER: Duration = Duration::from_millis(800);

impl SilenceFixture<'_> {
    /// Runs a proxy once, then leaves only the task and the name server running.
    async fn left_alone(self) -> Self {
        let (extension, proxy) = self.serve(LIMIT).await;
        eventually("the volume is written", || self.stage.saved_state()).await;
        proxy.drain().await;
        extension.stop().await;
        self.stage.stop_operator().await;
        self
    }
}

#[test]
fn a_proxy_starts_with_names_when_only_the_extension_answers() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        let (_, proxy) = scene.serve(LIMIT).await;
        proxy.drain().await;
        scene.stage.blind_operator();
        tokio::time::sleep(LIMIT + Duration::from_secs(1)).await;
        let (_second, _other_service) = scene.replace_task_by_another_service().await;
        scene.stage.start_proxy();
        scene.until_source("names", SLACK).await;
        scene.stage.until_answer(HOST, "own").await;
        scene.stage.stop_operator().await;
    });
}

#[test]
fn a_proxy_that_starts_by_name_accepts_requests_once_names_resolve() {
    on_stage(async |stage| {
        let scene = SilenceFixture::with_answers_after(stage, SLOW_ANSWER).await.left_alone().await;
        scene.stage.age_saved_state(LIMIT * 2);
        scene.stage.start_proxy();
        let began = Instant::now();
        let first = loop {
            match get(scene.stage.http(), HOST, "/").await {
                // An engine that only tests a configuration also listens for a moment.
                Err(message) if message.contains("ConnectionRefused") || message.contains("ConnectionReset") => {
                    assert!(began.elapsed() < Duration::from_secs(30), "the proxy never accepted requests");
                    assert!(check(scene.stage.health()).await.is_err(), "the proxy is healthy but accepts no requests");
                }
                answered => break answered,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(first.as_deref(), Ok("own"));
        scene.check_answers_for(Duration::from_secs(2)).await;
        assert_eq!(scene.source().await, "names of the volume");
    });
}

#[test]
fn a_silent_name_server_delays_startup_only_for_a_while() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await.left_alone().await;
        scene.stage.age_saved_state(LIMIT * 2);
        let known = std::mem::take(&mut *scene.names.lock().unwrap());
        scene.stage.start_proxy();
        scene.until_source("names of the volume", Duration::from_secs(30)).await;
        *scene.names.lock().unwrap() = known;
        scene.stage.until_answer(HOST, "own").await;
    });
}

#[test]
fn a_proxy_started_from_its_volume_switches_to_names_without_losing_requests() {
    on_stage(async |stage| {
        let scene = SilenceFixture::with_answers_after(stage, SLOW_ANSWER).await.left_alone().await;
        scene.stage.start_proxy();
        scene.until_source("volume", LIMIT).await;
        let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
        scene.until_source("names", LIMIT + SLACK).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        check_answers(&load.finish().await);
    });
}
