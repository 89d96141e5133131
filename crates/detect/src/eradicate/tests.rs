use minesweep_model::{
    HidingFact, Origin, Owner, ProcMount, Process, ProcessKey,
    clean::{Does, Form, Item, Phase, Place, Remedy, Spot, Survey, TextLine},
};

use super::*;

fn process(pid: u32, parent: u32, exe: &str, argv: &[&str]) -> Process {
    Process {
        parent_pid: parent,
        exe: exe.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        origin: Origin::Disk,
        ..Process::unknown(ProcessKey { pid, start_ticks: 1 })
    }
}

fn whole(spot: Spot, path: &str, names: &[&str]) -> Item {
    Item {
        spot,
        place: Place { path: Bytes(path.as_bytes().to_vec()), ..Place::default() },
        line: None,
        names: names.iter().map(|name| Bytes(name.as_bytes().to_vec())).collect(),
        user: String::new(),
        flags: 0,
        changed_ms: 0,
        hides: false,
    }
}

fn line(spot: Spot, path: &str, number: u32, text: &str, names: &[&str]) -> Item {
    let line = TextLine { number, text: Bytes(text.as_bytes().to_vec()) };
    Item { line: Some(line), ..whole(spot, path, names) }
}

fn survey(items: Vec<Item>, processes: Vec<Process>) -> Survey {
    let owned = ["/usr/bin/bash", "/usr/bin/dash", "/usr/bin/python3", "/usr/bin/backup", "/usr/sbin/cron"];
    let owned = owned.iter().map(|path| (Bytes(path.as_bytes().to_vec()), "package".to_owned())).collect();
    Survey { items, processes, owned, ..Survey::default() }
}

fn miner(pid: u32, parent: u32) -> Process {
    process(pid, parent, "/tmp/.x/go", &["go"])
}

fn planned(survey: &Survey, bad: &[u32], spared: &[u32]) -> Vec<String> {
    let by_pid = |pid: &u32| survey.processes.iter().find(|process| process.key.pid == *pid).cloned();
    let suspects = Suspects {
        processes: bad.iter().filter_map(by_pid).collect(),
        spared: spared.iter().filter_map(by_pid).map(|process| process.key).collect(),
        ..Suspects::default()
    };
    plan(survey, &suspects, b"/").steps.iter().map(|step| told(step.phase, &step.does)).collect()
}

fn told(phase: Phase, does: &Does) -> String {
    match does {
        Does::Freeze(process) => format!("freeze {}", process.key.pid),
        Does::Kill(process) => format!("kill {}", process.key.pid),
        Does::Change(remedy) => {
            let name = match &**remedy {
                Remedy::Quarantine { .. } => "take",
                Remedy::DropLines { lines, .. } => {
                    return format!("drop {} of {}", lines.len(), text(remedy));
                }
                Remedy::Replace { .. } => "replace",
                Remedy::SetFlags { .. } => "unlock",
                Remedy::Unmount { .. } => "unmount",
                Remedy::StopUnit { .. } => "stop",
                Remedy::ReloadUnits => return "reload".to_owned(),
                _ => "other",
            };
            assert!(phase != Phase::Freeze);
            format!("{name} {}", text(remedy))
        }
    }
}

fn text(remedy: &Remedy) -> String {
    String::from_utf8_lossy(remedy.subject()).into_owned()
}

