//! The server: takes reports from agents, keeps them, and shows them to the people who may see them.
//!
//! `Server::open` takes hold of everything that can fail (folder, store, certificate, port) before a word is printed;
//! `Server::run` serves until it is told to stop. Touches no machine: it stores, answers and forgets. The agent is in
//! the same process for now; over the wire comes later.

mod access;
mod api;
mod clock;
mod connection;
mod console;
mod error;
mod feed;
mod store;
mod tls;

use std::{
    error::Error,
    fs::{DirBuilder, File, OpenOptions},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio::sync::{Mutex, broadcast, watch};
use tracing::info;

pub use api::{openapi, words::Price};
pub use error::{ServerError, StoreError};
pub use feed::Feed;

use access::{LOGIN_MS, Token};
use clock::now_ms;

/// What a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder for everything that is kept; the server uses `server/` in it.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What a CPU-hour costs, for the cost of a day.
    pub price: Price,
}

/// A server that holds its store and its port.
pub struct Server {
    shared: Arc<api::Shared>,
    intake: Mutex<feed::Intake>,
    listener: TcpListener,
    address: SocketAddr,
    tls: tls::Identity,
    login_link: String,
    /// Held while the server lives: the folder is ours.
    _lock: File,
}

impl Server {
    /// Opens store, certificate and port. Nothing is served before [`Server::run`].
    pub async fn open(config: Config) -> Result<Self, ServerError> {
        let folder = config.data_dir.join("server");
        let lock = take_folder(&folder)?;
        let listener = bind(config.listen)?;
        let address = listener.local_addr().map_err(|source| listen_error(config.listen, source))?;
        let names = tls::names(&rustix::system::uname().nodename().to_string_lossy(), config.listen);
        let tls = tls::Identity::open(&folder, &names, now_ms())?;
        let store = store::Store::open(&folder.join("store.db"), store::Limits::DEFAULT).await?;
        let store_error = |source| ServerError::Store { path: folder.join("store.db"), source };
        let writer = store::Writer::open(store.clone()).await.map_err(store_error)?;
        let pages = broadcast::Sender::new(PAGES_QUEUE);
        let (feed, intake) = feed::queue(writer, pages.clone());
        let shared = Arc::new(api::Shared {
            store,
            feed,
            price: config.price,
            names,
            attempts: Mutex::default(),
            pages,
            streams: Arc::default(),
            logouts: watch::Sender::new(()),
            stopping: watch::Sender::new(false),
        });
        let login_link = new_login(&shared, address).await.map_err(store_error)?;
        let intake = Mutex::new(intake);
        Ok(Self { shared, intake, listener, address, tls, login_link, _lock: lock })
    }

    /// Where the agent's reports go.
    pub fn feed(&self) -> Feed {
        self.shared.feed.clone()
    }

    /// Where the server listens, with the port it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of the certificate, `AA:BB:...`, to compare with what the browser shows.
    pub fn fingerprint(&self) -> &str {
        &self.tls.fingerprint
    }

    /// The link made at opening: good once, for 15 minutes. The token is behind `#`, so no browser sends it and no
    /// log holds it.
    pub fn login_link(&self) -> &str {
        &self.login_link
    }

    /// One more such link, also while the server runs.
    pub async fn new_login(&self) -> Result<String, StoreError> {
        new_login(&self.shared, self.address).await
    }

    /// Serves until `shutdown` is ready, and then at most 3 s more: open requests end, queued reports are stored.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let mut intake = self.intake.lock().await;
        let handle = Handle::new();
        let router = api::router(Arc::clone(&self.shared));
        let serving = self.serve(router, handle.clone());
        let stopped = self.shared.stopped();
        let stopping = async {
            shutdown.await;
            self.shared.stopping.send_replace(true);
            handle.graceful_shutdown(Some(LAST_REQUESTS));
        };
        let ended = async {
            let served = serving.await;
            // Also when the listener failed: then the intake ends, too.
            self.shared.stopping.send_replace(true);
            served
        };
        tokio::pin!(stopping);
        let served = {
            let work = async { tokio::join!(ended, intake.run(stopped)).0 };
            tokio::pin!(work);
            tokio::select! {
                served = &mut work => served,
                () = &mut stopping => work.await,
            }
        };
        self.shared.store.close().await;
        info!("the server has stopped");
        served
    }

    async fn serve(&self, router: Router, handle: Handle<SocketAddr>) -> Result<(), ServerError> {
        let listener = self.listener.try_clone().map_err(ServerError::Serve)?;
        let mut server = axum_server::from_tcp(listener)
            .map_err(ServerError::Serve)?
            .acceptor(connection::Gate::new(Arc::clone(&self.tls.config), connection::CONNECTIONS))
            .handle(handle);
        server
            .http_builder()
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEADERS)
            .max_buf_size(HEAD_BYTES);
        // Only HTTP/1.1: its limits on slow and greedy clients are all set above, HTTP/2 has others of its own.
        let server = server.http1_only();
        server
            .serve(router.into_make_service_with_connect_info::<SocketAddr>())
            .await
            .map_err(ServerError::Serve)
    }
}

/// Events that a slow page may be behind.
const PAGES_QUEUE: usize = 256;

/// Open requests may take this long once the server stops; with the store's last transaction below 3 s.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// A head that is not there by then is not sent by a browser. Also ends idle connections.
const HEAD: Duration = Duration::from_secs(10);

/// Browsers send about 20.
const HEADERS: usize = 64;

/// Head of a request; browsers send about 1 KiB.
const HEAD_BYTES: usize = 16 * 1024;

/// Makes the folder, for its owner alone, and holds it: two servers on one store would each prune for the other.
fn take_folder(folder: &Path) -> Result<File, ServerError> {
    let failed = |path: &Path, source| ServerError::DataFolder { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| failed(folder, source))?;
    let at = folder.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&at);
    let lock = lock.map_err(|source| failed(&at, source))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(ServerError::DataFolderBusy(folder.to_owned())),
        Err(errno) => Err(failed(&at, errno.into())),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).map_err(|source| listen_error(address, source))?;
    listener.set_nonblocking(true).map_err(|source| listen_error(address, source))?;
    Ok(listener)
}

fn listen_error(address: SocketAddr, source: std::io::Error) -> ServerError {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => ServerError::PortBusy(address.port()),
        _ => ServerError::Listen { address, source },
    }
}

async fn new_login(shared: &api::Shared, address: SocketAddr) -> Result<String, StoreError> {
    let token = Token::random().map_err(StoreError::Random)?;
    let now_ms = now_ms();
    shared.store.add_login(&token.hash(), now_ms, now_ms.saturating_add(LOGIN_MS)).await?;
    Ok(format!("https://{}/login#token={}", reachable(address), token.reveal()))
}

/// An address that a browser on this machine can open: a wildcard is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

/// An error with its causes in one line, for the log.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}
