use minesweep_model::{Action, OutcomeState, Process, ProcessKey};
use minesweep_respond::EntryState;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::{Part, Target, described, freeze, kill, plan, responder, states, thaw};

#[test]
fn a_frozen_process_is_stopped_and_a_thawed_one_goes_on() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut target = Target::start();
    assert!(responder.can_freeze());

    let outcomes = responder.carry_out(&plan(vec![freeze(&target.process)]), 10);
    assert_eq!(states(&outcomes), [OutcomeState::Done]);
    assert_eq!((outcomes[0].entry, outcomes[0].at_ms, outcomes[0].cause.as_str()), (1, 10, "inc-1"));
    target.wait_stopped();
    assert_eq!(responder.frozen(), 1);
    let entry = responder.journal().open_entry(1).unwrap();
    assert_eq!(
        (entry.state, entry.target.key, entry.target.file),
        (EntryState::Done, target.key(), target.process.file)
    );

    assert_eq!(
        states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 11)),
        [OutcomeState::Already]
    );
    target.wait_stopped();
    assert_eq!(responder.frozen(), 1);

    assert_eq!(states(&responder.carry_out(&plan(vec![thaw(&target.process)]), 12)), [OutcomeState::Done]);
    assert!(target.answers());
    assert_eq!((responder.frozen(), responder.journal().open_entries().count()), (0, 0));
    assert_eq!(states(&responder.carry_out(&plan(vec![thaw(&target.process)]), 13)), [OutcomeState::Already]);
}

#[test]
fn the_same_freeze_twice_in_one_plan_leaves_the_process_stopped() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let target = Target::start();
    let outcomes = responder.carry_out(&plan(vec![freeze(&target.process), freeze(&target.process)]), 1);
    assert_eq!(states(&outcomes), [OutcomeState::Done, OutcomeState::Already]);
    target.wait_stopped();
    assert_eq!(responder.tick(2).unwrap().stopped_again, []);
}

#[test]
fn a_killed_process_has_ended_when_the_outcome_says_so_also_when_it_was_frozen() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    for freeze_first in [false, true] {
        let mut target = Target::start();
        if freeze_first {
            assert_eq!(
                states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 1)),
                [OutcomeState::Done]
            );
        }
        assert_eq!(states(&responder.carry_out(&plan(vec![kill(&target.process)]), 2)), [OutcomeState::Done]);
        assert_eq!(target.state(), 'Z');
        assert_eq!((responder.frozen(), responder.journal().open_entries().count()), (0, 0));
        assert_eq!(states(&responder.carry_out(&plan(vec![kill(&target.process)]), 3)), [OutcomeState::Gone]);
        target.reap();
        assert_eq!(
            states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 4)),
            [OutcomeState::Gone]
        );
    }
}

#[test]
fn another_start_time_or_another_program_under_the_pid_is_not_touched() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut target = Target::start();
    let key = target.key();
    let reused =
        Process { key: ProcessKey { start_ticks: key.start_ticks - 1, ..key }, ..target.process.clone() };
    let mut other = target.process.clone();
    other.exe = "/tmp/miner".to_owned();
    other.file.as_mut().unwrap().inode += 1;
    for judged in [reused, other] {
        for step in [freeze(&judged), kill(&judged)] {
            assert_eq!(states(&responder.carry_out(&plan(vec![step]), 1)), [OutcomeState::Gone]);
        }
    }
    assert!(target.answers());
    assert_eq!(
        responder.journal().entries(9).unwrap().iter().map(|entry| entry.state).collect::<Vec<_>>(),
        [EntryState::Gone; 4]
    );
}

#[test]
fn a_file_that_two_sensors_number_differently_is_known_by_its_path() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut target = Target::start();
    target.process.file.as_mut().unwrap().dev += 1;
    assert_eq!(states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 1)), [OutcomeState::Done]);
}

