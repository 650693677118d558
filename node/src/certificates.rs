//! Keeps this node's certificate and its administrator's kubeconfig fresh.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use skein_cli::{ClientCertificate, NodeAddress, render_kubeconfig};
use skein_net::{Identity, JoinParts};
use tokio_util::sync::CancellationToken;

use crate::{
    authority::{Authority, AuthorityError},
    bootstrap::subject,
    core::VERSION,
    data_dir::DataDir,
};

/// How often the certificates are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The administrator's kubeconfig in the data directory.
const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// Whom the administrator's certificate names, as Kubernetes' own tools do.
const ADMIN_USER: &str = "kubernetes-admin";
const ADMIN_GROUP: &str = "system:masters";

/// How long the administrator's certificate lasts, and how often it is made anew: a node that is
/// up never lets it run out.
const ADMIN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const ADMIN_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// What the certificates of a node are made of.
pub(crate) struct Certificates {
    pub(crate) data: Arc<DataDir>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) authority: Authority,
    pub(crate) node_name: String,
    pub(crate) cluster_id: String,
    pub(crate) advertise: SocketAddr,
    pub(crate) api: SocketAddr,
    /// Where peers may be.
    pub(crate) contacts: Vec<SocketAddr>,
}

impl Certificates {
    /// Renews what is due, now and until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        let mut admin_due = SystemTime::now();
        // The address may be another than at the last start, and the certificate names it.
        let mut fresh = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = check.tick() => {}
            }
            let now = SystemTime::now();
            if !fresh || self.identity.needs_renewal(now) {
                match self.revive_or_renew(now).await {
                    Ok(()) => fresh = true,
                    Err(error) => {
                        tracing::warn!("this node's certificate was not renewed: {error:#}");
                    }
                }
            }
            if now >= admin_due {
                match self.write_admin_kubeconfig().await {
                    Ok(()) => admin_due = now + ADMIN_INTERVAL,
                    Err(error) => tracing::warn!("the kubeconfig was not written: {error:#}"),
                }
            }
        }
    }

    async fn revive_or_renew(&self, now: SystemTime) -> Result<()> {
        if self.identity.expires_at() <= now { self.revive().await } else { self.renew().await }
    }

    /// A fresh certificate from the authority in the store.
    async fn renew(&self) -> Result<()> {
        let subject = subject(&self.node_name, self.advertise.ip());
        self.authority.renew(&self.identity, &subject).await?;
        self.identity.save(&self.data.join(""))?;
        tracing::info!("this node's certificate was renewed");
        Ok(())
    }

    /// A fresh certificate where this node's own has expired: from its own replica, else from a
    /// peer, which knows its key.
    pub(crate) async fn revive(&self) -> Result<()> {
        if self.identity.expires_at() > SystemTime::now() {
            return Ok(());
        }
        match self.renew().await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::info!("asking peers for a certificate: {error:#}"),
        }
        let parts = JoinParts {
            node_name: self.node_name.clone(),
            advertise: self.advertise,
            version: VERSION.to_owned(),
            cluster_id: Some(self.cluster_id.clone()),
        };
        let renewed = skein_net::renew(&self.contacts, &self.identity, parts)
            .await
            .context("this node's certificate has expired and no peer gave a new one")?;
        self.identity.replace_certificate(&renewed.cert_pem)?;
        self.identity.save(&self.data.join(""))?;
        Ok(())
    }

    /// The administrator's kubeconfig for this node's API.
    async fn write_admin_kubeconfig(&self) -> Result<()> {
        let now = SystemTime::now();
        let groups = [ADMIN_GROUP.to_owned()];
        let ca = self.authority.ca().await?;
        let issued = ca
            .issue_user(ADMIN_USER, &groups, ADMIN_LIFETIME, now)
            .map_err(AuthorityError::Issue)?;
        let server = SocketAddr::new(self.advertise.ip(), self.api.port());
        let node =
            NodeAddress { name: self.node_name.clone(), server: format!("https://{server}") };
        let credentials =
            ClientCertificate { certificate_pem: issued.cert_pem, key_pem: issued.key_pem };
        let rendered = render_kubeconfig(&[node], ca.cert_pem(), ADMIN_USER, &credentials);
        self.data.write(ADMIN_KUBECONFIG, rendered.as_bytes())?;
        Ok(())
    }
}
