//! Who gets in, once, and what a stranger is told: over real https.

#[cfg(test)]
mod support;

use reqwest::{Method, header};
use support::{Stand, code, cookie, fixtures, meddle, parse, token};
use tempfile::tempdir;

#[tokio::test]
async fn a_login_link_is_good_once() {
    let folder = tempdir().unwrap();
    let mut stand = Stand::start(folder.path()).await;
    let link = stand.server.login_link().to_owned();
    assert!(link.starts_with(&format!("https://{}/login#token=", stand.address())), "{link}");
    let first = stand.log_in(&token(&link)).await;
    assert_eq!(first.status(), 204);
    let set = first.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in
        ["__Host-minesweep=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"]
    {
        assert!(set.contains(part), "{set}");
    }
    let second = stand.log_in(&token(&link)).await;
    assert_eq!(second.status(), 401);
    assert!(!second.headers().contains_key(header::SET_COOKIE));
    assert_eq!(code(second).await, "login_refused");
    stand.cookie = cookie(&first);
    assert!(stand.json("/api/session").await["expires_ms"].as_u64().unwrap() > support::now_ms());
    stand.stop().await;
}

#[tokio::test]
async fn of_many_that_come_with_one_link_at_the_same_time_one_gets_in() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let link = token(stand.server.login_link());
    let (a, b, c, d) =
        tokio::join!(stand.log_in(&link), stand.log_in(&link), stand.log_in(&link), stand.log_in(&link));
    let let_in = [a, b, c, d].iter().filter(|response| response.status() == 204).count();
    assert_eq!(let_in, 1);
    stand.stop().await;
}

#[tokio::test]
async fn a_new_link_can_be_had_while_the_server_runs() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let link = stand.server.new_login().await.unwrap();
    assert_ne!(link, stand.server.login_link());
    assert_eq!(stand.log_in(&token(&link)).await.status(), 204);
    assert_eq!(stand.log_in(&token(stand.server.login_link())).await.status(), 204);
    stand.stop().await;
}

#[tokio::test]
async fn a_link_that_is_too_old_is_refused() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    meddle(folder.path(), "UPDATE logins SET expires_ms = expires_ms - 15 * 60 * 1000").await;
    assert_eq!(code(stand.log_in(&token(stand.server.login_link())).await).await, "login_refused");
    stand.stop().await;
}

#[tokio::test]
async fn no_page_shows_anything_without_a_login() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let description = stand.json("/api/openapi.json").await;
    let described = description["paths"].as_object().unwrap().keys().map(|path| path.replace("{uid}", "x"));
    let hidden = ["/api", "/api/", "/api/none", "/api/openapi.json/", "/api/login/", "/api//overview"];
    for path in described.chain(hidden.map(str::to_owned)).filter(|path| path != "/api/login") {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS]
        {
            let asked = stand.ask(method.clone(), &path).header("x-minesweep", "1").send().await.unwrap();
            assert_eq!(asked.status(), 401, "{method} {path}");
        }
    }
    assert_eq!(stand.get("/healthz").await.text().await.unwrap(), "ok");
    for forged in ["", "0", "00112233445566778899aabbccddeeff", "' OR 1=1 --"] {
        let asked = stand.client.get(stand.url("/api/overview"));
        let asked = asked.header(header::COOKIE, format!("__Host-minesweep={forged}")).send().await.unwrap();
        assert_eq!(code(asked).await, "no_session");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_logout_ends_the_session_and_its_open_stream_and_no_other() {
    let folder = tempdir().unwrap();
    let mut stand = Stand::logged_in(folder.path()).await;
    let other_cookie = cookie(&stand.log_in(&token(&stand.server.new_login().await.unwrap())).await);
    let mut events = stand.events().await;
    let mine = std::mem::replace(&mut stand.cookie, other_cookie);
    let mut others = stand.events().await;
    let gone = stand.client.post(stand.url("/api/logout")).header("x-minesweep", "1");
    let gone = gone.header(header::COOKIE, &mine).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert!(gone.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert!(events.next().await.is_none());
    stand.server.feed().push(fixtures::found(fixtures::detection("d", 1)));
    assert_eq!(others.next().await.unwrap().1["uid"], "d");
    stand.json("/api/session").await;
    stand.cookie = mine;
    assert_eq!(stand.get("/api/session").await.status(), 401);
    stand.stop().await;
}

#[tokio::test]
async fn a_session_ends_after_its_twelve_hours() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    meddle(folder.path(), "UPDATE sessions SET ends_ms = ends_ms - 12 * 3600 * 1000").await;
    assert_eq!(stand.get("/api/session").await.status(), 401);
    stand.stop().await;
}

#[tokio::test]
async fn a_cookie_is_replaced_after_its_hour_and_the_old_one_lasts_for_requests_under_way() {
    let folder = tempdir().unwrap();
    let mut stand = Stand::logged_in(folder.path()).await;
    assert!(!stand.get("/api/session").await.headers().contains_key(header::SET_COOKIE));
    meddle(folder.path(), "UPDATE sessions SET issued_ms = issued_ms - 3600 * 1000").await;
    let replaced = stand.get("/api/session").await;
    let fresh = cookie(&replaced);
    assert_ne!(fresh, stand.cookie);
    let still = stand.get("/api/session").await;
    assert_eq!(still.status(), 200);
    assert!(!still.headers().contains_key(header::SET_COOKIE));
    meddle(folder.path(), "UPDATE sessions SET expires_ms = 1 WHERE is_replaced").await;
    assert_eq!(stand.get("/api/session").await.status(), 401);
    stand.cookie = fresh;
    stand.json("/api/session").await;
    stand.stop().await;
}

#[tokio::test]
async fn the_sixth_attempt_of_a_minute_is_told_to_wait_even_with_the_right_token() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    for _ in 0..5 {
        assert_eq!(stand.log_in("00112233445566778899aabbccddeeff").await.status(), 401);
    }
    let sixth = stand.log_in(&token(stand.server.login_link())).await;
    assert_eq!(sixth.status(), 429);
    let wait: u64 = sixth.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(code(sixth).await, "too_many_attempts");
    stand.stop().await;
}

