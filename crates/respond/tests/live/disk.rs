use minesweep_model::{OutcomeState, Plan};
use minesweep_respond::{Journal, Options, RespondError, Responder, journal_folder};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::common::{Target, described, freeze, in_own_mounts, kill, responder, thaw};

#[test]
fn a_read_only_data_folder_is_refused_at_the_start_with_its_name() {
    in_own_mounts(|| {
        let folder = TempDir::new().unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::RDONLY, None).unwrap();
        let refused = Responder::start(&Options { data_dir: folder.path().to_owned() }).err().unwrap();
        let text = refused.to_string();
        assert!(
            matches!(refused, RespondError::Journal(_)) && text.contains(folder.path().to_str().unwrap()),
            "{text}"
        );
        unmount(folder.path(), UnmountFlags::DETACH).unwrap();
    });
}

#[test]
fn a_full_disk_stops_every_change_and_leaves_no_half_line() {
    in_own_mounts(|| {
        let folder = TempDir::new().unwrap();
        mount("none", folder.path(), "tmpfs", MountFlags::empty(), c"size=64k").unwrap();
        let mut responder = responder(&folder);
        responder.arm().unwrap();
        let mut target = Target::start();
        let filler = folder.path().join("filler");
        std::fs::write(&filler, vec![0; 1 << 20]).unwrap_err();

        // Thaws of a running process fill the page that the journal has; then nothing more goes.
        let refused = loop {
            let plan = Plan { cause: "c".repeat(500), steps: vec![thaw(&target.process)] };
            match responder.carry_out(&plan, 1).remove(0).state {
                OutcomeState::Already => {}
                OutcomeState::Failed(why) => break why,
                other => panic!("{other:?}"),
            }
        };
        assert!(refused.starts_with("nothing was changed: cannot write the journal"), "{refused}");
        assert!(refused.contains("No space left"), "{refused}");
        for step in [freeze(&target.process), kill(&target.process)] {
            let outcome =
                responder.carry_out(&Plan { cause: "c".repeat(500), steps: vec![step] }, 2).remove(0);
            assert!(
                matches!(&outcome.state, OutcomeState::Failed(why) if why.contains("nothing was changed")),
                "{outcome:?}"
            );
            assert_eq!(outcome.entry, 0);
            assert!(target.answers());
        }
        let mut connection = crate::cut::connect_client();
        let client = described(connection.client.child.id());
        let cause = "c".repeat(500);
        let outcome = responder.cut_now(connection.cookie, &client, &cause, 2).unwrap();
        assert!(
            matches!(&outcome.state, OutcomeState::Failed(why) if why.contains("nothing was changed")),
            "{outcome:?}"
        );
        assert_eq!(connection.client.ask("send hello"), "Ok(())");
        assert!(connection.receives("hello"), "the hold is let go");

        std::fs::remove_file(&filler).unwrap();
        let plan = Plan { cause: "c".to_owned(), steps: vec![freeze(&target.process)] };
        assert_eq!(responder.carry_out(&plan, 3).remove(0).state, OutcomeState::Done, "there is space again");
        let journal = Journal::open(&journal_folder(folder.path()), "boot", target.key()).unwrap();
        assert_eq!((journal.damaged(), journal.open_entries().count()), (0, 1));
        unmount(folder.path(), UnmountFlags::DETACH).unwrap();
    });
}

#[test]
fn a_newer_journal_stops_the_start_and_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let inside = journal_folder(folder.path());
    std::fs::create_dir(&inside).unwrap();
    let line = "{\"v\":2,\"kind\":\"unheard of\"}\n";
    std::fs::write(inside.join("journal.jsonl"), line).unwrap();
    let refused = Responder::start(&Options { data_dir: folder.path().to_owned() }).err().unwrap();
    assert!(refused.to_string().contains("is of version 2"), "{refused}");
    assert_eq!(std::fs::read_to_string(inside.join("journal.jsonl")).unwrap(), line);
}
