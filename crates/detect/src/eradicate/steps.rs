//! The ordered steps for what is bad: what revives is stopped before what is revived.
//!
//! Freeze all, take off what hides and locks, take away what starts it, end all in one pass, take the files away, repair.

use std::collections::{BTreeMap, BTreeSet};

use minesweep_model::{
    Bytes, Text,
    clean::{CleanStep, Does, Form, Item, Phase, Place, Remedy, Risk, Spot, Survey, TextLine},
};

use super::links::{BadProcess, Links, folder};

/// `FS_IMMUTABLE_FL` and `FS_APPEND_FL` of linux/fs.h.
const LOCKS: u32 = 0x10 | 0x20;
/// Things that are named as left alone.
const KEPT_LIMIT: usize = 256;

/// The steps, and what was left alone.
pub(super) fn of(survey: &Survey, links: &Links<'_>) -> (Vec<CleanStep>, Vec<Text>) {
    let mut making = Making { survey, links, steps: Vec::new() };
    making.processes(Phase::Freeze);
    making.mounts();
    making.locks();
    making.lines(Phase::Unhook, &[Spot::PreloadLine]);
    making.files(Phase::Unhook, &[Spot::PreloadLibrary]);
    making.lines(Phase::Unroot, &[Spot::CronLine, Spot::ShellLine]);
    making.files(Phase::Unroot, &[Spot::UnitLink, Spot::Unit, Spot::DropIn, Spot::Script]);
    making.reload();
    making.processes(Phase::Kill);
    making.units();
    making.files(Phase::Remove, &[Spot::Hideout]);
    making.programs();
    making.commands();
    for (id, step) in (1..).zip(&mut making.steps) {
        step.id = id;
    }
    let kept = kept(survey, links);
    (making.steps, kept)
}

struct Making<'a, 'l> {
    survey: &'a Survey,
    links: &'l Links<'a>,
    steps: Vec<CleanStep>,
}

