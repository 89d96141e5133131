//! What was pushed is what is shown, live and after a restart: over real https and a real store.

#[cfg(test)]
mod support;

use minesweep_model::{Entry, Incident, IncidentState, Report, Severity, Text};
use minesweep_server::Server;
use reqwest::header;
use serde_json::{Value, json};
use support::{Stand, code, config, fixtures, now_ms};
use tempfile::tempdir;

#[tokio::test]
async fn a_watching_page_gets_each_report_as_it_was_pushed() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut events = stand.events().await;
    let reports = [
        Report::Host(fixtures::host()),
        fixtures::opened(fixtures::incident("i", 1000, 2000, 1.0)),
        fixtures::found(fixtures::detection("d", 1000)),
        Report::Outcome(Box::new(fixtures::outcome(1, "i", 3000))),
        Report::Load(fixtures::load(1000, 50.0)),
    ];
    for report in reports {
        stand.server.feed().push(report.clone());
        let (name, data) = events.next().await.unwrap();
        assert_eq!(name, "report");
        assert_eq!(serde_json::from_value::<Report>(data).unwrap(), report);
    }
    stand.stop().await;
}

#[tokio::test]
async fn the_first_page_shows_what_was_pushed() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let empty = stand.json("/api/overview").await;
    assert_eq!(empty["load"], Value::Null);
    assert_eq!(empty["mining_now"]["hash_rate_hs"], Value::Null);
    assert_eq!(empty["mining_now"]["since_ms"], Value::Null);
    let now_ms = now_ms();
    let minute_ago = now_ms - 60_000;
    let mut stopped = fixtures::incident("stopped", minute_ago - 1000, now_ms, 60.0);
    stopped.state = IncidentState::Contained;
    let mut ended = fixtures::incident("ended", minute_ago, now_ms, 60.0);
    ended.state = IncidentState::Closed;
    stand
        .push(vec![
            Report::Host(fixtures::host()),
            Report::Load(fixtures::load(now_ms - 20_000, 40.0)),
            Report::Load(fixtures::load(now_ms, 80.0)),
            fixtures::found(fixtures::detection("new", now_ms)),
            fixtures::found(fixtures::detection("old", now_ms - 25 * 3_600_000)),
            fixtures::opened(fixtures::incident("going", minute_ago, now_ms, 120.0)),
            fixtures::opened(stopped),
            fixtures::opened(ended),
        ])
        .await;
    let page = stand.json("/api/overview").await;
    assert_eq!(page["host"]["name"], "node-1");
    assert_eq!(page["load"]["cpu_percent"], 80.0);
    assert_eq!(page["counts"][0]["lost"], 1);
    assert_eq!(page["queue_lost"], 0);
    assert_eq!(page["price"]["currency"], "USD");
    let series = page["series"].as_array().unwrap();
    assert_eq!(
        series.iter().map(|point| point["cpu_percent"].as_f64().unwrap()).collect::<Vec<_>>(),
        [40.0, 80.0]
    );
    let now = &page["mining_now"];
    assert_eq!((now["incidents"].as_u64(), now["processes"].as_u64()), (Some(1), Some(1)));
    assert_eq!(now["since_ms"].as_u64(), Some(minute_ago));
    assert_eq!(now["hash_rate_hs"], 1000.0);
    assert_eq!(now["probability_max"], 0.99);
    // 120 s of CPU in 60 s are two of four processors, and 2 * 24 h at 0.05.
    assert_eq!(now["cpu_share_percent"], 50.0);
    assert!((now["cost_per_day"].as_f64().unwrap() - 2.4).abs() < 1e-9);
    let totals = &page["totals"];
    for (name, want) in [("open", 1), ("contained", 1), ("closed", 1), ("detections_24h", 1)] {
        assert_eq!(totals[name], want, "{name}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn incidents_are_filtered_searched_and_paged_without_losing_any() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut reports: Vec<Report> =
        (0..5).map(|n| fixtures::opened(fixtures::incident(&format!("same-{n}"), 5000, 6000, 1.0))).collect();
    let mut other = fixtures::incident("other", 4000, 6000, 1.0);
    other.state = IncidentState::Closed;
    other.mining.wallet = Some("0xABCDEF_100%".to_owned());
    reports.push(fixtures::opened(other));
    stand.push(reports).await;

    let mut seen = Vec::new();
    let mut path = "/api/incidents?limit=2".to_owned();
    loop {
        let page = stand.json(&path).await;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|line| line["uid"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/incidents?limit=2&before={next}");
    }
    assert_eq!(seen, ["same-4", "same-3", "same-2", "same-1", "same-0", "other"]);

    let count = async |query: &str| {
        stand.json(&format!("/api/incidents?{query}")).await["items"].as_array().unwrap().len()
    };
    for (query, want) in [
        ("state=open", 5),
        ("state=closed", 1),
        ("state=contained", 0),
        ("state=all", 6),
        ("before=5000", 1),
        ("q=abcdef_100%25", 1),
        ("q=ABCDEF+KWORKER", 1),
        ("q=abcdef+nothing", 0),
        ("q=%E6%8C%96%E7%9F%BF", 6),
        ("q=", 6),
        ("q=mining.stratum&state=closed", 1),
    ] {
        assert_eq!(count(query).await, want, "{query}");
    }
    let line = &stand.json("/api/incidents?state=closed").await["items"][0];
    assert_eq!(line["root"]["comm"], "kworker");
    assert_eq!(line["pids"][0], 812);
    assert_eq!(line["rules"][0], "mining.stratum");
    stand.stop().await;
}

/// Mining that began with an intrusion: one incident of both.
fn mining_after_an_intrusion(uid: &str, since_ms: u64) -> Incident {
    let mut both = fixtures::intrusion(uid, since_ms);
    let mining = fixtures::incident(uid, since_ms, since_ms + 10, 1.0);
    both.mining = mining.mining;
    both.processes.push(fixtures::process(813).key);
    both.findings.extend(mining.findings);
    both.evidence.extend(mining.evidence);
    both
}

#[tokio::test]
async fn an_intrusion_without_mining_is_no_mining_now_and_has_a_sum_of_its_own() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let nothing = stand.json("/api/overview").await["intrusion_now"].clone();
    assert_eq!(nothing["incidents"], 0);
    for name in ["worst", "since_ms", "last_step_ms"] {
        assert_eq!(nothing[name], Value::Null, "{name}");
    }
    let mut worse = fixtures::intrusion("worse", 5000);
    worse.severity = Severity::Critical;
    let mut ended = fixtures::intrusion("ended", 1000);
    ended.state = IncidentState::Closed;
    let first = fixtures::intrusion("first", 4000);
    stand.push([worse, ended, first].map(fixtures::opened).to_vec()).await;
    let page = stand.json("/api/overview").await;
    let now = &page["intrusion_now"];
    assert_eq!((now["incidents"].as_u64(), now["worst"].as_str()), (Some(2), Some("critical")));
    assert_eq!((now["since_ms"].as_u64(), now["last_step_ms"].as_u64()), (Some(4000), Some(5007)));
    let mining = &page["mining_now"];
    assert_eq!((mining["incidents"].as_u64(), mining["processes"].as_u64()), (Some(0), Some(0)));
    assert_eq!(page["totals"]["open"], 2);

    stand.push(vec![fixtures::opened(mining_after_an_intrusion("both", 6000))]).await;
    let page = stand.json("/api/overview").await;
    assert_eq!(page["intrusion_now"]["incidents"], 2, "what mines is shown as mining");
    let mining = &page["mining_now"];
    // The shell of the intruder is in the incident too, and mines nothing.
    assert_eq!((mining["incidents"].as_u64(), mining["processes"].as_u64()), (Some(1), Some(1)));
    stand.stop().await;
}

#[tokio::test]
async fn a_line_of_an_intrusion_says_from_where_how_far_and_how_bad_it_came() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    stand
        .push(vec![
            fixtures::opened(fixtures::intrusion("intrusion", 1000)),
            fixtures::opened(mining_after_an_intrusion("both", 2000)),
            fixtures::opened(fixtures::incident("mining", 3000, 3000, 1.0)),
        ])
        .await;
    let page = stand.json("/api/incidents").await;
    let line = |n: usize| page["items"][n].clone();
    let (mining, both, intrusion) = (line(0), line(1), line(2));
    assert_eq!((&intrusion["is_mining"], &intrusion["is_intrusion"]), (&json!(false), &json!(true)));
    assert_eq!((&both["is_mining"], &both["is_intrusion"]), (&json!(true), &json!(true)));
    assert_eq!((&mining["is_mining"], &mining["is_intrusion"]), (&json!(true), &json!(false)));
    assert_eq!(intrusion["steps"], 2);
    assert_eq!(intrusion["stages"], json!(["TA0001", "TA0011"]));
    assert_eq!(intrusion["source"], "192.0.2.44", "without its port, and as the IPv4 address that it is");
    assert_eq!(intrusion["worst_step"]["en"], "title of login");
    assert_eq!(intrusion["last_step_ms"], 1007);
    assert_eq!(mining["source"], Value::Null, "a pool is where it goes, not where it comes from");
    assert_eq!(mining["worst_step"], Value::Null);

    let uids = async |query: &str| {
        let page = stand.json(&format!("/api/incidents?{query}")).await;
        let uids =
            page["items"].as_array().unwrap().iter().map(|line| line["uid"].as_str().unwrap().to_owned());
        uids.collect::<Vec<_>>()
    };
    assert_eq!(uids("about=all").await, ["mining", "both", "intrusion"]);
    assert_eq!(uids("about=mining").await, ["mining", "both"]);
    assert_eq!(uids("about=intrusion").await, ["both", "intrusion"]);
    assert_eq!(uids("about=intrusion&state=closed").await, Vec::<String>::new());
    assert_eq!(uids("q=192.0.2.44").await, ["both", "intrusion"]);
    stand.stop().await;
}