#[tokio::test]
async fn a_change_from_another_site_is_refused() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    let home = format!("https://{}", stand.address());
    let ask = || stand.ask(Method::POST, "/api/logout");
    let unmarked = ask().send().await.unwrap();
    assert_eq!(unmarked.status(), 403);
    assert_eq!(code(unmarked).await, "foreign_origin");
    for foreign in ["https://evil.test", "null", "http://127.0.0.1", &home.replace("https", "http")] {
        let asked = ask().header("x-minesweep", "1").header(header::ORIGIN, foreign).send().await.unwrap();
        assert_eq!(asked.status(), 403, "{foreign}");
    }
    stand.json("/api/session").await;
    let asked = ask().header("x-minesweep", "1").header(header::ORIGIN, home).send().await.unwrap();
    assert_eq!(asked.status(), 204);
    stand.stop().await;
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_and_our_own_is_served() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let asked =
        stand.client.get(stand.url("/healthz")).header(header::HOST, "evil.test").send().await.unwrap();
    assert_eq!(asked.status(), 421);
    assert_eq!(code(asked).await, "foreign_host");
    let local = stand.client.get(format!("https://localhost:{}/healthz", stand.address().port()));
    assert_eq!(local.send().await.unwrap().status(), 200);
    let none = stand.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(none.starts_with("HTTP/1.1 400"), "{none}");
    let two = stand
        .raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
    assert!(two.await.starts_with("HTTP/1.1 400"));
    stand.stop().await;
}

#[tokio::test]
async fn a_body_that_is_broken_foreign_or_too_long_is_refused_and_the_server_goes_on() {
    let folder = tempdir().unwrap();
    for (body, status, want) in [
        ("{".to_owned(), 400, "bad_request"),
        ("[]".to_owned(), 400, "bad_request"),
        ("{\"token\":7}".to_owned(), 400, "bad_request"),
        ("{\"token\":\"x\",\"more\":1}".to_owned(), 400, "bad_request"),
        (format!("{{\"token\":\"{}\"}}", "x".repeat(64 * 1024)), 413, "too_large"),
        ("{\"token\":\"x\"}".to_owned(), 401, "login_refused"),
    ] {
        let stand = Stand::start(folder.path()).await;
        let asked = stand.post("/api/login").body(body).send().await.unwrap();
        assert_eq!(asked.status(), status);
        assert_eq!(code(asked).await, want);
        assert_eq!(stand.log_in(&token(stand.server.login_link())).await.status(), 204);
        stand.stop().await;
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_other_sites_out() {
    let folder = tempdir().unwrap();
    let stand = Stand::logged_in(folder.path()).await;
    for path in
        ["/", "/login", "/assets/none.js", "/healthz", "/api/overview", "/api/none", "/api/openapi.json"]
    {
        let asked = stand.get(path).await;
        let header = |name: &str| asked.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let policy = header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
        assert_eq!(header("strict-transport-security"), None, "{path}");
        assert!(header("cache-control").is_some(), "{path}");
        if path.starts_with("/api") {
            assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
        }
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_the_console() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    for path in [
        "/../Cargo.toml",
        "/../../../../../../etc/passwd",
        "/assets/../../Cargo.toml",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/..\\..\\etc\\passwd",
        "/etc/passwd%00.html",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = stand.raw(head.as_bytes()).await;
        assert!(!answer.contains("root:") && !answer.contains("[package]"), "{path}: {answer}");
        let status = answer.get(9..12).unwrap().to_owned();
        assert!(["200", "400", "404", "503"].contains(&status.as_str()), "{path}: {answer}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    // Returns when the server closes, after its 10 s.
    let slow = stand.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await;
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 408"), "{slow}");
    let long =
        [b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ".as_slice(), &[b'a'; 20_000], b"\r\n\r\n"].concat();
    assert!(stand.raw(&long).await.starts_with("HTTP/1.1 431"));
    stand.stop().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_all_the_same() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nx-minesweep: 1\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\nConnection: close\r\n\r\n{";
    let answer = stand.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("timed_out"), "{answer}");
    stand.stop().await;
}

#[tokio::test]
async fn an_answer_is_compressed_for_who_can_read_it() {
    let folder = tempdir().unwrap();
    let stand = Stand::start(folder.path()).await;
    let asked = stand
        .ask(Method::GET, "/api/openapi.json")
        .header(header::ACCEPT_ENCODING, "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(parse(stand.get("/api/openapi.json").await).await["info"]["title"], "Minesweep");
    stand.stop().await;
}