#[test]
fn a_step_that_names_one_process_and_describes_another_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let (one, two) = (Target::start(), Target::start());
    let mut step = kill(&one.process);
    step.target = two.process.clone();
    let outcomes = responder.carry_out(&plan(vec![step]), 1);
    assert!(
        matches!(&outcomes[0].state, OutcomeState::Failed(why) if why.contains("describes process")),
        "{outcomes:?}"
    );
    assert!(one.state() != 'Z' && two.state() != 'Z');
}

#[test]
fn the_first_process_and_ourselves_are_never_touched() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    for pid in [1, std::process::id()] {
        let judged = described(pid);
        for step in [freeze(&judged), kill(&judged), crate::common::cut(&judged, 1)] {
            let outcomes = responder.carry_out(&plan(vec![step]), 1);
            assert!(
                matches!(&outcomes[0].state, OutcomeState::Failed(why) if why.contains("never touched")),
                "{outcomes:?}"
            );
        }
    }
}

#[test]
fn a_process_let_go_by_somebody_else_is_stopped_again_at_the_next_tick() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let target = Target::start();
    assert_eq!(states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 1)), [OutcomeState::Done]);
    for _ in 0..20 {
        target.wait_stopped();
        assert!(responder.tick(2).unwrap().stopped_again.is_empty());
        target.signal(Signal::CONT);
        assert_eq!(responder.tick(3).unwrap().stopped_again, [target.key()]);
    }
    target.wait_stopped();
    assert_eq!(responder.frozen(), 1);
}

#[test]
fn a_frozen_process_that_ends_is_forgotten_and_its_entry_closed() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut target = Target::start();
    assert_eq!(states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 1)), [OutcomeState::Done]);
    target.signal(Signal::KILL);
    target.reap();
    let tick = responder.tick(2).unwrap();
    assert_eq!((tick.ended, tick.frozen), (vec![target.key()], 0));
    assert_eq!(responder.journal().entries(9).unwrap()[0].state, EntryState::Closed);
    assert_eq!(responder.tick(3).unwrap(), minesweep_respond::Tick::default());
}

#[test]
fn a_process_stopped_by_somebody_else_is_held_from_then_on_and_goes_on_at_our_end() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut target = Target::start();
    target.signal(Signal::STOP);
    target.wait_stopped();
    assert_eq!(
        states(&responder.carry_out(&plan(vec![freeze(&target.process)]), 1)),
        [OutcomeState::Already]
    );
    assert_eq!(responder.frozen(), 1);
    drop(responder);
    assert!(target.answers());
}

#[test]
fn a_process_without_its_first_thread_is_frozen_held_and_killed_like_any_other() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let judged = Part::start(&["client"]);
    let exe = described(judged.child.id());
    let mut part = Part::start(&["headless"]);
    assert_eq!(part.hear().unwrap(), "ready");
    let target = Process { file: exe.file, exe: exe.exe, ..described(part.child.id()) };

    assert_eq!(states(&responder.carry_out(&plan(vec![freeze(&target)]), 1)), [OutcomeState::Done]);
    part.wait_stopped();
    for _ in 0..3 {
        assert!(responder.tick(2).unwrap().stopped_again.is_empty());
    }
    assert_eq!(responder.frozen(), 1);
    assert_eq!(states(&responder.carry_out(&plan(vec![thaw(&target)]), 3)), [OutcomeState::Done]);
    assert_eq!(part.ask("are you there"), "alive");
    assert_eq!(states(&responder.carry_out(&plan(vec![kill(&target)]), 4)), [OutcomeState::Done]);
    assert_eq!(part.hear(), None);
}

#[test]
fn a_process_whose_tracer_swallows_the_stop_is_killed_after_some_ticks() {
    let folder = TempDir::new().unwrap();
    let mut responder = responder(&folder);
    let mut tracer = Part::start(&["traced"]);
    let target = described(tracer.hear().unwrap().parse().unwrap());
    let outcomes = responder.carry_out(&plan(vec![freeze(&target)]), 1);
    assert_eq!(states(&outcomes), [OutcomeState::Done]);
    let killed = loop {
        let tick = responder.tick(2).unwrap();
        if !tick.killed.is_empty() {
            break tick;
        }
        assert_eq!(tick.stopped_again, [target.key], "until then it is stopped again and again");
    };
    assert_eq!(killed.killed[0].action, Action::Kill { process: target.key });
    assert_eq!(
        (states(&killed.killed), killed.killed[0].cause.as_str()),
        (vec![OutcomeState::Done], "inc-1")
    );
    assert_eq!((killed.frozen, responder.journal().open_entries().count()), (0, 0));
    assert_eq!(tracer.hear().unwrap(), "ended");
}

