//! A server on a free port, and a browser that trusts its certificate and nothing else.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod fixtures;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use minesweep_model::Report;
use minesweep_server::{Config, Price, Server, ServerError};
use reqwest::{Client, Method, Response, header};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle};

pub fn config(folder: &Path) -> Config {
    Config {
        data_dir: folder.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        price: Price { per_cpu_hour: 0.05, currency: "USD".to_owned() },
    }
}

/// A server that runs.
pub struct Stand {
    pub server: Arc<Server>,
    pub client: Client,
    pub cookie: String,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Result<(), ServerError>>,
    certificate: PathBuf,
}

impl Stand {
    /// Opens and runs a server on `folder`.
    pub async fn start(folder: &Path) -> Self {
        Self::run(Server::open(config(folder)).await.unwrap(), folder)
    }

    /// Runs an open server.
    pub fn run(server: Server, folder: &Path) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let server = Arc::new(server);
        let (stop, stopped) = oneshot::channel();
        let running = Arc::clone(&server);
        let run = tokio::spawn(async move {
            running
                .run(async {
                    stopped.await.unwrap();
                })
                .await
        });
        let certificate = folder.join("server/certificate.pem");
        let root = reqwest::Certificate::from_pem(&fs::read(&certificate).unwrap()).unwrap();
        let client =
            Client::builder().use_rustls_tls().add_root_certificate(root).no_proxy().build().unwrap();
        Self { server, client, cookie: String::new(), stop, run, certificate }
    }

    /// Runs a server on `folder` and logs in.
    pub async fn logged_in(folder: &Path) -> Self {
        let mut stand = Self::start(folder).await;
        let response = stand.log_in(&token(stand.server.login_link())).await;
        assert_eq!(response.status(), 204);
        stand.cookie = cookie(&response);
        stand
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address())
    }

    pub async fn log_in(&self, token: &str) -> Response {
        self.post("/api/login").body(serde_json::json!({ "token": token }).to_string()).send().await.unwrap()
    }

    /// A POST as our page sends it.
    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.ask(Method::POST, path)
            .header("x-minesweep", "1")
            .header(header::CONTENT_TYPE, "application/json")
    }

    pub fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path)).header(header::COOKIE, &self.cookie)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    /// The JSON of a page that must be there.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        parse(response).await
    }

    /// Pushes reports and waits until each was stored and shown.
    pub async fn push(&self, reports: Vec<Report>) {
        let mut events = self.events().await;
        let count = reports.len();
        for report in reports {
            self.server.feed().push(report);
        }
        for _ in 0..count {
            assert_eq!(events.next().await.unwrap().0, "report");
        }
    }

    pub async fn events(&self) -> Events {
        let response = self.get("/api/events").await;
        assert_eq!(response.status(), 200);
        Events { response, text: String::new() }
    }

    /// Sends bytes as they are over TLS and reads to the end.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.address(), bytes.to_owned());
        let certificate = CertificateDer::from_pem_file(&self.certificate).unwrap();
        tokio::task::spawn_blocking(move || raw(address, certificate, &bytes)).await.unwrap()
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.run.await.unwrap().unwrap();
    }
}

fn raw(address: SocketAddr, certificate: CertificateDer<'static>, bytes: &[u8]) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(address.ip().to_string()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A server that closes without saying so in TLS is a close as well.
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// An event stream.
pub struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// Name and data of the next event; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let parsed = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                match parsed {
                    Some((name, data)) => return Some((name, serde_json::from_str(&data).unwrap())),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

pub fn token(link: &str) -> String {
    link.split_once("#token=").unwrap().1.to_owned()
}

/// The cookie that the response sets, as the browser sends it back.
pub fn cookie(response: &Response) -> String {
    let set = response.headers().get(header::SET_COOKIE).expect("a cookie").to_str().unwrap();
    set.split_once(';').unwrap().0.to_owned()
}

pub async fn parse(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The code of a refusal.
pub async fn code(response: Response) -> String {
    parse(response).await["code"].as_str().unwrap().to_owned()
}

/// A hand on the store, for what only time does.
pub async fn meddle(folder: &Path, statement: &str) {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let store = folder.join("server/store.db");
    let mut connection = SqliteConnectOptions::new().filename(store).connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
