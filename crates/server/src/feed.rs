//! The way in: reports from the agent, through a bounded queue, into the store, and on to the pages that watch.
//!
//! Pushing never waits: the agent's work is worth more than its report. What finds no room, or what the store
//! refuses, is counted and shown on the first page.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use minesweep_model::Report;
use tokio::sync::{broadcast, mpsc};
use tracing::error;

use crate::{clock::now_ms, store::Writer};

/// The agent's end of the queue.
#[derive(Clone, Debug)]
pub struct Feed {
    queue: mpsc::Sender<Report>,
    lost: Arc<AtomicU64>,
}

impl Feed {
    /// Hands a report to the server and returns at once. With the queue full (4096 reports) it is dropped and
    /// counted.
    pub fn push(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reports that were not stored since the server was opened.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// The server's end of the queue.
pub(crate) struct Intake {
    queue: mpsc::Receiver<Report>,
    lost: Arc<AtomicU64>,
    writer: Writer,
    pages: broadcast::Sender<Arc<str>>,
}

/// A queue: 4096 reports are minutes of a busy host, and at a KiB or two each some MiB.
pub(crate) fn queue(writer: Writer, pages: broadcast::Sender<Arc<str>>) -> (Feed, Intake) {
    let (sender, receiver) = mpsc::channel(4096);
    let lost = Arc::new(AtomicU64::new(0));
    let feed = Feed { queue: sender, lost: Arc::clone(&lost) };
    (feed, Intake { queue: receiver, lost, writer, pages })
}

impl Intake {
    /// Takes reports until `stop` is ready, then what is still queued.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = &mut stop => break,
                taken = self.queue.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return; // every feed is gone
                    }
                    self.take(&mut batch).await;
                }
            }
        }
        // `recv_many` is cancel-safe: what was not taken is still in the queue. One queue's length is the bound: a
        // feed that goes on pushing does not keep the server from ending.
        for _ in 0..self.queue.max_capacity().div_ceil(BATCH) {
            while batch.len() < BATCH
                && let Ok(report) = self.queue.try_recv()
            {
                batch.push(report);
            }
            if batch.is_empty() {
                return;
            }
            self.take(&mut batch).await;
        }
    }

    /// Stores a batch, then shows it: what a page has seen is on disk.
    async fn take(&mut self, batch: &mut Vec<Report>) {
        let lost = self.writer.write(batch, now_ms()).await;
        self.lost.fetch_add(u64::try_from(lost).unwrap_or(u64::MAX), Ordering::Relaxed);
        for report in batch.drain(..) {
            show(&self.pages, &report);
        }
    }
}

/// Sends a report to the pages that watch.
pub(crate) fn show(pages: &broadcast::Sender<Arc<str>>, report: &Report) {
    if pages.receiver_count() == 0 {
        return;
    }
    match serde_json::to_string(report) {
        // An error only says that the last page has just gone.
        Ok(json) => drop(pages.send(json.into())),
        Err(cause) => error!(error = %cause, "a report could not be written as JSON"),
    }
}

/// Reports in one transaction: one fsync for as many as came during the last.
const BATCH: usize = 256;
