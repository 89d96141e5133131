//! The store against real SQLite files.

#[path = "../../tests/support/fixtures.rs"]
mod fixtures;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use minesweep_model::{IncidentState, Report};
use sqlx::Row;
use tempfile::tempdir;

use super::*;
use crate::api::words::{AboutFilter, DetectionQuery, IncidentQuery, IncidentSummary, PageLength, Price};

const NOW_MS: u64 = 1_800_000_000_000;

async fn open(folder: &Path, limits: Limits) -> (Store, Writer) {
    let store = Store::open(&folder.join("store.db"), limits).await.unwrap();
    let writer = Writer::open(store.clone()).await.unwrap();
    (store, writer)
}

/// Every row of every table of ours, as text.
async fn dump(store: &Store) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["host_facts", "incidents", "detections", "outcomes", "load_samples"] {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT 'quote(' || name || ')' FROM pragma_table_info(?)")
                .bind(table)
                .fetch_all(&store.readers)
                .await
                .unwrap();
        let select = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || '|' || "));
        let found = sqlx::query(&select).fetch_all(&store.readers).await.unwrap();
        rows.extend(found.iter().map(|row| format!("{table}: {}", row.get::<String, _>(0))));
    }
    rows
}

fn one_of_each() -> Vec<Report> {
    vec![
        Report::Host(fixtures::host()),
        fixtures::found(fixtures::detection("d", NOW_MS)),
        fixtures::opened(fixtures::incident("i", NOW_MS - 60_000, NOW_MS, 60.0)),
        Report::Outcome(Box::new(fixtures::outcome(1, "i", NOW_MS))),
        Report::Load(fixtures::load(NOW_MS, 50.0)),
    ]
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    assert_eq!(writer.write(&one_of_each(), NOW_MS).await, 0);
    let once = dump(&store).await;
    assert_eq!(once.len(), 7);
    assert_eq!(writer.write(&one_of_each(), NOW_MS).await, 0);
    assert_eq!(writer.write(&[one_of_each(), one_of_each()].concat(), NOW_MS).await, 0);
    assert_eq!(dump(&store).await, once);
}

#[tokio::test]
async fn the_newest_migration_is_the_format_that_is_known() {
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
    assert_eq!(newest, Some(SCHEMA));
    let folder = tempdir().unwrap();
    let (store, _) = open(folder.path(), Limits::DEFAULT).await;
    let schema: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&store.readers).await.unwrap();
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&store.readers).await.unwrap();
    assert_eq!((schema, application), (SCHEMA, APPLICATION));
}