impl<'a> Making<'a, '_> {
    fn push(&mut self, phase: Phase, does: Does, reason: Text, evidence: String, risk: Risk) {
        let evidence = if evidence.is_empty() { Vec::new() } else { vec![evidence] };
        self.steps.push(CleanStep { id: 0, phase, does, reason, evidence, risk, touches: Vec::new() });
    }

    fn processes(&mut self, phase: Phase) {
        for BadProcess { process, why, .. } in self.links.processes.values() {
            let (does, reason) = match phase {
                Phase::Freeze => (
                    Does::Freeze(Box::new(process.clone())),
                    Text::new(
                        "it is stopped where it is, so that it revives nothing",
                        "先冻结，使其无法再拉起其他进程",
                    ),
                ),
                _ => (
                    Does::Kill(Box::new(process.clone())),
                    Text::new("nothing starts it again now", "已没有任何东西会再启动它"),
                ),
            };
            self.push(phase, does, reason, why.clone(), Risk::Low);
        }
    }

    fn mounts(&mut self) {
        let points: Vec<&str> = self
            .survey
            .facts
            .iter()
            .filter_map(|fact| match fact {
                minesweep_model::HidingFact::ProcMount(mount) if is_over_a_process(&mount.point) => {
                    Some(mount.point.as_str())
                }
                _ => None,
            })
            .collect();
        for point in points {
            let remedy =
                Remedy::Unmount { point: Bytes(point.as_bytes().to_vec()), id: 0, source: Bytes::default() };
            let reason =
                Text::new("it lies over a process's folder and hides it", "它挂载在进程目录之上以隐藏该进程");
            self.push(Phase::Unhook, Does::Change(Box::new(remedy)), reason, String::new(), Risk::Low);
        }
    }

    /// Locks of what will be changed, and of the folders it lies in.
    fn locks(&mut self) {
        let mut touched: BTreeSet<&[u8]> = BTreeSet::new();
        for &at in self.links.items.keys() {
            touched.extend(self.survey.items.get(at).map(|item| item.place.path.0.as_slice()));
        }
        touched.extend(self.links.paths.keys().map(|path| path.0.as_slice()));
        let folders: BTreeSet<&[u8]> = touched.iter().filter_map(|path| folder(path)).collect();
        for (place, was) in &self.survey.locked {
            let path = place.path.0.as_slice();
            if touched.contains(path) || folders.contains(path) {
                let remedy = Remedy::SetFlags { place: place.clone(), flags: was & !LOCKS, was: *was };
                let reason = Text::new("it is locked against change", "它被锁定，无法修改");
                self.push(Phase::Unhook, Does::Change(Box::new(remedy)), reason, String::new(), Risk::Low);
            }
        }
    }

    /// Bad lines, one step a file.
    fn lines(&mut self, phase: Phase, spots: &[Spot]) {
        let mut files: BTreeMap<&Bytes, (&Place, Vec<TextLine>, &str)> = BTreeMap::new();
        for (item, why) in self.bad(spots) {
            let Some(line) = &item.line else { continue };
            let file = files.entry(&item.place.path).or_insert_with(|| (&item.place, Vec::new(), why));
            file.1.push(line.clone());
        }
        let steps: Vec<_> = files
            .into_values()
            .map(|(place, lines, why)| (Remedy::DropLines { place: place.clone(), lines }, why.to_owned()))
            .collect();
        for (remedy, why) in steps {
            let reason = Text::new(
                "these lines start or load what is bad; the other lines stay",
                "这些行会启动或加载恶意程序；其余各行保留",
            );
            self.push(phase, Does::Change(Box::new(remedy)), reason, why, Risk::Medium);
        }
    }

    /// Bad files, deepest first, so that folders are empty when their turn comes.
    fn files(&mut self, phase: Phase, spots: &[Spot]) {
        let mut bad: Vec<(Place, String)> = self
            .bad(spots)
            .filter(|(item, _)| item.line.is_none())
            .map(|(item, why)| (item.place.clone(), why.to_owned()))
            .collect();
        let depth = |place: &Place| place.path.0.iter().filter(|&&byte| byte == b'/').count();
        bad.sort_by(|(one, _), (other, _)| {
            (one.form == Form::Folder, depth(other), &one.path.0).cmp(&(
                other.form == Form::Folder,
                depth(one),
                &other.path.0,
            ))
        });
        for (place, why) in bad {
            let reason = Text::new("it is moved to the quarantine", "移入隔离区");
            self.push(phase, Does::Change(Box::new(Remedy::Quarantine { place })), reason, why, Risk::Low);
        }
    }

    /// The service manager forgets what was taken, so that it starts nothing again.
    fn reload(&mut self) {
        if self.survey.is_offline || self.bad(&[Spot::Unit, Spot::DropIn, Spot::UnitLink]).next().is_none() {
            return;
        }
        let reason = Text::new(
            "the service manager forgets the units that were taken",
            "服务管理器不再记得已移除的单元",
        );
        self.push(
            Phase::Unroot,
            Does::Change(Box::new(Remedy::ReloadUnits)),
            reason,
            String::new(),
            Risk::Low,
        );
    }

    /// Units of the system that were taken are stopped after their processes have ended: nothing is left to wait for.
    fn units(&mut self) {
        if self.survey.is_offline {
            return;
        }
        let names: BTreeSet<String> = self
            .bad(&[Spot::Unit])
            .filter_map(|(item, _)| std::str::from_utf8(&item.place.path.0).ok())
            .filter(|path| path.contains("/systemd/system/"))
            .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
            .collect();
        for unit in names {
            let reason =
                Text::new("the unit was taken; what is left of it ends", "单元已移除；其残余随之结束");
            let does = Does::Change(Box::new(Remedy::StopUnit { unit }));
            self.push(Phase::Kill, does, reason, String::new(), Risk::Low);
        }
    }

    /// Programs of bad processes that lie where the survey did not look.
    fn programs(&mut self) {
        let known: BTreeSet<&Bytes> = self.survey.items.iter().map(|item| &item.place.path).collect();
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        for BadProcess { process, .. } in self.links.processes.values() {
            let path = Bytes(process.exe.clone().into_bytes());
            let Some(why) = self.links.paths.get(&path).filter(|_| !known.contains(&path)) else { continue };
            if seen.insert(path.clone()) {
                let place = Place { path, file: process.file, ..Place::default() };
                steps.push((Remedy::Quarantine { place }, why.clone()));
            }
        }
        for (remedy, why) in steps {
            let reason = Text::new("the program is moved to the quarantine", "将该程序移入隔离区");
            self.push(Phase::Remove, Does::Change(Box::new(remedy)), reason, why, Risk::Medium);
        }
    }

    fn commands(&mut self) {
        let place = |spot, path: &str| {
            let is_it = |item: &&Item| item.spot == spot && item.place.path.0 == path.as_bytes();
            self.survey.items.iter().find(is_it).map(|item| item.place.clone())
        };
        let mut steps = Vec::new();
        for (path, original, package) in self.links.replaced() {
            let (Some(place), Some(from)) =
                (place(Spot::Command, path), original.and_then(|original| place(Spot::Original, original)))
            else {
                continue;
            };
            steps.push((Remedy::Replace { place, from }, package.to_owned()));
        }
        for (remedy, package) in steps {
            let reason = Text::new(
                format!("it is not what package {package} brought; the original lies on this host"),
                format!("它与软件包 {package} 自带的内容不符；原文件仍在本机"),
            );
            self.push(Phase::Repair, Does::Change(Box::new(remedy)), reason, String::new(), Risk::Medium);
        }
    }

    fn bad(&self, spots: &[Spot]) -> impl Iterator<Item = (&'a Item, &str)> {
        self.links.items.iter().filter_map(move |(&at, why)| {
            let item = self.survey.items.get(at)?;
            spots.contains(&item.spot).then_some((item, why.as_str()))
        })
    }
}