#[tokio::test]
async fn the_page_of_an_incident_has_its_stages_its_entry_and_its_source() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut seen = fixtures::intrusion("seen", 1000);
    let text = Text::new("nginx was asked POST /run", "nginx 收到请求 POST /run");
    seen.entry = Some(Entry { at_ms: 900, remote: Some("203.0.113.7:40000".parse().unwrap()), text });
    let mut out_only = fixtures::intrusion("out", 1000);
    out_only.findings.remove(0);
    stand
        .push(vec![
            fixtures::opened(fixtures::intrusion("intrusion", 1000)),
            fixtures::opened(out_only),
            fixtures::opened(seen),
            fixtures::opened(fixtures::incident("mining", 3000, 3000, 1.0)),
        ])
        .await;
    let story = stand.json("/api/incidents/intrusion").await["story"].clone();
    assert_eq!(story["entry"]["text"]["en"], "a login was sent");
    assert_eq!((&story["entry"]["at_ms"], &story["source"]), (&json!(1000), &json!("192.0.2.44")));
    let stage = &story["stages"][0];
    assert_eq!((&stage["tactic"], &stage["name"]), (&json!("TA0001"), &json!("Name of TA0001")));
    assert_eq!(
        (&stage["steps"], &stage["stopped"], &stage["first_ms"]),
        (&json!(1), &json!(0), &json!(1000))
    );
    let story = stand.json("/api/incidents/seen").await["story"].clone();
    assert_eq!(story["entry"]["text"]["en"], "nginx was asked POST /run", "what the agent saw goes first");
    assert_eq!(story["source"], "203.0.113.7");
    let story = stand.json("/api/incidents/out").await["story"].clone();
    assert_eq!(story["entry"], Value::Null, "a server that something was fetched from is no entry");
    let story = stand.json("/api/incidents/mining").await["story"].clone();
    assert_eq!((&story["is_mining"], &story["is_intrusion"]), (&json!(true), &json!(false)));
    assert_eq!((&story["entry"], &story["source"]), (&Value::Null, &Value::Null));
    stand.stop().await;
}