#[tokio::test]
async fn a_store_of_the_first_form_keeps_its_incidents_as_mining() {
    let folder = tempdir().unwrap();
    let at = folder.path().join("store.db");
    let mut found = fixtures::incident("old", NOW_MS, NOW_MS, 1.0);
    found.findings.push(fixtures::step("late", NOW_MS, minesweep_model::Severity::Low, None, "TA0040"));
    found.findings.push(fixtures::step("early", NOW_MS, minesweep_model::Severity::Low, None, "TA0002"));
    found.findings.iter_mut().for_each(|finding| finding.evidence.clear());
    let want = serde_json::to_value(IncidentSummary::of(&found)).unwrap();
    let mut old = want.clone();
    for name in ["is_mining", "is_intrusion", "steps", "stages", "source", "worst_step", "last_step_ms"] {
        assert!(old.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }

    let first =
        Migrator { migrations: MIGRATIONS.migrations.iter().take(1).cloned().collect(), ..Migrator::DEFAULT };
    let options = SqliteConnectOptions::new().filename(&at).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    first.run_direct(&mut connection).await.unwrap();
    sqlx::query(
        "INSERT INTO incidents VALUES ('old', 'h', 'closed', 5, 0.99, 1, 1, 1, 1, NULL, 1.0, 0.0, 1, '', ?, ?)",
    )
    .bind(old.to_string())
    .bind(serde_json::to_string(&found).unwrap())
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();

    let (store, _) = open(folder.path(), Limits::DEFAULT).await;
    let page = store.incidents(&IncidentQuery::default()).await.unwrap();
    assert_eq!(serde_json::to_value(&page.items[0]).unwrap(), want);
    let about = |about| IncidentQuery { about, ..IncidentQuery::default() };
    assert_eq!(store.incidents(&about(AboutFilter::Mining)).await.unwrap().items.len(), 1);
    assert_eq!(store.incidents(&about(AboutFilter::Intrusion)).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn an_incident_that_turns_out_to_mine_is_no_longer_only_an_intrusion() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    let price = Price { per_cpu_hour: 1.0, currency: "USD".to_owned() };
    let mut found = fixtures::intrusion("i", NOW_MS);
    writer.write(&[fixtures::opened(found.clone())], NOW_MS).await;
    let now = store.glance(&price, NOW_MS).await.unwrap();
    assert_eq!((now.intrusion_now.incidents, now.mining_now.incidents), (1, 0));
    found.mining = fixtures::mining(1.0);
    writer.write(&[fixtures::opened(found)], NOW_MS).await;
    let now = store.glance(&price, NOW_MS).await.unwrap();
    assert_eq!((now.intrusion_now.incidents, now.mining_now.incidents), (0, 1));
}

#[tokio::test]
async fn tables_stay_within_their_bounds_and_open_incidents_go_last() {
    let folder = tempdir().unwrap();
    let limits = Limits { incidents: 10, detections: 100, bytes: u32::MAX };
    let (store, mut writer) = open(folder.path(), limits).await;
    let reports = |n: u64| {
        let mut ended = fixtures::incident(&format!("ended-{n}"), NOW_MS + n, NOW_MS + n, 1.0);
        ended.state = IncidentState::Closed;
        vec![
            fixtures::found(fixtures::detection(&format!("d{n}"), NOW_MS + n)),
            Report::Outcome(Box::new(fixtures::outcome(n, "i", NOW_MS + n))),
            fixtures::opened(ended),
        ]
    };
    writer.write(&[fixtures::opened(fixtures::incident("open", 1, 1, 1.0))], NOW_MS).await;
    for batch in 0..10_u64 {
        let batch: Vec<Report> = (batch * 100..batch * 100 + 100).flat_map(reports).collect();
        assert_eq!(writer.write(&batch, NOW_MS).await, 0);
        for (table, bound) in [("incidents", 10), ("detections", 100), ("outcomes", 100)] {
            let count = format!("SELECT count(*) FROM {table}");
            let rows: i64 = sqlx::query_scalar(&count).fetch_one(&store.readers).await.unwrap();
            assert!(rows <= bound + 512 + 300, "{table} has {rows} rows");
        }
    }
    store.prune(NOW_MS).await.unwrap();
    let page = store
        .detections(&DetectionQuery { limit: PageLength(200), ..DetectionQuery::default() })
        .await
        .unwrap();
    let uids: Vec<String> = page.items.into_iter().map(|detection| detection.uid).collect();
    assert_eq!(uids, (900..1000).rev().map(|n| format!("d{n}")).collect::<Vec<_>>());
    let page = store.incidents(&IncidentQuery::default()).await.unwrap();
    let uids: Vec<String> = page.items.into_iter().map(|incident| incident.uid).collect();
    let want = (991..1000).rev().map(|n| format!("ended-{n}")).chain(["open".to_owned()]).collect::<Vec<_>>();
    assert_eq!(uids, want);
}

#[tokio::test]
async fn documents_stay_within_their_bytes() {
    let folder = tempdir().unwrap();
    let limits = Limits { incidents: 1000, detections: 1000, bytes: 64 * 1024 };
    let (store, mut writer) = open(folder.path(), limits).await;
    let mut large = fixtures::detection("", NOW_MS);
    large.why.en = "x".repeat(10 * 1024);
    for n in 0..100 {
        large.uid = format!("d{n:02}");
        large.at_ms = NOW_MS + n;
        assert_eq!(writer.write(&[fixtures::found(large.clone())], NOW_MS).await, 0);
    }
    store.prune(NOW_MS).await.unwrap();
    let (rows, bytes, newest): (i64, i64, String) =
        sqlx::query_as("SELECT count(*), sum(bytes), max(uid) FROM detections")
            .fetch_one(&store.readers)
            .await
            .unwrap();
    assert!(rows > 0 && bytes <= 64 * 1024, "{rows} rows of {bytes} bytes");
    assert_eq!(newest, "d99");
}

#[tokio::test]
async fn load_is_kept_by_ten_seconds_for_a_day_and_by_five_minutes_for_thirty() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    let day_ms = 86_400_000;
    let mut reports = Vec::new();
    for age_days in [0, 2, 29, 31] {
        let from_ms = NOW_MS - age_days * day_ms;
        // Ten minutes by 5 s; the second of each pair is 20 higher.
        reports.extend(
            (0..120).rev().map(|n| {
                Report::Load(fixtures::load(from_ms - n * 5000, if n % 2 == 0 { 60.0 } else { 40.0 }))
            }),
        );
    }
    assert_eq!(writer.write(&reports, NOW_MS).await, 0);
    store.prune(NOW_MS).await.unwrap();
    let slots: Vec<(i64, i64, f64)> = sqlx::query_as(
        "SELECT step_ms, (? - slot_ms) / 86400000, avg(cpu_percent) FROM load_samples GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind(signed(NOW_MS))
    .fetch_all(&store.readers)
    .await
    .unwrap();
    let ages: Vec<(i64, i64)> = slots.iter().map(|(step, age, _)| (*step, *age)).collect();
    assert_eq!(ages, [(10_000, 0), (300_000, 0), (300_000, 2), (300_000, 29)]);
    assert!(slots.iter().all(|(_, _, cpu)| (45.0..=55.0).contains(cpu)), "{slots:?}");
}

#[tokio::test]
async fn the_hours_curve_has_at_most_360_points_and_none_of_the_future() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    let reports: Vec<Report> =
        (0..900).map(|n| Report::Load(fixtures::load(NOW_MS + 600_000 - n * 5000, 50.0))).collect();
    writer.write(&reports, NOW_MS).await;
    let price = Price { per_cpu_hour: 1.0, currency: "USD".to_owned() };
    let series = store.glance(&price, NOW_MS).await.unwrap().series;
    assert_eq!(series.len(), 360);
    assert_eq!(series.last().unwrap().at_ms, NOW_MS);
    assert!(series.is_sorted_by_key(|point| point.at_ms));
}

#[tokio::test]
async fn a_days_cost_follows_the_rate_of_now_not_the_average_of_a_life() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    let price = Price { per_cpu_hour: 1.0, currency: "USD".to_owned() };
    let share = async |store: &Store| store.glance(&price, NOW_MS).await.unwrap().mining_now;
    writer.write(&[Report::Host(fixtures::host())], NOW_MS).await;
    // Four processors for a minute, then half of one.
    writer.write(&[fixtures::opened(fixtures::incident("i", NOW_MS, NOW_MS + 60_000, 240.0))], NOW_MS).await;
    let now = share(&store).await;
    assert_eq!((now.cpu_share_percent, now.cost_per_day), (100.0, 96.0));
    writer.write(&[fixtures::opened(fixtures::incident("i", NOW_MS, NOW_MS + 70_000, 245.0))], NOW_MS).await;
    let now = share(&store).await;
    assert_eq!((now.cpu_share_percent, now.cost_per_day), (12.5, 12.0));
    // A second report of the same moment says nothing of the rate.
    writer.write(&[fixtures::opened(fixtures::incident("i", NOW_MS, NOW_MS + 70_000, 245.0))], NOW_MS).await;
    assert_eq!(share(&store).await.cost_per_day, 12.0);
}

