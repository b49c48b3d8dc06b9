//! The listener: a cap on connections, a limit on the time a client may take over its headers, and an ordered end.
//!
//! poem's own server has none of these: it gives hyper no timer, so that hyper's limit on header time never runs, and
//! it takes up a failed accept at once, so that a process without free file descriptors spins.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use poem::{
    Addr, Endpoint, IntoResponse, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{AppState, edge};

/// A client must have sent its headers by then.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Largest headers over HTTP/2, and the read buffer of HTTP/1.
const HEADER_BYTES: usize = 32 * 1024;
/// Streams one client may have open at once.
const STREAMS: u32 = 128;
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then lets open requests end for at most `grace`.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let connections = state.http.connections;
    let endpoint = Arc::new(edge::endpoint(
        state,
        local.ip().is_loopback(),
        shutdown.clone(),
    ));
    serve_endpoint(listener, endpoint, connections, shutdown, grace).await
}

async fn serve_endpoint<E>(
    listener: TcpListener,
    endpoint: Arc<E>,
    connections: usize,
    shutdown: CancellationToken,
    grace: Duration,
) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let local = listener.local_addr()?;
    tracing::info!(address = %local, connections, "listening");
    let permits = Arc::new(Semaphore::new(connections));
    let tracker = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        // The permit comes first: beyond the cap, clients wait in the kernel's queue and cost us nothing.
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
            () = shutdown.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((socket, remote)) => {
                let endpoint = Arc::clone(&endpoint);
                let (shutdown, cut) = (shutdown.clone(), cut.clone());
                tracker.spawn(async move {
                    let addresses = (
                        LocalAddr(Addr::SocketAddr(local)),
                        RemoteAddr(Addr::SocketAddr(remote)),
                    );
                    tokio::select! {
                        () = connection(socket, endpoint, addresses, shutdown) => {}
                        () = cut.cancelled() => {}
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_err() {
        tracing::warn!(
            open = tracker.len(),
            "connections are cut after the grace period"
        );
        cut.cancel();
        tracker.wait().await;
    }
    tracing::info!("the listener is closed");
    Ok(())
}

async fn connection<E>(
    socket: TcpStream,
    endpoint: Arc<E>,
    (local, remote): (LocalAddr, RemoteAddr),
    shutdown: CancellationToken,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // Server-sent events are small and must not wait for company.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let endpoint = Arc::clone(&endpoint);
            let request = Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
            async move {
                let response = endpoint
                    .call(request)
                    .await
                    .unwrap_or_else(|error| error.into_response());
                Ok::<_, Infallible>(hyper::Response::from(response.into_response()))
            }
        });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES as u32)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
            return;
        }
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

    /// A server whose answers wait for `go`; tells `begun` when a request has come in.
    async fn held(
        connections: usize,
    ) -> (
        std::net::SocketAddr,
        Arc<Notify>,
        Arc<Notify>,
        CancellationToken,
        tokio::task::JoinHandle<io::Result<()>>,
    ) {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let endpoint = {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            make(move |_| {
                let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
                async move {
                    begun.notify_one();
                    go.notified().await;
                    Response::builder().body("done")
                }
            })
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let grace = Duration::from_secs(30);
        let serving = tokio::spawn(serve_endpoint(
            listener,
            Arc::new(endpoint),
            connections,
            shutdown.clone(),
            grace,
        ));
        (address, begun, go, shutdown, serving)
    }

    async fn ask(address: std::net::SocketAddr) -> TcpStream {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(REQUEST).await.expect("a request");
        socket
    }

    async fn answer(mut socket: TcpStream) -> String {
        let mut text = String::new();
        socket.read_to_string(&mut text).await.expect("an answer");
        text
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_before_the_server_ends() {
        let (address, begun, go, shutdown, serving) = held(4).await;
        let socket = ask(address).await;
        begun.notified().await;
        shutdown.cancel();
        go.notify_one();
        let text = answer(socket).await;
        assert!(
            text.starts_with("HTTP/1.1 200") && text.ends_with("done"),
            "{text}"
        );
        serving.await.expect("it ends").expect("in order");
        assert!(
            TcpStream::connect(address).await.is_err(),
            "nobody listens any more"
        );
    }

    #[tokio::test]
    async fn one_connection_more_than_the_cap_waits_for_its_turn() {
        let (address, begun, go, shutdown, serving) = held(1).await;
        let first = ask(address).await;
        begun.notified().await;
        let second = ask(address).await;
        go.notify_one();
        assert!(answer(first).await.ends_with("done"));
        begun.notified().await;
        go.notify_one();
        assert!(answer(second).await.ends_with("done"));
        shutdown.cancel();
        serving.await.expect("it ends").expect("in order");
    }
}
