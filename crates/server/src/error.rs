//! What can go wrong with a server as a whole, each with the object and the remedy.
//!
//! Failures of one request are in [`crate::api`]; they never end the server.

use std::{io, net::SocketAddr, path::PathBuf};

use thiserror::Error;

/// Why the server cannot open or go on.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Another program listens there.
    #[error("port {0} is in use; choose another with --listen")]
    PortBusy(u16),
    /// The address is not ours, or the port needs more rights.
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The data folder, or a file in it, cannot be used.
    #[error(
        "cannot use {path}; check its owner, its mode and that the disk has room, or choose another with --data-dir"
    )]
    DataFolder {
        /// Folder or file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another server has the data folder open.
    #[error("data folder {0} is in use by another minesweep; stop it, or choose another with --data-dir")]
    DataFolderBusy(PathBuf),
    /// A newer program wrote the store. It is left as it is.
    #[error(
        "store {path} has format {found}, this program reads up to {known}; use the newer program, or choose another folder with --data-dir"
    )]
    StoreNewer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// A file of that name is there, but it is not our store. It is left as it is.
    #[error("{0} is not a minesweep store; move it away, or choose another folder with --data-dir")]
    StoreForeign(PathBuf),
    /// The store cannot be read or written.
    #[error("cannot use store {path}; check its owner, its mode and that the disk has room")]
    Store {
        /// The store.
        path: PathBuf,
        /// Cause.
        source: StoreError,
    },
    /// The certificate or its key cannot be made or read.
    #[error("cannot use the certificate in {path}; remove that folder to have a new one made")]
    Certificate {
        /// Folder of certificate and key.
        path: PathBuf,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel gave no random bytes.
    #[error("the kernel gives no random bytes")]
    Random(#[source] io::Error),
    /// The listener failed while serving.
    #[error("the server stopped listening")]
    Serve(#[source] io::Error),
}

/// Why the store did not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("the database could not be brought to this program's format")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored document is not what this program writes.
    #[error("a stored document cannot be read")]
    Document(#[from] serde_json::Error),
    /// The kernel gave no random bytes.
    #[error("the kernel gives no random bytes")]
    Random(#[source] io::Error),
}
