//! What keeps a server from opening is named, with the remedy, and nothing is overwritten.

#[cfg(test)]
mod support;

use std::{error::Error, fs, os::unix::fs::PermissionsExt, path::Path};

use minesweep_server::{Server, ServerError};
use support::{Stand, config, meddle};
use tempfile::tempdir;

async fn refusal(folder: &Path) -> ServerError {
    Server::open(config(folder)).await.err().expect("a refusal")
}

#[tokio::test]
async fn a_busy_port_is_named_with_the_way_out() {
    let folder = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let holder = std::net::TcpListener::bind(taken.unwrap()).unwrap();
    let mut config = config(folder.path());
    config.listen = holder.local_addr().unwrap();
    let error = Server::open(config.clone()).await.err().unwrap();
    let port = config.listen.port();
    assert_eq!(error.to_string(), format!("port {port} is in use; choose another with --listen"));
    config.listen = "192.0.2.1:8443".parse().unwrap();
    let error = Server::open(config).await.err().unwrap();
    assert_eq!(error.to_string(), "cannot listen on 192.0.2.1:8443; choose another with --listen");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refusal(&file).await;
    assert!(matches!(error, ServerError::DataFolder { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot use {}/server", file.display())), "{error}");
}

#[tokio::test]
async fn a_data_folder_serves_one_server_at_a_time() {
    let folder = tempdir().unwrap();
    let first = Server::open(config(folder.path())).await.unwrap();
    let error = refusal(folder.path()).await;
    assert!(matches!(error, ServerError::DataFolderBusy(_)), "{error:?}");
    drop(first);
    Server::open(config(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_by_name_and_left_as_it_is() {
    for (statement, found) in [
        ("PRAGMA user_version = 7", "has format 7, this program reads up to 3"),
        (
            "UPDATE meta SET value = '9' WHERE key = 'model_format'",
            "has format 9, this program reads up to 1",
        ),
    ] {
        let folder = tempdir().unwrap();
        Stand::start(folder.path()).await.stop().await;
        meddle(folder.path(), statement).await;
        let store = folder.path().join("server/store.db");
        let before = fs::read(&store).unwrap();
        let error = refusal(folder.path()).await.to_string();
        assert!(error.contains(found) && error.contains(&store.display().to_string()), "{error}");
        assert_eq!(fs::read(&store).unwrap(), before);
    }
}

#[tokio::test]
async fn a_file_that_is_not_our_store_is_refused_and_left_as_it_is() {
    let folder = tempdir().unwrap();
    let store = folder.path().join("server/store.db");
    fs::create_dir(folder.path().join("server")).unwrap();
    fs::write(&store, "dear diary ".repeat(1000)).unwrap();
    let error = refusal(folder.path()).await;
    assert!(matches!(error, ServerError::StoreForeign(_)), "{error:?}");
    assert_eq!(fs::read_to_string(&store).unwrap(), "dear diary ".repeat(1000));
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("server")).unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("server/store.db"));
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    sqlx::query("CREATE TABLE diary (page TEXT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(matches!(refusal(folder.path()).await, ServerError::StoreForeign(_)));
}

#[tokio::test]
async fn what_is_kept_is_for_the_owner_alone() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("server")), 0o700);
    for file in ["key.pem", "certificate.pem", "lock"] {
        assert_eq!(mode(&folder.path().join("server").join(file)), 0o600, "{file}");
    }
    stand.stop().await;
}
