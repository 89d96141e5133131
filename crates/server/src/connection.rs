//! Guards each connection before any request is read: how many there are, and how long one may stand still.
//!
//! HTTP's own limits (heads, bodies) are set in `api` and `lib`.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_server::{
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// Takes connections: TLS, and only so many at a time.
#[derive(Clone)]
pub(crate) struct Gate {
    tls: RustlsAcceptor,
    places: Arc<Semaphore>,
}

impl Gate {
    /// A gate with this certificate that lets in `places` at a time; the next one is closed at once.
    pub fn new(tls: Arc<rustls::ServerConfig>, places: usize) -> Self {
        let tls = RustlsAcceptor::new(RustlsConfig::from_config(tls)).handshake_timeout(HANDSHAKE);
        Self { tls, places: Arc::new(Semaphore::new(places)) }
    }
}

/// Connections at a time. A browser opens six.
pub(crate) const CONNECTIONS: usize = 256;

/// A TLS handshake takes two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection on which no byte moves for this long is closed. An event stream moves one every 15 s.
const STILL: Duration = Duration::from_secs(60);

impl<S: Send + 'static> Accept<TcpStream, S> for Gate
where
    RustlsAcceptor: Accept<TcpStream, S>,
    <RustlsAcceptor as Accept<TcpStream, S>>::Future: Send,
{
    type Stream = Watched<<RustlsAcceptor as Accept<TcpStream, S>>::Stream>;
    type Service = <RustlsAcceptor as Accept<TcpStream, S>>::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Box::pin(async { Err(io::Error::other("all connections are taken")) });
        };
        let handshake = stream.set_nodelay(true).map(|()| self.tls.accept(stream, service));
        Box::pin(async move {
            let (stream, service) = handshake?.await?;
            Ok((Watched { stream, still: Box::pin(sleep(STILL)), _place: place }, service))
        })
    }
}

/// A stream that ends when it stands still, and gives its place back when it ends.
pub(crate) struct Watched<T> {
    stream: T,
    still: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<T: Unpin> Watched<T> {
    /// Passes on what the stream did; an error once it did nothing for too long.
    fn watch<R>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if done.is_ready() {
            self.still.as_mut().reset(Instant::now() + STILL);
            return done;
        }
        ready!(self.still.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, done)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Not progress: a flush with nothing to write is always ready.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn watched<T>(stream: T) -> Watched<T> {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Watched { stream, still: Box::pin(sleep(STILL)), _place: place }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stands_still_for_a_minute_ends_and_one_that_moves_does_not() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = watched(ours);
        for _ in 0..10 {
            tokio::time::advance(STILL - Duration::from_secs(1)).await;
            theirs.write_all(b"x").await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), b'x');
        }
        let end = ours.read_u8().await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_holds_its_place_for_a_minute_at_most() {
        let (ours, _theirs) = duplex(64);
        let mut ours = watched(ours);
        let end = ours.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_one_that_ends_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let identity =
            crate::tls::Identity::open(folder.path(), &["localhost".to_owned()], 1_000_000_000_000).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Gate::new(identity.config, 1);
        let mut clients = Vec::new();
        let mut arrivals = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            arrivals.push(listener.accept().await.unwrap().0);
        }
        let mut enter = || gate.accept(arrivals.pop().unwrap(), ());
        let first = enter();
        assert_eq!(enter().await.err().unwrap().to_string(), "all connections are taken");
        drop(first);
        let third = enter();
        assert_eq!(gate.places.available_permits(), 0);
        drop(third);
        assert_eq!(gate.places.available_permits(), 1);
    }
}
