//! Programs that serve others over the network, and which shell below them is an intruder's.
//!
//! A data base has no reason to start a shell but to archive its own log; a web server has a few; an application may
//! have many, so there only what an intruder types is told. Names are matched on the executable; for what runs in an
//! interpreter, on its arguments. Learned exceptions per service are not made here.

use minesweep_model::{Process, Severity};

use super::{Found, Language, Understood, is_fetcher, is_net_pipe, language, plain_name};
use crate::tree::base_name;

/// How much a service starts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Nothing but what its settings name for its own log.
    Database,
    /// Mail, pictures, CGI programs.
    Web,
    /// Whatever its authors thought of.
    Application,
}

const DATABASES: [&str; 14] = [
    "redis-server",
    "valkey-server",
    "keydb-server",
    "mysqld",
    "mariadbd",
    "postgres",
    "postmaster",
    "mongod",
    "memcached",
    "clickhouse-server",
    "influxd",
    "couchdb",
    "arangod",
    "slapd",
];
const WEB: [&str; 11] = [
    "nginx",
    "apache2",
    "httpd",
    "lighttpd",
    "caddy",
    "php-fpm",
    "php-cgi",
    "litespeed",
    "lsphp",
    "traefik",
    "openresty",
];
/// First arguments with which `postgres` serves nobody.
const ALONE: [&str; 3] = ["--single", "--boot", "--check"];
/// Words in the arguments of an interpreter that serves.
const SERVING: [&str; 15] = [
    "gunicorn",
    "uwsgi",
    "uvicorn",
    "hypercorn",
    "celery",
    "flask",
    "django",
    "manage.py",
    "puma",
    "unicorn",
    "rails",
    "passenger",
    "artisan",
    "waitress-serve",
    "daphne",
];
/// Words in the arguments of programs that are built to start others: build servers, editors, package tools.
const WORKSHOP: [&str; 19] = [
    "jenkins",
    "agent.jar",
    "slave.jar",
    "remoting",
    "gradle",
    "maven",
    "mvn",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "node-gyp",
    "vscode",
    "code-server",
    "jupyter",
    "ipykernel",
    "buildagent",
    "eslint",
    "webpack",
];
/// What a person looks at first on a machine that is not theirs.
const LOOKING: [&str; 16] = [
    "id", "whoami", "uname", "hostname", "ifconfig", "netstat", "lscpu", "nproc", "w", "last", "getent",
    "arp", "lsof", "crontab", "chattr", "pkill",
];
/// Of these, what programs ask of themselves at start; they are nothing alone.
const ASKED_AT_START: [&str; 6] = ["uname", "hostname", "lscpu", "nproc", "getent", "lsof"];
/// More of them together are a look around.
const ASKED_MOST: usize = 2;
/// Commands with which PHP and CGI programs do their work.
const WEB_WORK: [&str; 16] = [
    "sendmail",
    "postdrop",
    "msmtp",
    "convert",
    "magick",
    "identify",
    "mogrify",
    "gs",
    "ffmpeg",
    "ffprobe",
    "exiftool",
    "wkhtmltopdf",
    "pdftotext",
    "rotatelogs",
    "cronolog",
    "git",
];

/// Whether a process serves others, and how.
pub(crate) fn service(process: &Process) -> Option<Service> {
    let name = base_name(&process.exe);
    let plain = plain_name(&process.exe);
    let is_one = |names: &[&str]| names.iter().any(|one| *one == name || *one == plain);
    if is_one(&DATABASES) {
        // What initdb runs: it makes the first tables, asks the system for its locales, and nobody can connect.
        let is_alone = process.argv.get(1).is_some_and(|arg| ALONE.contains(&arg.as_str()));
        return (!is_alone).then_some(Service::Database);
    }
    if is_one(&WEB) {
        return Some(Service::Web);
    }
    let has_word = |words: &[&str]| {
        process.argv.iter().take(64).any(|arg| words.iter().any(|word| base_name(arg).contains(word)))
    };
    let is_runtime = matches!(plain, "java" | "dotnet" | "beam.smp" | "catalina" | "w3wp" | "grafana-server");
    let is_serving = match language(&process.exe) {
        Some(Language::Node) => process.argv.len() > 1,
        Some(Language::Python | Language::Ruby | Language::Php | Language::Perl) => has_word(&SERVING),
        Some(Language::Shell | Language::Lua | Language::Awk | Language::Pwsh) => false,
        None => is_runtime || SERVING.contains(&name),
    };
    (is_serving && !has_word(&WORKSHOP)).then_some(Service::Application)
}