#[tokio::test]
async fn a_closed_incident_stays_closed_until_something_newer_is_seen() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut found = fixtures::intrusion("i", 1000);
    stand.push(vec![fixtures::opened(found.clone())]).await;
    let mut events = stand.events().await;
    let asked = stand.post("/api/incidents/i/close").send().await.unwrap();
    assert_eq!(asked.status(), 204);
    assert_eq!(events.next().await.unwrap().1["change"], "closed", "pages that watch are told");
    let state = async || stand.json("/api/incidents/i").await["state"].clone();
    assert_eq!(state().await, "closed");
    assert_eq!(stand.json("/api/incidents").await["items"][0]["state"], "closed");
    assert_eq!(stand.json("/api/overview").await["intrusion_now"]["incidents"], 0);

    // The service that was broken into goes on working.
    found.changed_ms = now_ms() + 5000;
    found.mining.cpu_seconds = 9.0;
    stand.push(vec![fixtures::opened(found.clone())]).await;
    assert_eq!(state().await, "closed");
    found.findings.push(fixtures::step("again", now_ms() + 6000, Severity::Low, None, "TA0002"));
    stand.push(vec![fixtures::opened(found)]).await;
    assert_eq!(state().await, "open");
    assert_eq!(stand.json("/api/overview").await["intrusion_now"]["incidents"], 1);

    let asked = stand.post("/api/incidents/none/close").send().await.unwrap();
    assert_eq!((asked.status().as_u16(), code(asked).await.as_str()), (404, "not_found"));
    let asked = stand.ask(reqwest::Method::POST, "/api/incidents/i/close").send().await.unwrap();
    assert_eq!(asked.status(), 403, "another site cannot close it");
    stand.stop().await;
}

