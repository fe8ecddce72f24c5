//! A proxy between an instance and the broker, which can cut, delay and half-close its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::interception::Interception;

const PIECE_BYTES: usize = 64 << 10;

/// What the proxy does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Passes it on.
    Sound,
    /// Passes it on later.
    Delayed(Duration),
    /// Closes all connections and accepts none.
    Cut,
    /// Swallows what the instance sends.
    DeafToInstance,
    /// Swallows what the broker sends.
    DeafToBroker,
}

/// One instance's way to the broker.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port.
    pub(super) async fn start(broker: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((broker.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let (line, state) = watch::channel(Line::Sound);
        let accepting = tokio::spawn(accept(listener, broker, state));
        Ok(Proxy { address, line, accepting })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.line.send_replace(Line::Cut);
    }
}

async fn accept(listener: TcpListener, broker: SocketAddr, line: watch::Receiver<Line>) {
    let Ok(own) = listener.local_addr() else { return };
    loop {
        let Ok((instance, _)) = listener.accept().await else { continue };
        if *line.borrow() == Line::Cut {
            continue;
        }
        let line = line.clone();
        tokio::spawn(async move {
            // A broker that is down refuses, and so does its proxy.
            let Ok(upstream) = TcpStream::connect(broker).await else { return };
            let _ = instance.set_nodelay(true);
            let _ = upstream.set_nodelay(true);
            carry(
                instance,
                upstream,
                Interception::new(&broker.ip().to_string(), broker.port(), own.port()),
                line,
            )
            .await;
        });
    }
}

/// Carries both ways until either side is closed, or the line is cut.
async fn carry(instance: TcpStream, broker: TcpStream, addresses: Interception, line: watch::Receiver<Line>) {
    let ((from_instance, to_instance), (from_broker, to_broker)) =
        (instance.into_split(), broker.into_split());
    let mut cut = line.clone();
    let line = Arc::new(line);
    tokio::select! {
        _ = one_way(from_instance, to_broker, None, Line::DeafToInstance, Arc::clone(&line)) => {}
        _ = one_way(from_broker, to_instance, Some(addresses), Line::DeafToBroker, line) => {}
        _ = cut.wait_for(|line| *line == Line::Cut) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut addresses: Option<Interception>,
    deaf: Line,
    line: Arc<watch::Receiver<Line>>,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut swallowed = false;
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *line.borrow();
        match now {
            now if now == deaf => {
                swallowed = true;
                continue;
            }
            // No stream has a hole: it is cut instead.
            _ if swallowed => return Ok(()),
            Line::Delayed(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        match &mut addresses {
            Some(addresses) => to.write_all(&addresses.pass(&piece[..read])).await?,
            None => to.write_all(&piece[..read]).await?,
        }
    }
}
