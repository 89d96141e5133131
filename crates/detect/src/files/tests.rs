//! Packages built by hand, so that each field that a hostile one would bend stands in plain sight.

use std::io::{Cursor, Write as _};

use super::*;

/// A harmless stand-in: the strings that the rule below looks for, and nothing that runs.
const MINER: &[u8] = b"\x7fELF stand-in: stratum login, RandomX dataset";
const RULE: &str = "rule stand_in { meta: id = \"mining.miner-file.stand-in\" strings: $a = \"RandomX dataset\" \
    condition: uint32(0) == 0x464c457f and $a }";

fn rules() -> FileRules {
    FileRules::compile([("t.yar", RULE)]).unwrap()
}

fn found(bytes: &[u8]) -> Vec<String> {
    let (found, opened) = search(&mut Cursor::new(bytes), &rules(), &FileLimits::default());
    assert!(opened.cuts.is_empty(), "{opened:?}");
    found.into_iter().map(|found| found.member).collect()
}

fn cuts(bytes: &[u8], limits: &FileLimits) -> Vec<Cut> {
    open(&mut Cursor::new(bytes), limits, &mut |_, _| {}).cuts.into_iter().collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn tar(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in members {
        let mut block = [0_u8; 512];
        block[..name.len()].copy_from_slice(name);
        block[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        block[156] = b'0';
        block[257..262].copy_from_slice(b"ustar");
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(block);
        out.extend(*bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    out
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).bytes(),
        );
        out.extend(*bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn cpio(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in members.iter().chain(&[("TRAILER!!!", &b""[..])]) {
        let fields = [0, 0o100_755, 0, 0, 1, 0, bytes.len(), 0, 0, 0, 0, name.len() + 1, 0];
        out.extend(b"070701");
        out.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        out.extend(name.bytes().chain([0]));
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(*bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn rpm(payload: &[u8]) -> Vec<u8> {
    let header = |data: &[u8]| {
        let mut out = b"\x8e\xad\xe8\x01\0\0\0\0\0\0\0\x01".to_vec();
        out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        out.extend([0; 16]);
        out.extend(data);
        out
    };
    let mut out = b"\xed\xab\xee\xdb".to_vec();
    out.resize(96, 0);
    out.extend(header(b"signature"));
    out.resize(96 + (out.len() - 96).next_multiple_of(8), 0);
    out.extend(header(b"name"));
    out.extend(payload);
    out
}

/// One member; its length follows the data when `is_streamed`.
fn zip(name: &str, bytes: &[u8], is_streamed: bool) -> Vec<u8> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    let packed = packer.finish().unwrap();
    let mut out = b"PK\x03\x04\x14\0".to_vec();
    out.extend([if is_streamed { 8 } else { 0 }, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let stated = if is_streamed { 0 } else { packed.len() };
    out.extend(u32::try_from(stated).unwrap().to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    out.extend([0, 0]);
    out.extend(name.bytes());
    out.extend(packed);
    out
}

#[test]
fn a_miner_is_found_bare_and_in_every_kind_of_package() {
    assert_eq!(found(MINER), [""]);
    assert_eq!(found(&gz(MINER)), [""]);
    let files = tar(&[(b"usr/bin/tool", b"#!/bin/sh\n"), (b"usr/lib/.x", MINER)]);
    assert_eq!(found(&files), ["usr/lib/.x"]);
    let deb =
        ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gz(&tar(&[]))), ("data.tar.gz", &gz(&files))]);
    assert_eq!(found(&deb), ["data.tar.gz!usr/lib/.x"]);
    assert_eq!(found(&rpm(&gz(&cpio(&[("./opt/a", b"no"), ("./opt/m", MINER)])))), ["payload!./opt/m"]);
    let nested = gz(&tar(&[(b"a.zip", &[zip("read.me", b"hello", false), zip("m", MINER, true)].concat())]));
    assert_eq!(found(&nested), ["a.zip!m"]);
}

#[test]
fn packages_of_the_real_tools_are_opened() {
    for (file, member) in [
        (&include_bytes!("../../tests/files/xz.deb")[..], "data.tar.xz!./usr/lib/.x"),
        (include_bytes!("../../tests/files/zstd.deb"), "data.tar.zst!./usr/lib/.x"),
        (include_bytes!("../../tests/files/stored.zip"), "lib/.x"),
        (include_bytes!("../../tests/files/long.tar.gz"), &format!("./{}/.x", "folder-".repeat(20))),
    ] {
        assert_eq!(found(file), [member]);
    }
}

#[test]
fn an_installer_that_carries_a_miner_behind_its_text_is_seen_through() {
    let text = b"#!/bin/sh\ntail -n +4 \"$0\" | tar xz\nexit 0\n".to_vec();
    let at = format!("@{}", text.len());
    let carried = [text.clone(), gz(&tar(&[(b"m", MINER)]))].concat();
    assert_eq!(found(&carried), [format!("{at}!m")]);
    assert_eq!(found(&[text, MINER.to_vec()].concat()), [at]);
}

#[test]
fn a_document_that_speaks_of_stratum_and_a_program_that_measures_are_no_miners() {
    let documents = b"The stratum of a clock; RandomX dataset; mining.subscribe";
    let benchmark = b"\x7fELF benchmark: hashes per second, sha256, scrypt, accepted";
    assert!(
        found(&gz(&tar(&[(b"usr/share/doc/ntp/README", documents), (b"usr/bin/bench", benchmark)])))
            .is_empty()
    );
}

#[test]
fn a_bomb_ends_at_the_ratio_and_at_the_total_and_is_named() {
    let bomb = gz(&gz(&vec![0; 96 << 20]));
    assert!(bomb.len() < 2000);
    assert_eq!(
        cuts(&bomb, &FileLimits { member_bytes: 1 << 20, ..FileLimits::default() }),
        [Cut::MemberBytes, Cut::Ratio]
    );
    let large = gz(&vec![0; 3 << 20]);
    let limits = FileLimits { total_bytes: 2 << 20, ..FileLimits::default() };
    assert_eq!(cuts(&large, &limits), [Cut::TotalBytes]);
}

#[test]
fn layers_and_members_end_at_their_limits() {
    let deep = (0..7).fold(MINER.to_vec(), |inner, _| gz(&inner));
    assert_eq!(cuts(&deep, &FileLimits::default()), [Cut::Depth]);
    let deep = (0..6).fold(MINER.to_vec(), |inner, _| gz(&inner));
    assert_eq!(found(&deep), [""]);
    let many = tar(&[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]);
    assert_eq!(cuts(&many, &FileLimits { members: 2, ..FileLimits::default() }), [Cut::Members]);
    assert!(cuts(&many, &FileLimits { members: 3, ..FileLimits::default() }).is_empty());
}

#[test]
fn every_beginning_of_a_package_is_read_without_a_panic_and_a_cut_one_is_named() {
    let deb = ar(&[("debian-binary", b"2.0\n"), ("data.tar.gz", &gz(&tar(&[(b"m", MINER)])))]);
    for whole in [deb, rpm(&gz(&cpio(&[("m", MINER)]))), zip("m", MINER, false), gz(&tar(&[(b"m", MINER)]))] {
        for end in 0..whole.len() {
            cuts(&whole[..end], &FileLimits::default());
        }
        assert!(cuts(&whole[..whole.len() / 2], &FileLimits::default()).contains(&Cut::Broken));
    }
}

#[test]
fn an_xz_chunk_that_ends_before_it_gives_what_it_promised_holds_nobody_up_and_is_named() {
    let starved = include_bytes!("../../tests/files/starved.xz");
    assert_eq!(cuts(starved, &FileLimits::default()), [Cut::Broken]);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let mut locked = zip("m", MINER, false);
    locked[6] |= 1;
    assert_eq!(cuts(&locked, &FileLimits::default()), [Cut::Locked]);
    assert_eq!(cuts(b"BZh91AY", &FileLimits::default()), [Cut::Unread]);
}

#[test]
fn names_of_members_stay_short_and_readable_text() {
    let name = b"a\xff\nb\x1b[2J";
    let mut names = Vec::new();
    open(&mut Cursor::new(tar(&[(name, MINER)])), &FileLimits::default(), &mut |name, _| {
        names.push(name.to_owned())
    });
    assert_eq!(names, ["a\u{fffd}\nb\u{1b}[2J"]);
    assert_eq!(archive::joined("", "é".repeat(400).as_bytes()).len(), 512);
}

#[test]
fn a_file_is_named_by_the_sums_that_the_tools_print() {
    let (md5, sha256) = digests(&mut &b"abc"[..]).unwrap();
    assert_eq!(md5, "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
