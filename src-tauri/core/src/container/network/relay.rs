//! Brings a container to one port of this machine's loopback, and to no other. It knows nothing of what is said.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::ear::Duplex;

/// How long whatever listens there may take to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// Serves one connection: to the loopback's `port`, by whichever of its addresses somebody listens at.
pub(super) async fn serve(port: u16, mut client: Box<dyn Duplex>) {
    let both: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    match tokio::time::timeout(CONNECT, TcpStream::connect(both.as_slice())).await {
        Ok(Ok(mut server)) => {
            let _ = server.set_nodelay(true);
            if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
                tracing::debug!(%error, port, "a relayed connection ended early");
            }
        }
        // The client sees its connection close, as it would with nobody there.
        Ok(Err(error)) => tracing::info!(%error, port, "nobody listens where a container is relayed to"),
        Err(_) => tracing::info!(port, "whoever listens there does not accept"),
    }
}
