import { describe, expect, it } from "vitest";
import { addressesOf, adviceOf, type Branch, commandOf, isEntry, isStep, processName, processTree } from "./story";
import { evidence, incident, NOW, process, step } from "./test-data";

describe("a step", () => {
  it("is what a rule about behaviour found, and no sign of mining", () => {
    expect(isStep(step("a"))).toBe(true);
    expect(isStep(step("a", { evidence: [evidence("protocol", 0.9)] }))).toBe(false);
    expect(isStep(step("a", { evidence: [] }))).toBe(false);
  });

  it("is the way in when time and address are those that the server names", () => {
    const entry = { at_ms: NOW, remote: "192.0.2.44:1", text: { en: "", zh: "" } };
    const story = { ...incident().story, entry };
    expect(isEntry(incident({ story }), step("a", { remote: "192.0.2.44:1" }))).toBe(true);
    expect(isEntry(incident({ story }), step("a", { remote: "192.0.2.44:1", at_ms: NOW + 1 }))).toBe(false);
    expect(isEntry(incident({ story }), step("a"))).toBe(false);
    expect(isEntry(incident(), step("a"))).toBe(false);
  });

  it("shows its command once, and not when that is only a name", () => {
    const subject = process(7, 1);
    expect(commandOf(step("a", { subject }), "seen")).toBe("p7 --run");
    expect(commandOf(step("a", { subject }), "it ran p7 --run")).toBe("");
    expect(commandOf(step("a", { subject: { ...subject, argv: ["-bash"] } }), "seen")).toBe("");
    expect(commandOf(step("a"), "seen")).toBe("");
  });

  it("gives advice and address once, with the first step that does, and nothing for what is empty", () => {
    const findings = [
      step("a", { remote: "192.0.2.1:1" }),
      step("b", { remote: "192.0.2.1:1", advice: { en: "", zh: "" } }),
      step("c", { remote: "192.0.2.2:2" }),
    ];
    const advice = adviceOf(incident({ findings }), (finding) => finding.advice.en);
    expect(advice.map(({ finding }) => finding.uid)).toEqual(["a"]);
    expect(addressesOf(findings).map(({ remote, finding }) => [remote, finding.uid])).toEqual([
      ["192.0.2.1:1", "a"],
      ["192.0.2.2:2", "c"],
    ]);
  });
});

describe("a process", () => {
  it("is named by its file, else by what it calls itself, else by its number", () => {
    expect(processName({ exe: "/tmp/.x/a", comm: "b", pid: 7 })).toBe("a");
    expect(processName({ exe: "", comm: "b", pid: 7 })).toBe("b");
    expect(processName({ exe: "", comm: "", pid: 7 })).toBe("7");
  });
});

describe("the process tree", () => {
  const shape = (branch: Branch): unknown => [branch.key.pid, ...branch.children.map(shape)];
  const tree = (...known: ReturnType<typeof process>[]) => {
    const root = process(10, 1);
    const findings = known.map((subject) => step(`s${subject.key.pid}`, { subject, parent: process(1, 0) }));
    const processes = [root.key, ...known.map((one) => one.key), { pid: 99, start_ticks: 99 }];
    return processTree(incident({ root, findings, processes }));
  };

  it("puts each under its parent, and what it does not know under the root", () => {
    const { root, parent } = tree(process(11, 10), process(12, 11), process(13, 77));
    expect(shape(root)).toEqual([10, [11, [12]], [13], [99]]);
    expect(parent?.key.pid).toBe(1);
  });

  it("holds each process once, also when parents are given in a ring or a pid was used again", () => {
    const pids = (branch: Branch): number[] => [branch.key.pid, ...branch.children.flatMap(pids)];
    expect(pids(tree(process(11, 12, 5), process(12, 11, 5), process(14, 14)).root).sort()).toEqual([10, 11, 12, 14, 99]);
    // 20 began after 11, which names a pid 20 that was there before.
    expect(shape(tree(process(11, 20, 5), process(20, 10, 6)).root)).toEqual([10, [11], [20], [99]]);
  });
});