#[test]
fn a_miner_its_guard_and_what_starts_them_go_in_the_right_order_and_honest_lines_stay() {
    let cron = "/var/spool/cron/crontabs/root";
    let items = vec![
        line(Spot::CronLine, cron, 1, "5 * * * * /usr/bin/backup", &["/usr/bin/backup"]),
        line(Spot::CronLine, cron, 2, "* * * * * /tmp/.x/guard", &["/tmp/.x/guard"]),
        whole(Spot::Unit, "/etc/systemd/system/net.service", &["/tmp/.x/go"]),
        whole(Spot::Unit, "/etc/systemd/system/net.timer", &[]),
        whole(
            Spot::UnitLink,
            "/etc/systemd/system/multi-user.target.wants/net.service",
            &["/etc/systemd/system/net.service"],
        ),
        whole(Spot::Unit, "/etc/systemd/system/own.service", &["/usr/bin/backup"]),
        whole(Spot::Hideout, "/tmp/.x/go", &[]),
        whole(Spot::Hideout, "/tmp/.x/guard", &["/tmp/.x/go"]),
        whole(Spot::Hideout, "/tmp/.x/config.json", &[]),
        Item {
            place: Place { form: Form::Folder, ..whole(Spot::Hideout, "/tmp/.x", &[]).place },
            ..whole(Spot::Hideout, "/tmp/.x", &[])
        },
        whole(Spot::Hideout, "/tmp/upload.tmp", &[]),
    ];
    let processes = vec![
        process(1, 0, "/usr/bin/init", &["init"]),
        process(50, 1, "/usr/sbin/cron", &["cron"]),
        process(60, 1, "/usr/bin/dash", &["/bin/sh", "/tmp/.x/guard"]),
        miner(70, 60),
        process(71, 60, "/usr/bin/sleep", &["sleep", "5"]),
        process(80, 1, "/usr/bin/python3", &["python3", "/srv/app.py", "--log", "/tmp/.x/go"]),
    ];
    assert_eq!(
        planned(&survey(items, processes), &[70], &[]),
        [
            "freeze 60",
            "freeze 70",
            "freeze 71",
            &format!("drop 1 of {cron}"),
            "take /etc/systemd/system/multi-user.target.wants/net.service",
            "take /etc/systemd/system/net.service",
            "take /etc/systemd/system/net.timer",
            "reload",
            "kill 60",
            "kill 70",
            "kill 71",
            "stop net.service",
            "stop net.timer",
            "take /tmp/.x/config.json",
            "take /tmp/.x/go",
            "take /tmp/.x/guard",
            "take /tmp/.x",
        ]
    );
}

#[test]
fn a_line_of_the_administrator_that_removes_or_reads_the_miner_stays() {
    let cron = "/etc/cron.d/own";
    let of = |number, text| line(Spot::CronLine, cron, number, text, &["/tmp/.x/go"]);
    let items = vec![
        of(1, "* * * * * root rm -f /tmp/.x/go"),
        of(2, "* * * * * root test -e /tmp/.x/go && logger found"),
        of(3, "* * * * * root cp /opt/a /tmp/.x/go; /tmp/.x/go"),
        of(4, "* * * * * root nohup /tmp/.x/go &"),
        whole(Spot::Hideout, "/tmp/.x/go", &[]),
    ];
    let steps = planned(&survey(items, vec![miner(70, 1)]), &[70], &[]);
    assert_eq!(steps, ["freeze 70", "drop 2 of /etc/cron.d/own", "kill 70", "take /tmp/.x/go"]);
}

#[test]
fn a_hiding_library_goes_with_its_line_and_another_unowned_preload_stays() {
    let preload = "/etc/ld.so.preload";
    let mut items = vec![
        line(Spot::PreloadLine, preload, 1, "/opt/vendor/libfast.so", &["/opt/vendor/libfast.so"]),
        line(Spot::PreloadLine, preload, 2, "/usr/local/lib/libx.so", &["/usr/local/lib/libx.so"]),
        whole(Spot::PreloadLibrary, "/opt/vendor/libfast.so", &[]),
        Item { hides: true, ..whole(Spot::PreloadLibrary, "/usr/local/lib/libx.so", &[]) },
    ];
    let survey_of = |items: &[Item]| survey(items.to_vec(), Vec::new());
    let steps = planned(&survey_of(&items), &[], &[]);
    assert_eq!(steps, ["drop 1 of /etc/ld.so.preload", "take /usr/local/lib/libx.so"]);
    items.truncate(3);
    let quiet = plan(&survey_of(&items), &Suspects::default(), b"/");
    assert!(quiet.steps.is_empty());
    assert!(quiet.kept.iter().any(|text| text.en.contains("libfast.so")), "{:?}", quiet.kept);
}