/// How bad it is that a service starts this; `None` when it is its work.
pub(crate) fn judge(service: Service, child: &Process, understood: &Understood) -> Option<Severity> {
    let is_attack = understood.found.iter().any(|found| match found {
        Found::DownloadRun { .. } | Found::Decoded { .. } | Found::Reverse { .. } => true,
        Found::Renamed { .. } | Found::Scanner { .. } | Found::ScannerInstalled { .. } => true,
    });
    let uses = |test: fn(&str) -> bool| understood.programs.iter().any(|name| test(name));
    let is_outward = understood.fetches.iter().any(|fetch| !is_local(&fetch.url)) || uses(is_net_pipe);
    let is_looking = uses(|name| LOOKING.contains(&name));
    if is_attack || is_outward && service != Service::Application {
        return Some(Severity::Critical);
    }
    match service {
        Service::Database if is_archiving(understood) => None,
        Service::Database if is_own_script(child) || is_packing(understood) => Some(Severity::Low),
        Service::Database => Some(Severity::Critical),
        Service::Web if is_looking || understood.is_reading => Some(Severity::Critical),
        Service::Web if is_own_script(child) || uses(|name| WEB_WORK.contains(&name)) => None,
        Service::Web => Some(Severity::Medium),
        Service::Application if understood.is_reading || is_outward && is_writing(understood) => {
            Some(Severity::High)
        }
        Service::Application if is_prying(understood) && !is_own_script(child) => Some(Severity::Medium),
        Service::Application => None,
    }
}

/// It is what such a judgement is about: a shell, an interpreter or a tool that fetches.
pub(crate) fn is_judged(process: &Process) -> bool {
    language(&process.exe).is_some() || is_fetcher(&process.exe) || is_net_pipe(&process.exe)
}

/// `archive_command` and `restore_command` of PostgreSQL, and the transfer scripts of MariaDB's cluster: they name a
/// piece of the log (24 hexadecimal digits, or its folder) and use nothing that speaks to strangers.
fn is_archiving(understood: &Understood) -> bool {
    let is_piece = |word: &str| {
        let name = base_name(word);
        let head = name.get(..24).unwrap_or_default();
        head.len() == 24 && head.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let is_tool = |name: &String| {
        ["pgbackrest", "barman-wal-archive", "barman-cloud-wal-archive", "wal-g", "wal-e", "pg_probackup"]
            .contains(&name.as_str())
            || name.starts_with("wsrep_sst_")
    };
    let words = || understood.form.split(' ').take(64);
    let is_log =
        words().any(|word| is_piece(word) || word.starts_with("pg_wal/") || word.ends_with(".history"));
    let is_plain =
        understood.programs.iter().all(|name| language(name).is_none_or(|one| one == Language::Shell));
    is_plain && (is_log || understood.programs.iter().any(is_tool))
}

/// An administrator's `COPY TO PROGRAM 'gzip > FILE'`: what reads the table only makes it smaller. Where the file goes
/// is for the rules of files.
fn is_packing(understood: &Understood) -> bool {
    const PACKERS: [&str; 8] = ["gzip", "gunzip", "zcat", "bzip2", "xz", "zstd", "lz4", "pigz"];
    let mut programs =
        understood.programs.iter().filter(|name| language(name) != Some(Language::Shell)).peekable();
    programs.peek().is_some() && programs.all(|name| PACKERS.contains(&name.as_str()))
}

/// An interpreter with a script of the system's own folders, or of the place where web programs lie.
fn is_own_script(process: &Process) -> bool {
    const FOLDERS: [&str; 9] = [
        "/usr/lib/",
        "/usr/share/",
        "/usr/bin/",
        "/usr/sbin/",
        "/etc/",
        "/opt/",
        "/srv/",
        "/var/www/",
        "/usr/local/",
    ];
    let script = process.argv.get(1).filter(|arg| !arg.starts_with('-'));
    script.is_some_and(|script| FOLDERS.iter().any(|folder| script.starts_with(folder)))
}

fn is_prying(understood: &Understood) -> bool {
    let looks = || understood.programs.iter().filter(|name| LOOKING.contains(&name.as_str()));
    looks().count() > ASKED_MOST || looks().any(|name| !ASKED_AT_START.contains(&name.as_str()))
}

fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    matches!(host, "localhost" | "127.0.0.1") || rest.starts_with("[::1]") || host.starts_with("127.")
}

fn is_writing(understood: &Understood) -> bool {
    const OPEN: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];
    OPEN.iter().any(|folder| understood.form.contains(folder))
}
