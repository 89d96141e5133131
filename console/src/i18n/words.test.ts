import { describe, expect, it } from "vitest";
import { en } from "./en";
import { zh } from "./zh";

type Words = { [key: string]: string | Words };

function flat(words: Words, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(words)) {
    if (typeof value === "string") found.set(path + key, value);
    else for (const [inner, word] of flat(value, `${path}${key}.`)) found.set(inner, word);
  }
  return found;
}

const gaps = (text: string) => [...text.matchAll(/{{(\w+)}}|<(\w+)>/g)].map((match) => match[0]).sort();

describe("the two languages", () => {
  it("have the same sentences; Chinese has one plural form", () => {
    const english = [...flat(en).keys()].filter((key) => !key.endsWith("_one")).sort();
    expect([...flat(zh).keys()].sort()).toEqual(english);
  });

  it("have the same gaps in each sentence", () => {
    const chinese = flat(zh);
    for (const [key, text] of flat(en)) {
      if (key.endsWith("_one")) continue;
      expect(gaps(chinese.get(key) ?? ""), key).toEqual(gaps(text));
    }
  });
});