#[test]
fn what_locks_a_bad_file_is_taken_off_first_and_other_locks_stay() {
    let mut found = survey(vec![whole(Spot::Hideout, "/tmp/.x/go", &[])], vec![miner(70, 1)]);
    let place = |path: &str| whole(Spot::Hideout, path, &[]).place;
    found.locked =
        vec![(place("/tmp/.x/go"), 0x10), (place("/tmp/.x"), 0x30), (place("/etc/resolv.conf"), 0x10)];
    let steps = planned(&found, &[70], &[]);
    assert_eq!(steps, ["freeze 70", "unlock /tmp/.x/go", "unlock /tmp/.x", "kill 70", "take /tmp/.x/go"]);
}

#[test]
fn an_interpreter_from_elsewhere_is_not_taken_for_the_script_that_it_runs() {
    let items = vec![whole(Spot::Hideout, "/tmp/m.py", &[])];
    let processes = vec![
        process(70, 1, "/opt/conda/bin/python3.11", &["python3", "/tmp/m.py"]),
        process(71, 1, "/opt/conda/bin/python3.11", &["python3", "/srv/notebook.py"]),
    ];
    assert_eq!(planned(&survey(items, processes), &[70], &[]), ["freeze 70", "kill 70", "take /tmp/m.py"]);
}

#[test]
fn the_cleaner_and_who_started_it_are_never_touched() {
    let processes = vec![
        miner(70, 1),
        process(71, 70, "/usr/bin/bash", &["bash"]),
        process(72, 71, "/usr/bin/minesweep", &[]),
    ];
    let steps = planned(&survey(Vec::new(), processes), &[70, 71, 72], &[71, 72]);
    assert_eq!(steps, ["freeze 70", "kill 70", "take /tmp/.x/go"]);
}

#[test]
fn a_program_of_a_package_is_ended_and_its_file_stays() {
    let mut found = survey(Vec::new(), vec![process(70, 1, "/usr/bin/xmrig", &["xmrig"])]);
    found.owned.insert(Bytes(b"/usr/bin/xmrig".to_vec()), "xmrig".to_owned());
    assert_eq!(planned(&found, &[70], &[]), ["freeze 70", "kill 70"]);
}

#[test]
fn replaced_commands_and_mounts_over_processes_are_repaired_and_other_mounts_stay() {
    let items =
        vec![whole(Spot::Command, "/usr/bin/ps", &[]), whole(Spot::Original, "/usr/bin/ps.orig", &[])];
    let mut found = survey(items, Vec::new());
    let mount = |point: &str| {
        HidingFact::ProcMount(ProcMount {
            point: point.to_owned(),
            kind: "tmpfs".to_owned(),
            root: "/".to_owned(),
            hidepid: None,
            is_in_fstab: false,
        })
    };
    found.facts = vec![
        HidingFact::Replaced {
            path: "/usr/bin/ps".into(),
            package: "procps".into(),
            target: None,
            original: Some("/usr/bin/ps.orig".into()),
        },
        HidingFact::Replaced {
            path: "/usr/bin/ls".into(),
            package: "coreutils".into(),
            target: None,
            original: None,
        },
        HidingFact::Runs { path: "/x".into(), owner: Owner::Nobody },
        mount("/proc/70"),
        mount("/proc/sys/fs/binfmt_misc"),
    ];
    assert_eq!(planned(&found, &[], &[]), ["unmount /proc/70", "replace /usr/bin/ps"]);
    assert!(plan(&found, &Suspects::default(), b"/").kept.iter().any(|text| text.en.contains("reinstall")));
}
