use minesweep_model::{Action, OutcomeState, ProcessKey};
use minesweep_respond::{
    EntryState, Intent, Inverse, Journal, Leftover, RespondError, Undo, entries, journal_folder,
};
use tempfile::TempDir;

use crate::common::{Part, Target, described, freeze, kill, plan, responder, states};

fn crashed(folder: &TempDir, target: &Target, after: &str) {
    let pid = target.key().pid.to_string();
    let mut part = Part::start(&["crash", folder.path().to_str().unwrap(), &pid, after]);
    assert_eq!(part.hear().unwrap(), "ready");
    part.child.wait().unwrap();
}

fn last(folder: &TempDir) -> EntryState {
    entries(&journal_folder(folder.path()), 1).unwrap()[0].state
}

#[test]
fn a_crash_after_each_step_is_taken_back_by_the_next_run() {
    let steps = [
        ("planned", false, OutcomeState::Already, EntryState::Undone),
        ("stopped", true, OutcomeState::Done, EntryState::Undone),
        ("done", true, OutcomeState::Done, EntryState::Undone),
        ("undoing", true, OutcomeState::Done, EntryState::Undone),
    ];
    for (after, is_stopped, outcome, entry) in steps {
        let folder = TempDir::new().unwrap();
        let mut target = Target::start();
        crashed(&folder, &target, after);
        if is_stopped {
            target.wait_stopped();
        }

        let mut responder = responder(&folder);
        let outcomes = responder.recover(Leftover::Thaw, 9).unwrap();
        assert_eq!(states(&outcomes), [outcome], "{after}");
        assert_eq!(outcomes[0].action, Action::Thaw { process: target.key() });
        assert!(target.answers(), "{after}");
        assert_eq!(last(&folder), entry, "{after}");
        assert!(responder.recover(Leftover::Thaw, 10).unwrap().is_empty(), "{after}: once");
    }
}

#[test]
fn what_an_earlier_run_left_frozen_can_be_kept_and_is_then_ours() {
    let folder = TempDir::new().unwrap();
    let mut target = Target::start();
    crashed(&folder, &target, "done");
    target.wait_stopped();
    let mut responder = responder(&folder);
    assert_eq!(states(&responder.recover(Leftover::Keep, 9).unwrap()), [OutcomeState::Already]);
    target.wait_stopped();
    assert_eq!(responder.frozen(), 1);
    target.signal(rustix::process::Signal::CONT);
    assert_eq!(responder.tick(10).unwrap().stopped_again, [target.key()]);
    target.wait_stopped();
    assert!(
        crate::common::responder(&folder).recover(Leftover::Thaw, 11).unwrap().is_empty(),
        "it is the business of a run that lives"
    );
    drop(responder);
    assert!(target.answers());
}

#[test]
fn a_target_that_ended_or_a_boot_that_passed_closes_the_entry() {
    let folder = TempDir::new().unwrap();
    {
        let target = Target::start();
        crashed(&folder, &target, "done");
    }
    let mut responder = responder(&folder);
    assert_eq!(states(&responder.recover(Leftover::Thaw, 9).unwrap()), [OutcomeState::Gone]);
    assert_eq!(last(&folder), EntryState::Closed);

    let mut target = Target::start();
    let process = target.key();
    let intent = Intent {
        action: Action::Freeze { process },
        inverse: Inverse::Action(Action::Thaw { process }),
        target: minesweep_respond::Target { key: process, exe: String::new(), file: None },
    };
    let mut earlier =
        Journal::open(&journal_folder(folder.path()), "an-earlier-boot", described(std::process::id()).key)
            .unwrap();
    earlier.plan(1, "c", &[intent]).unwrap();
    assert_eq!(states(&responder.recover(Leftover::Keep, 10).unwrap()), [OutcomeState::Gone]);
    assert_eq!(last(&folder), EntryState::Closed);
    assert!(target.answers());
}

