//! How the endpoints behave under overload.

use axum::body::Body;
use futures::future::{join_all, poll_immediate};
use tower_service::Service as _;

use super::*;
use crate::http_server::Transport;
use crate::report::OperatorStatus;

/// Queries are never answered; the status counts how often it was computed.
#[derive(Default)]
struct Slow(std::sync::atomic::AtomicU64);

#[async_trait]
impl StatusSource for Slow {
    fn status(&self) -> StatusReport {
        let made = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let operator = OperatorStatus {
            version: "1".to_owned(),
            instance: "i".to_owned(),
            last_snapshot_at: None,
            snapshot_error: None,
            events_alive: true,
            writes_total: made,
        };
        let generated_at = jiff::Timestamp::UNIX_EPOCH;
        StatusReport { api_version: "v".to_owned(), generated_at, operator, clusters: [].into(), findings: Vec::new() }
    }
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
    async fn plan(&self) -> Result<QueryResponse, String> {
        std::future::pending().await
    }
    async fn explain(&self, _: ExplainQuery) -> Result<QueryResponse, QueryFailure> {
        std::future::pending().await
    }
    async fn render(&self, _: RenderQuery) -> Result<QueryResponse, QueryFailure> {
        std::future::pending().await
    }
    async fn snapshot(&self) -> Result<Bytes, String> {
        std::future::pending().await
    }
}

fn request(path: &str) -> Request {
    let mut request = Request::builder().uri(path).header("host", "localhost").body(Body::empty()).unwrap();
    let address = Some("127.0.0.1:1".parse().unwrap());
    request.extensions_mut().insert(Peer { address, transport: Transport::Tcp, certificates: Arc::new([]) });
    request
}

async fn get(router: &Router, path: &str) -> Response {
    router.clone().call(request(path)).await.unwrap()
}

#[tokio::test]
async fn excess_queries_are_rejected_while_monitoring_continues() {
    let router = router(Arc::new(Slow::default()), None, Access::default());
    let paths = ["/plan", "/explain?url=http://x/", "/render", "/snapshot"];
    let mut waiting = Box::pin(join_all((0..QUESTIONS_MAX).map(|number| get(&router, paths[number % 4]))));
    assert!(poll_immediate(waiting.as_mut()).await.is_none(), "all queries are waiting");
    for path in paths {
        let busy = get(&router, path).await;
        assert_eq!(
            (busy.status(), &busy.headers()[header::RETRY_AFTER]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from_static("1"))
        );
    }
    for path in ["/healthz", "/readyz", "/status", "/"] {
        assert_eq!(get(&router, path).await.status(), StatusCode::OK, "{path}");
    }
    drop(waiting);
    let mut next = Box::pin(get(&router, "/plan"));
    assert!(poll_immediate(next.as_mut()).await.is_none(), "there is capacity again");
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_status() {
    let source = Arc::new(Slow::default());
    let router = router(source.clone(), None, Access::default());
    for _ in 0..50 {
        assert_eq!(get(&router, "/status").await.status(), StatusCode::OK);
        assert_eq!(get(&router, "/").await.status(), StatusCode::OK);
    }
    assert_eq!(source.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    tokio::time::advance(STATUS_EVERY).await;
    let newer = axum::body::to_bytes(get(&router, "/status").await.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&newer).contains("\"writesTotal\":2"));
}
