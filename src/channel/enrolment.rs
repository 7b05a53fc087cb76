//! How a task gets its certificate, and the next one before it expires. It requests the first with the token, from a server
//! that proves to be the operator, and the following ones with its current certificate. Without an operator the task continues
//! with what it has. The key is generated here and never leaves memory.

use std::convert::Infallible;

use http::StatusCode;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::client::ChannelClient;
use super::client_error::{ClientError, with_sources};
use crate::pki::{ChannelIdentity, Credentials, OPERATOR_NAME, request};
use crate::protocol::Bootstrap;
use crate::protocol::messages::{CertificateRequest, IssuedCertificate, WIRE_VERSION};
use crate::protocol::timings::{ENROLMENT_RETRY, RENEWAL_NAP_MAX};
use crate::retry::Retry;

/// Requests certificates.
#[derive(Debug)]
pub struct Enrolment {
    bootstrap: Bootstrap,
    task: String,
    credentials: Credentials,
    /// Presents the current certificate.
    renewing: ChannelClient,
    /// Presents no certificate, and sends the token.
    first: ChannelClient,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum EnrolmentError {
    #[error("cannot get a certificate from the operator")]
    Client(#[from] ClientError),
    #[error("cannot generate a key")]
    Key,
    #[error("the certificate from the operator does not match the generated key")]
    Strange,
}

impl Enrolment {
    /// For the task that started with this bootstrap, with the operator at one of these comma-separated URLs.
    pub fn new(bootstrap: Bootstrap, task: String, operator_urls: &str) -> Result<Self, ClientError> {
        let credentials = Credentials::new(bootstrap.root.clone());
        let renewing = ChannelClient::new(operator_urls, &credentials, OPERATOR_NAME)?;
        let first = ChannelClient::without_certificate(operator_urls, &credentials, OPERATOR_NAME)?;
        Ok(Self { bootstrap, task, credentials, renewing, first })
    }

    /// The store of the certificates. Clones share their content.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Replaces the operator's URLs.
    pub fn set_servers(&self, urls: &str) -> Result<(), ClientError> {
        self.renewing.set_servers(urls).and_then(|()| self.first.set_servers(urls))
    }

    /// Keeps a valid certificate available, forever.
    pub async fn run(&self) -> Infallible {
        let mut retry = Retry::new(ENROLMENT_RETRY);
        let mut trouble: Option<String> = None;
        loop {
            self.wait_until_due().await;
            match self.renew(Timestamp::now()).await {
                Ok(key) => {
                    tracing::info!(until = %key.not_after(), "received a certificate for the channel");
                    self.credentials.replace(key);
                    retry.reset();
                    trouble = None;
                }
                Err(error) => {
                    let error_text = with_sources(&error);
                    if trouble.as_ref() != Some(&error_text) {
                        tracing::warn!(error = error_text, "cannot get a certificate for the channel; retrying");
                        trouble = Some(error_text);
                    }
                    tokio::time::sleep(retry.next()).await;
                }
            }
        }
    }

    async fn wait_until_due(&self) {
        loop {
            let Some(key) = self.credentials.current() else { return };
            let left = key.renew_at().duration_since(Timestamp::now());
            if !left.is_positive() {
                return;
            }
            tokio::time::sleep(left.unsigned_abs().min(RENEWAL_NAP_MAX)).await;
        }
    }

    async fn renew(&self, now: Timestamp) -> Result<ChannelIdentity, EnrolmentError> {
        let (key, request) = request().map_err(|_| EnrolmentError::Key)?;
        let Bootstrap { role, cluster, token, .. } = &self.bootstrap;
        let message = CertificateRequest { version: WIRE_VERSION, role: *role, task: self.task.clone(), request };
        let path = format!("/v1/clusters/{cluster}/certificate");
        let with_token = || self.first.exchange(&path, &message, Some(token));
        let issued: IssuedCertificate = match self.credentials.valid(now) {
            None => with_token().await?,
            Some(_) => match self.renewing.exchange(&path, &message, None).await {
                Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => with_token().await?,
                renewed => renewed?,
            },
        };
        let certificate = issued.certificate_der().map(CertificateDer::from).ok_or(EnrolmentError::Strange)?;
        ChannelIdentity::new(&key, certificate).ok_or(EnrolmentError::Strange)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::channel::{Hub, Moment, serve};
    use crate::pki::{Authority, ChannelRole, ClientAuthentication, role_name, server_config};
    use crate::protocol::messages::{Delivery, Desired};
    use crate::protocol::{AdmittedTasks, AdmittedToken, SharedSecret};
    use crate::route::RouteTable;
    use crate::types::{ClusterName, Port};

    fn cluster() -> ClusterName {
        ClusterName::parse("dev").unwrap()
    }

    /// An operator on the loopback interface, and the bootstrap of one of its proxies.
    async fn operator() -> (Hub, Arc<Authority>, String, Bootstrap) {
        let now = Timestamp::now();
        let authority = Arc::new(Authority::create(now).unwrap());
        let credentials = Credentials::new(authority.root().clone());
        credentials.replace(authority.own(now).unwrap());
        let tls = server_config(&credentials, ClientAuthentication::Optional).unwrap();
        let (hub, listener) = (Hub::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, tls, hub.router(Arc::clone(&authority)), CancellationToken::new()));
        let token = SharedSecret::new("0123456789abcdef").unwrap();
        admit(&hub, vec![AdmittedToken { role: ChannelRole::Proxy, sha256: token.digest() }], &["t1"]);
        let bootstrap = Bootstrap { role: ChannelRole::Proxy, cluster: cluster(), token, root: authority.root().clone() };
        (hub, authority, url, bootstrap)
    }

    fn admit(hub: &Hub, tokens: Vec<AdmittedToken>, tasks: &[&str]) {
        let table = RouteTable::empty(cluster(), Port::new(80).unwrap());
        let tasks = tasks.iter().map(|task| (ChannelRole::Proxy, (*task).to_owned())).collect();
        hub.publish(&cluster(), Desired::new(Delivery::Live, table), AdmittedTasks { tokens, tasks }, Moment::now());
    }

    #[tokio::test]
    async fn a_certificate_is_renewed_with_the_current_one_and_without_a_token() {
        let (hub, authority, url, bootstrap) = operator().await;
        let enrolment = Enrolment::new(bootstrap, "t1".to_owned(), &url).unwrap();
        let first = enrolment.renew(Timestamp::now()).await.unwrap();
        enrolment.credentials().replace(first.clone());
        admit(&hub, Vec::new(), &["t1"]);
        let second = enrolment.renew(Timestamp::now()).await.unwrap();
        let name = role_name(ChannelRole::Proxy, &cluster());
        for key in [&first, &second] {
            assert_eq!(authority.root().verify(key.certificate(), &name, Timestamp::now()), Ok(()));
        }
        assert_ne!(first.certificate(), second.certificate());
        assert!(second.renew_at() < second.not_after());
        // A client with the key of a task that is gone gets no further certificate, with the certificate or with the token.
        let refused = |error: EnrolmentError| if let EnrolmentError::Client(error) = error { error.status() } else { None };
        admit(&hub, Vec::new(), &[]);
        assert_eq!(enrolment.renew(Timestamp::now()).await.map_err(refused).unwrap_err(), Some(StatusCode::SERVICE_UNAVAILABLE));
        hub.retire(&cluster());
        assert_eq!(enrolment.renew(Timestamp::now()).await.map_err(refused).unwrap_err(), Some(StatusCode::SERVICE_UNAVAILABLE));
        admit(&hub, Vec::new(), &["t1"]);
        // Without a certificate there is nothing to renew with.
        let (_, _, _, bootstrap) = operator().await;
        let unknown_authority = Bootstrap { root: authority.root().clone(), ..bootstrap };
        let error = Enrolment::new(unknown_authority, "t1".to_owned(), &url).unwrap().renew(Timestamp::now()).await.unwrap_err();
        assert!(matches!(&error, EnrolmentError::Client(error) if error.status() == Some(StatusCode::UNAUTHORIZED)), "{error:?}");
    }
}
