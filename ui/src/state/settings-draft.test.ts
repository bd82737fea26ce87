// Settings on their way from core into rows and back.
import { describe, expect, it } from "vitest";

import type { Settings } from "../host/wire/Settings";
import { SettingsDraft } from "./settings-draft.svelte";

const SETTINGS: Settings = {
  engine: "unix:///run/docker.sock",
  freshOnToggle: true,
  certificates: ["/a.pem", "/b.pem"],
  environment: { "/p": { A: "1", B: "" }, "/q": { C: " 3 " } },
  container: { cpus: 2 },
  projects: { "/p": { engine: "", container: { offline: true } } },
};

describe("settings", () => {
  it("come back as they were where nothing was edited", () => {
    expect(new SettingsDraft(SETTINGS).toSettings()).toEqual(SETTINGS);
  });

  it("are not changed by editing the draft", () => {
    const before = structuredClone(SETTINGS);
    const draft = new SettingsDraft(SETTINGS);
    draft.projects[0]!.variables[0]!.value = "changed";
    draft.removeCertificate("/a.pem");
    expect(SETTINGS).toEqual(before);
    expect(draft.toSettings().environment["/p"]).toEqual({ A: "changed", B: "" });
    expect(draft.toSettings().certificates).toEqual(["/b.pem"]);
  });

  it("hold each certificate once, and no empty path", () => {
    const draft = new SettingsDraft(SETTINGS);
    draft.addCertificates([" /c.pem ", "/a.pem", " "]);
    expect(draft.toSettings().certificates).toEqual(["/a.pem", "/b.pem", "/c.pem"]);
  });

  it("have no rows that were left empty, and no project without variables", () => {
    const draft = new SettingsDraft(SETTINGS);
    draft.addProject("/r");
    draft.addProject("/p");
    expect(draft.toSettings()).toEqual(SETTINGS);
    expect(draft.problem()).toBe(null);
  });

  it("hold no wish that was taken back, and no project that nothing is said for", () => {
    const draft = new SettingsDraft(SETTINGS);
    draft.wish({ pids: 5 });
    draft.wish({ pids: null, cpus: null });
    draft.wishForProject("/new", { offline: true });
    draft.wishForProject("/new", { offline: null });
    draft.wishForProject("/p", { offline: null });
    expect(draft.toSettings().container).toEqual({});
    expect(draft.toSettings().projects).toEqual({ "/p": { engine: "", container: {} } });
  });

  it("are not saved with a number that is none", () => {
    const draft = new SettingsDraft(SETTINGS);
    draft.wishForProject("/p", { cpus: Number.NaN });
    expect(draft.problem()).toBe("A number for /p is none: cpus.");
  });

  it.each([
    [{ name: "", value: "x" }, "A variable of /p has a value and no name."],
    [{ name: "A", value: "2" }, "A stands twice for /p."],
  ])("say what is wrong with %o", (row, words) => {
    const draft = new SettingsDraft(SETTINGS);
    draft.projects[0]!.variables.push(row);
    expect(draft.problem()).toBe(words);
  });
});