#[test]
fn undo_beside_a_running_agent_lets_go_and_the_agent_gives_in() {
    let folder = TempDir::new().unwrap();
    let mut target = Target::start();
    let mut agent = Part::start(&["hold", folder.path().to_str().unwrap(), &target.key().pid.to_string()]);
    assert_eq!(agent.hear().unwrap(), "Done");
    target.wait_stopped();
    let mut cli = responder(&folder);
    assert!(cli.recover(Leftover::Thaw, 2).unwrap().is_empty(), "the agent lives");
    target.wait_stopped();

    let undone = cli.undo(Undo::Newest, 3).unwrap();
    assert_eq!((states(&undone.outcomes), undone.cannot.len()), (vec![OutcomeState::Done], 0));
    assert!(target.answers());
    assert_eq!(agent.ask("tick"), "0 0 1");
    assert!(target.answers());
    assert!(matches!(cli.undo(Undo::Newest, 4).unwrap_err(), RespondError::NothingToUndo));
}

#[test]
fn undo_takes_the_newest_plan_back_last_change_first_and_names_what_stays() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let (mut one, mut two, mut three) = (Target::start(), Target::start(), Target::start());
    let gone = Target::start();
    let older = responder.carry_out(&plan(vec![freeze(&three.process)]), 1);
    let outcomes =
        responder.carry_out(&plan(vec![freeze(&one.process), kill(&gone.process), freeze(&two.process)]), 2);
    assert_eq!(states(&outcomes), [OutcomeState::Done, OutcomeState::Done, OutcomeState::Done]);

    let undone = responder.undo(Undo::Newest, 3).unwrap();
    let keys: Vec<u64> = undone.outcomes.iter().map(|outcome| outcome.entry).collect();
    assert_eq!(keys, [outcomes[2].entry, outcomes[0].entry]);
    assert_eq!(states(&undone.outcomes), [OutcomeState::Done, OutcomeState::Done]);
    assert_eq!(undone.cannot.len(), 1);
    assert_eq!(
        (undone.cannot[0].entry, &undone.cannot[0].action),
        (outcomes[1].entry, &Action::Kill { process: gone.key() })
    );
    assert!(undone.cannot[0].why.contains("cannot be brought back") && undone.cannot[0].exe.ends_with("cat"));
    assert!(one.answers() && two.answers());
    three.wait_stopped();
    assert_eq!(responder.frozen(), 1);

    assert_eq!(
        states(&responder.undo(Undo::Entry(older[0].entry), 4).unwrap().outcomes),
        [OutcomeState::Done]
    );
    assert!(three.answers());
    assert_eq!(
        states(&responder.undo(Undo::Entry(older[0].entry), 5).unwrap().outcomes),
        [OutcomeState::Already]
    );
    assert!(matches!(responder.undo(Undo::Entry(77), 6).unwrap_err(), RespondError::NoSuchEntry(77)));
    assert!(matches!(responder.undo(Undo::Newest, 6).unwrap_err(), RespondError::NothingToUndo));
}

#[test]
fn undo_of_a_freeze_whose_process_has_ended_is_no_failure() {
    let folder = TempDir::new().unwrap();
    let mut first = responder(&folder);
    let mut target = Target::start();
    assert_eq!(states(&first.carry_out(&plan(vec![freeze(&target.process)]), 1)), [OutcomeState::Done]);
    target.signal(rustix::process::Signal::KILL);
    target.reap();
    assert_eq!(states(&first.undo(Undo::Newest, 2).unwrap().outcomes), [OutcomeState::Gone]);
    assert_eq!(last(&folder), EntryState::Closed);
}

#[test]
fn undo_never_thaws_another_process_under_the_same_pid() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let target = Target::start();
    target.signal(rustix::process::Signal::STOP);
    target.wait_stopped();
    let process = ProcessKey { start_ticks: target.key().start_ticks - 1, ..target.key() };
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut journal = Journal::open(&journal_folder(folder.path()), boot_id.trim(), process).unwrap();
    let intent = Intent {
        action: Action::Freeze { process },
        inverse: Inverse::Action(Action::Thaw { process }),
        target: minesweep_respond::Target { key: process, exe: String::new(), file: None },
    };
    journal.plan(1, "c", &[intent]).unwrap();
    assert_eq!(states(&responder.undo(Undo::Newest, 2).unwrap().outcomes), [OutcomeState::Gone]);
    assert_eq!(target.state(), 'T');
}