/// Things beside bad ones that stay: other lines of files that are changed, other preloads, commands without original.
fn kept(survey: &Survey, links: &Links<'_>) -> Vec<Text> {
    let mut kept = Vec::new();
    let changed: BTreeSet<&Bytes> =
        links.items.keys().filter_map(|&at| survey.items.get(at)).map(|item| &item.place.path).collect();
    for (at, item) in survey.items.iter().enumerate() {
        let is_beside = item.line.is_some() && changed.contains(&item.place.path)
            || matches!(item.spot, Spot::PreloadLine | Spot::PreloadLibrary);
        if links.items.contains_key(&at) || !is_beside {
            continue;
        }
        let path = item.place.path.0.escape_ascii();
        kept.push(match &item.line {
            Some(line) => {
                let line_text = line.text.0.escape_ascii();
                Text::new(
                    format!("{path}, line {}: nothing links it to what is bad: {line_text}", line.number),
                    format!("{path} 第 {} 行与恶意程序无关联：{line_text}", line.number),
                )
            }
            None => Text::new(
                format!("{path}: a preloaded library that nothing links to what is bad"),
                format!("{path}：与恶意程序无关联的预加载库"),
            ),
        });
    }
    for (path, original, package) in links.replaced() {
        if original.is_none() {
            kept.push(Text::new(
                format!("{path} is not what package {package} brought, and no original was found: reinstall the package"),
                format!("{path} 与软件包 {package} 自带的内容不符，且未找到原文件：请重新安装该软件包"),
            ));
        }
    }
    kept.truncate(KEPT_LIMIT);
    kept
}

/// `/proc/NUMBER`, or something below it.
fn is_over_a_process(point: &str) -> bool {
    point
        .strip_prefix("/proc/")
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
}