#[tokio::test]
async fn numbers_that_are_none_are_stored_as_nought_and_can_be_read_back_in_lists() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    let mut strange = fixtures::incident("i", NOW_MS, NOW_MS, f64::NAN);
    strange.mining.probability = f64::INFINITY;
    strange.mining.hash_rate_hs = Some(f64::NAN);
    strange.mining.cost = f64::NEG_INFINITY;
    let load = Report::Load(fixtures::load(NOW_MS, f64::NAN));
    assert_eq!(writer.write(&[fixtures::opened(strange), load], NOW_MS).await, 0);
    let page = store.incidents(&IncidentQuery::default()).await.unwrap();
    assert_eq!(page.items[0].probability, 0.0);
    assert_eq!(page.items[0].hash_rate_hs, None);
}

#[tokio::test]
async fn a_report_that_the_store_refuses_does_not_take_its_neighbours_with_it() {
    let folder = tempdir().unwrap();
    let (store, mut writer) = open(folder.path(), Limits::DEFAULT).await;
    sqlx::query(
        "CREATE TRIGGER refuse BEFORE INSERT ON detections WHEN new.uid = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .execute(&store.writer)
    .await
    .unwrap();
    let batch = ["a", "bad", "b"].map(|uid| fixtures::found(fixtures::detection(uid, NOW_MS)));
    assert_eq!(writer.write(&batch, NOW_MS).await, 1);
    assert_eq!(store.detections(&DetectionQuery::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn at_most_sixteen_links_and_sixty_four_cookies_are_good_at_a_time() {
    use crate::access::Token;
    let folder = tempdir().unwrap();
    let (store, _) = open(folder.path(), Limits::DEFAULT).await;
    let mut first = None;
    for n in 0..70 {
        let (token, cookie) = (Token::random().unwrap().hash(), Token::random().unwrap().hash());
        store.add_login(&token, NOW_MS, NOW_MS + 1000 + n).await.unwrap();
        assert!(store.redeem(&token, &cookie, NOW_MS + n, NOW_MS + 1_000_000).await.unwrap());
        assert!(store.session(&cookie, NOW_MS + n).await.unwrap().is_some());
        first.get_or_insert(cookie);
        store.add_login(&Token::random().unwrap().hash(), NOW_MS, NOW_MS + 1000 + n).await.unwrap();
    }
    assert_eq!(store.session(&first.unwrap(), NOW_MS).await.unwrap(), None);
    let (logins, sessions): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM logins), (SELECT count(*) FROM sessions)")
            .fetch_one(&store.readers)
            .await
            .unwrap();
    assert_eq!((logins, sessions), (16, 64));
}

/// Names the folder for the child of the test below.
const CHILD: &str = "MINESWEEP_TEST_STORE_CHILD";

/// Not a test by itself: stores incidents until it is killed, and says after each that it is stored.
#[tokio::test]
async fn child_that_stores_until_it_is_killed() {
    let Some(folder) = env::var_os(CHILD) else { return };
    let (_, mut writer) = open(Path::new(&folder), Limits::DEFAULT).await;
    for n in 0_u64.. {
        let uid = format!("i{n}");
        assert_eq!(writer.write(&[fixtures::opened(fixtures::incident(&uid, n, n, 1.0))], NOW_MS).await, 0);
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nstored {uid}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_said_to_be_stored_is_there_after_a_kill() {
    let folder = tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::tests::child_that_stores_until_it_is_killed", "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stored = Vec::new();
    for line in lines {
        if let Some(uid) = line.unwrap().strip_prefix("stored ") {
            stored.push(uid.to_owned());
        }
        if stored.len() == 100 {
            child.kill().unwrap(); // SIGKILL
            break;
        }
    }
    child.wait().unwrap();
    assert_eq!(stored.len(), 100);
    assert!(fs::metadata(folder.path().join("store.db-wal")).unwrap().len() > 0);
    let (store, _) = open(folder.path(), Limits::DEFAULT).await;
    for uid in stored {
        assert!(store.incident(&uid).await.unwrap().is_some(), "{uid} is gone");
    }
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&store.readers).await.unwrap();
    assert_eq!(sound, "ok");
}