#[tokio::test]
async fn an_intrusion_without_mining_stays_open_over_a_restart() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let both = mining_after_an_intrusion("both", 1000);
    stand.push(vec![fixtures::opened(fixtures::intrusion("i", 1000)), fixtures::opened(both)]).await;
    let cookie = stand.cookie.clone();
    stand.stop().await;
    let mut stand = Stand::start(folder.path()).await;
    stand.cookie = cookie;
    assert_eq!(stand.json("/api/incidents/i").await["state"], "open");
    assert_eq!(
        stand.json("/api/incidents/both").await["state"],
        "closed",
        "a miner that runs is found again"
    );
    stand.stop().await;
}

#[tokio::test]
async fn detections_are_filtered_by_rule_and_severity() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut weak = fixtures::detection("weak", 2000);
    weak.rule = "mining.steady-cpu".to_owned();
    weak.severity = Severity::Low;
    stand.push(vec![fixtures::found(fixtures::detection("strong", 1000)), fixtures::found(weak)]).await;
    let uids = async |query: &str| {
        let page = stand.json(&format!("/api/detections?{query}")).await;
        let uids =
            page["items"].as_array().unwrap().iter().map(|item| item["uid"].as_str().unwrap().to_owned());
        uids.collect::<Vec<_>>()
    };
    assert_eq!(uids("").await, ["weak", "strong"]);
    assert_eq!(uids("min_severity=medium").await, ["strong"]);
    assert_eq!(uids("rule=mining.steady-cpu").await, ["weak"]);
    assert_eq!(uids("limit=1").await, ["weak"]);
    stand.stop().await;
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_refused_by_name() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let long = format!("q={}", "x".repeat(201));
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "before=x",
        "before=x:y",
        "state=none",
        "about=none",
        "more=1",
        &long,
    ] {
        let asked = stand.get(&format!("/api/incidents?{query}")).await;
        assert_eq!(asked.status(), 400, "{query}");
        assert_eq!(code(asked).await, "bad_request", "{query}");
    }
    assert_eq!(stand.get("/api/detections?min_severity=9").await.status(), 400);
    assert_eq!(code(stand.get("/api/incidents/none").await).await, "not_found");
    assert_eq!(code(stand.get("/api/none").await).await, "not_found");
    assert_eq!(code(stand.post("/api/overview").send().await.unwrap()).await, "wrong_method");
    stand.stop().await;
}

#[tokio::test]
async fn an_incident_is_shown_whole_with_what_was_done_after_its_last_report() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut incident = fixtures::incident("i / 挖", 1000, 2000, 1.0);
    incident.outcomes.push(fixtures::outcome(1, "i / 挖", 1500));
    let outcomes = [1, 2].map(|entry| Report::Outcome(Box::new(fixtures::outcome(entry, "i / 挖", 1500))));
    let others = Report::Outcome(Box::new(fixtures::outcome(3, "else", 1500)));
    stand.push([vec![fixtures::opened(incident.clone()), others], outcomes.to_vec()].concat()).await;
    incident.outcomes.push(fixtures::outcome(2, "i / 挖", 1500));
    let got = stand.json("/api/incidents/i%20%2F%20%E6%8C%96").await;
    assert_eq!(serde_json::from_value::<Incident>(got).unwrap(), incident);
    stand.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_data_sessions_and_certificate() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    stand
        .push(vec![Report::Host(fixtures::host()), fixtures::opened(fixtures::incident("i", 1, 2, 1.0))])
        .await;
    let (cookie, fingerprint) = (stand.cookie.clone(), stand.server.fingerprint().to_owned());
    stand.stop().await;
    let mut stand = Stand::start(folder.path()).await;
    stand.cookie = cookie;
    assert_eq!(stand.server.fingerprint(), fingerprint);
    assert_eq!(stand.json("/api/incidents").await["items"][0]["uid"], "i");
    assert_eq!(stand.json("/api/overview").await["host"]["name"], "node-1");
    stand.stop().await;
}