#[test]
fn all_of_64_frozen_processes_go_on_when_their_holder_is_killed() {
    let folder = TempDir::new().unwrap();
    let mut targets: Vec<Target> = (0..64).map(|_| Target::start()).collect();
    let pids: Vec<String> = targets.iter().map(|target| target.key().pid.to_string()).collect();
    let mut part = Part::start(&["hold", folder.path().to_str().unwrap(), &pids.join(",")]);
    assert_eq!(part.hear().unwrap(), ["Done"; 64].join(","));
    targets.iter().for_each(Target::wait_stopped);
    part.kill();
    assert!(targets.iter().all(|target| target.state() != 'T'));
    assert!(targets.iter_mut().all(Target::answers));
}

#[test]
fn every_way_to_end_lets_the_frozen_process_go_on() {
    let folder = TempDir::new().unwrap();
    let mut target = Target::start();
    let pid = target.key().pid.to_string();
    for end in ["kill", "abort", "close"] {
        let mut part = Part::start(&["hold", folder.path().to_str().unwrap(), &pid]);
        assert_eq!(part.hear().unwrap(), "Done", "{end}");
        target.wait_stopped();
        match end {
            "kill" => part.kill(),
            "close" => assert_eq!(part.ask("close"), "closed"),
            other => {
                part.tell(other);
                part.child.wait().unwrap();
            }
        }
        assert_ne!(target.state(), 'T', "{end}");
        assert!(target.answers(), "{end}");
    }
}

#[test]
fn sigkill_of_the_responder_leaves_no_frozen_process_in_50_of_50() {
    let folder = TempDir::new().unwrap();
    let mut target = Target::start();
    let pid = target.key().pid.to_string();
    for round in 0..50 {
        let mut part = Part::start(&["hold", folder.path().to_str().unwrap(), &pid]);
        assert_eq!(part.hear().unwrap(), "Done", "{round}");
        target.wait_stopped();
        part.kill();
        assert_ne!(target.state(), 'T', "{round}: right after the end, without any wait");
        assert!(target.answers(), "{round}");
    }
}

#[test]
fn a_process_that_mounts_another_folder_over_its_own_is_still_found() {
    crate::common::in_own_mounts(|| {
        let folder = TempDir::new().unwrap();
        let (target, decoy) = (Target::start(), Target::start());
        let over = format!("/proc/{}", target.key().pid);
        let from = format!("/proc/{}", decoy.key().pid);
        rustix::mount::mount_bind(from, &over).unwrap();
        let mut responder = responder(&folder);
        let outcomes = responder.carry_out(&plan(vec![freeze(&target.process)]), 1);
        assert_eq!(states(&outcomes), [OutcomeState::Done]);
        rustix::mount::unmount(&over, rustix::mount::UnmountFlags::DETACH).unwrap();
        target.wait_stopped();
        assert_ne!(decoy.state(), 'T');
    });
}

#[test]
fn without_a_tie_a_freeze_becomes_a_kill_and_says_so() {
    let folder = TempDir::new().unwrap();
    let target = Target::start();
    let mut part = Part::start(&["tight", folder.path().to_str().unwrap(), &target.key().pid.to_string()]);
    assert_eq!(part.hear().unwrap(), format!("Done {:?}", Action::Kill { process: target.key() }));
    assert_eq!(target.state(), 'Z');
    let note = minesweep_respond::entries(&folder.path().join("journal"), 1).unwrap().remove(0).note;
    assert!(note.contains("would stay frozen after our end"), "{note}");
}
