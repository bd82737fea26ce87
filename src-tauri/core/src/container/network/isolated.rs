//! Networks of the engine's: one of its own for each isolated container, with no way out, and the addresses of those
//! that are there. It knows the engine's API and no proxy.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bollard::models::{Ipam, NetworkCreateRequest};
use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions, ListNetworksOptionsBuilder};

use super::NetworkError;
use crate::container::engine::{self, Engine, EngineError, question};
use crate::container::labels;

/// How the name of every network of ours begins.
const PREFIX: &str = "gemra-net-";
/// How long the engine may take to make one, or to tell of one. It needs a tenth of a second.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a sweep may wait for one to go: a quit waits for it.
const SWEEP: Duration = Duration::from_secs(3);
/// How often a network is tried to be removed that the engine still sees in use.
const TRIES: u32 = 40;

/// A network without a way out. Dropped, it is removed in the background.
#[derive(Debug)]
pub(super) struct Isolated {
    engine: Option<Engine>,
    pub(super) name: String,
    pub(super) gateway: IpAddr,
}

impl Isolated {
    /// Makes it.
    pub(super) async fn make(
        engine: &Engine,
        short_id: &str,
        labels: HashMap<String, String>,
    ) -> Result<Self, NetworkError> {
        let name = format!("{PREFIX}{short_id}");
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(true),
            enable_ipv6: Some(false),
            labels: Some(labels),
            ..NetworkCreateRequest::default()
        };
        asked("making a network", engine.api().create_network(request)).await?;
        let mut network = Self { engine: Some(engine.clone()), name, gateway: Ipv4Addr::UNSPECIFIED.into() };
        network.gateway = gateway(engine, &network.name).await?;
        Ok(network)
    }

    /// Removes it, and returns when it is gone.
    pub(super) async fn remove(mut self) {
        if let Some(engine) = self.engine.take() {
            remove_when_free(&engine, &self.name).await;
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        if let (Some(engine), Ok(runtime)) = (self.engine.take(), tokio::runtime::Handle::try_current()) {
            let name = self.name.clone();
            runtime.spawn(async move { remove_when_free(&engine, &name).await });
        }
    }
}

/// The address that this machine has in a network of the engine's.
pub(super) async fn gateway(engine: &Engine, network: &str) -> Result<IpAddr, NetworkError> {
    let asked = engine.api().inspect_network(network, None::<InspectNetworkOptions>);
    let found = self::asked("looking for this machine's address in a network", asked).await?;
    found.ipam.as_ref().and_then(address).ok_or_else(|| NetworkError::Engine {
        doing: "looking for this machine's address in a network",
        cause: format!("the engine names none for {network}"),
    })
}

async fn asked<T>(
    doing: &'static str,
    asked: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, NetworkError> {
    let failed = |cause: String| NetworkError::Engine { doing, cause };
    let answer = tokio::time::timeout(ANSWER, asked).await;
    answer.map_err(|_| failed(format!("no answer within {ANSWER:?}")))?.map_err(|error| failed(engine::words(&error)))
}

/// The gateway that is named, or the first address, which engines take where they name none.
fn address(ipam: &Ipam) -> Option<IpAddr> {
    ipam.config.as_ref()?.iter().find_map(|config| {
        // Podman names it with the network's length.
        let named = config.gateway.as_deref().and_then(|text| text.split('/').next()?.parse::<Ipv4Addr>().ok());
        let first = || {
            let (base, _) = config.subnet.as_deref()?.split_once('/')?;
            Some(Ipv4Addr::from(u32::from(base.parse::<Ipv4Addr>().ok()?).checked_add(1)?))
        };
        named.or_else(first).map(IpAddr::V4)
    })
}

/// The address that a container has.
pub(super) async fn guest(engine: &Engine, id: &str) -> Result<IpAddr, NetworkError> {
    let asked = engine.api().inspect_container(id, None::<InspectContainerOptions>);
    let found = self::asked("looking for the container's address", asked).await?;
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mut addresses = networks.into_values().filter_map(|network| network.ip_address?.parse().ok());
    addresses.next().ok_or_else(|| NetworkError::Engine {
        doing: "looking for the container's address",
        cause: "the engine names none".to_owned(),
    })
}

/// Removes the networks of one instance, or those of instances of which `is_alive` says no. Those that something still
/// hangs on stay, and are found the next time.
pub(in crate::container) async fn sweep(
    engine: &Engine,
    instance: Option<&str>,
    is_alive: impl Fn(&str) -> bool,
) -> Result<(), EngineError> {
    let filters = labels::filter(instance.map(|instance| format!("{}={instance}", labels::INSTANCE)));
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let found = question("which networks there are", engine.api().list_networks(Some(options))).await?;
    let ours = found.into_iter().filter_map(|network| {
        let name = network.name.filter(|name| name.starts_with(PREFIX))?;
        let instance = network.labels?.remove(labels::INSTANCE)?;
        (!is_alive(&instance)).then_some(name)
    });
    let removals = ours.map(|name| async move {
        if tokio::time::timeout(SWEEP, remove_when_free(engine, &name)).await.is_err() {
            tracing::warn!(name, "a network could not be removed in time");
        }
    });
    futures_util::future::join_all(removals).await;
    Ok(())
}

/// The engine tells that a container is gone a little before its network knows.
async fn remove_when_free(engine: &Engine, name: &str) {
    let mut pause = Duration::from_millis(10);
    for _ in 0..TRIES {
        match engine.api().remove_network(name).await {
            Ok(()) => return,
            Err(error) if engine::status(&error) == Some(404) => return,
            Err(error) => tracing::debug!(name, error = engine::words(&error), "a network is still in use"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
    tracing::warn!(name, "a network stays; the next start sweeps it");
}

#[cfg(test)]
mod tests {
    use bollard::models::IpamConfig;

    use super::*;

    #[test]
    fn the_gateway_is_the_one_that_is_named_or_the_first_address() {
        let config = |subnet: Option<&str>, gateway: Option<&str>| IpamConfig {
            subnet: subnet.map(str::to_owned),
            gateway: gateway.map(str::to_owned),
            ..IpamConfig::default()
        };
        let cases = [
            (vec![config(Some("172.18.0.0/16"), Some("172.18.0.1"))], Some("172.18.0.1")),
            (vec![config(Some("10.88.0.0/16"), Some("10.88.0.9/16"))], Some("10.88.0.9")),
            (vec![config(Some("172.17.0.0/16"), None)], Some("172.17.0.1")),
            (
                vec![config(Some("fd00::/64"), Some("fd00::1")), config(Some("10.1.0.0/24"), Some("10.1.0.1"))],
                Some("10.1.0.1"),
            ),
            (vec![], None),
        ];
        for (configs, expected) in cases {
            let ipam = Ipam { config: Some(configs.clone()), ..Ipam::default() };
            assert_eq!(address(&ipam), expected.map(|text| text.parse().unwrap()), "{configs:?}");
        }
    }
}