#[tokio::test]
async fn what_was_queued_when_the_server_stops_is_stored() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let cookie = stand.cookie.clone();
    for n in 0..3000 {
        stand.server.feed().push(fixtures::found(fixtures::detection(&format!("d{n}"), now_ms())));
    }
    stand.stop().await;
    let mut stand = Stand::start(folder.path()).await;
    stand.cookie = cookie;
    assert_eq!(stand.json("/api/overview").await["totals"]["detections_24h"], 3000);
    stand.stop().await;
}

#[tokio::test]
async fn a_full_queue_drops_what_does_not_fit_and_says_how_much() {
    let folder = tempdir().unwrap();
    let server = Server::open(config(folder.path())).await.unwrap();
    let feed = server.feed();
    for n in 0..4096 + 7 {
        feed.push(fixtures::found(fixtures::detection(&format!("d{n}"), now_ms())));
    }
    assert_eq!(feed.lost(), 7);
    let mut stand = Stand::run(server, folder.path());
    stand.cookie = support::cookie(&stand.log_in(&support::token(stand.server.login_link())).await);
    stand.push(Vec::new()).await;
    assert_eq!(stand.json("/api/overview").await["queue_lost"], 7);
    stand.stop().await;
}

#[tokio::test]
async fn a_page_that_does_not_read_is_told_what_it_missed_and_slows_nobody() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut slow = stand.events().await;
    let mut quick = stand.events().await;
    // 24 MB: more than the sockets between us hold.
    let mut large = fixtures::detection("large", 1);
    large.why.en = "x".repeat(8 * 1024);
    for n in 0..3000 {
        large.uid = format!("d{n}");
        stand.server.feed().push(fixtures::found(large.clone()));
    }
    while quick.next().await.unwrap().1["uid"] != "d2999" {}
    let mut missed = 0;
    let mut got = 0;
    loop {
        let (name, data) = slow.next().await.unwrap();
        match name.as_str() {
            "lagged" => missed += data["missed"].as_u64().unwrap(),
            _ => got += 1,
        }
        if data["uid"] == "d2999" {
            break;
        }
    }
    assert!(missed > 0);
    assert_eq!(missed + got, 3000);
    assert_eq!(stand.server.feed().lost(), 0);
    stand.stop().await;
}

#[tokio::test]
async fn the_sixty_fifth_stream_is_refused_and_a_closed_one_makes_room() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(stand.events().await);
    }
    let refused = stand.get("/api/events").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(code(refused).await, "too_many_streams");
    streams.clear();
    while stand.get("/api/events").await.status() == 503 {}
    stand.stop().await;
}

#[tokio::test]
async fn the_server_stops_though_a_page_still_watches() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let mut events = stand.events().await;
    let (_, end) = tokio::join!(stand.stop(), events.next());
    assert!(end.is_none());
}

#[tokio::test]
async fn the_stream_is_neither_compressed_nor_cached() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let asked = stand.ask(reqwest::Method::GET, "/api/events").header(header::ACCEPT_ENCODING, "gzip");
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(!asked.headers().contains_key(header::CONTENT_ENCODING));
    assert!(["no-cache", "no-store"].contains(&asked.headers()[header::CACHE_CONTROL].to_str().unwrap()));
    drop(asked);
    stand.stop().await;
}

#[tokio::test]
async fn what_an_earlier_run_left_open_is_closed_until_it_is_reported_again() {
    let folder = tempdir().unwrap();
    let incident = fixtures::incident("i", 1000, 2000, 1.0);
    let mut contained = fixtures::incident("c", 1000, 2000, 1.0);
    contained.state = IncidentState::Contained;
    let stand = Stand::logged_in(folder.path()).await;
    stand.push(vec![fixtures::opened(incident.clone()), fixtures::opened(contained.clone())]).await;
    let cookie = stand.cookie.clone();
    stand.stop().await;
    let mut stand = Stand::start(folder.path()).await;
    stand.cookie = cookie;
    assert_eq!(stand.json("/api/overview").await["mining_now"]["incidents"], 0);
    assert_eq!(stand.json("/api/overview").await["totals"]["closed"], 2);
    assert_eq!(stand.json("/api/incidents").await["items"][0]["state"], "closed");
    contained.state = IncidentState::Closed;
    let got = stand.json("/api/incidents/c").await;
    assert_eq!(serde_json::from_value::<Incident>(got).unwrap(), contained);
    stand.push(vec![fixtures::opened(incident)]).await;
    assert_eq!(stand.json("/api/overview").await["mining_now"]["incidents"], 1);
    stand.stop().await;
}
