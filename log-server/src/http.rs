//! `/metrics` and `/health` over HTTP/1.1: one request per connection, GET only.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::broker::Broker;

/// How many scrapes may be under way.
const MAX_CONNECTIONS: usize = 16;

/// The longest request that is read.
const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// How long a whole exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers until the server stops.
pub(crate) async fn serve(broker: Arc<Broker>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let stopping = broker.shutdown_token().clone();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            // A scraper that is too slow or gone asks again.
            let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange(&broker, stream)).await;
            drop(permit);
        });
    }
}

async fn exchange(broker: &Broker, mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > MAX_REQUEST_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = answer(broker, &request);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn answer(broker: &Broker, request: &[u8]) -> (&'static str, String) {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.split(|byte| *byte == b' ').take(2).collect::<Vec<_>>()[..] {
        [b"GET", b"/metrics"] => ("200 OK", broker.render_metrics()),
        [b"GET", b"/health"] => match broker.check_health() {
            Ok(()) => ("200 OK", "ok\n".to_owned()),
            Err(reason) => ("503 Service Unavailable", format!("{reason}\n")),
        },
        [b"GET", _] => ("404 Not Found", "only /metrics and /health are here\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is understood\n".to_owned()),
    }
}
