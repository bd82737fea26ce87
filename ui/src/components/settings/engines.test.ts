// Engines in the document: the settings' for all projects, and a project's own in the container's details.
import { afterEach, describe, expect, it, vi } from "vitest";

import { ENGINES } from "../../host/fake/engines";
import { FRESH_MS } from "../../state/engines.svelte";
import { all, one, press, settle, show } from "../../test/mount";

afterEach(() => {
  sessionStorage.clear();
});

const podman = "unix:///run/user/1000/podman/podman.sock";

/** The first one: the settings have one for all projects, and below it one for a single project. */
function first(): HTMLSelectElement {
  return all("engine-picker")[0] as HTMLSelectElement;
}

/** Says that one is wanted, where nobody has looked yet. */
async function find(): Promise<void> {
  all("find-engines")[0]?.click();
  await settle();
  await settle();
}

function choose(value: string): void {
  const picker = first();
  picker.value = value;
  picker.dispatchEvent(new Event("change", { bubbles: true }));
}

async function details(): Promise<void> {
  one("container-button").focus();
  await vi.waitFor(() => expect(all("project-engine")).toHaveLength(1));
  await settle();
}

describe("the engine picker", () => {
  it("offers what answers, and says why the rest does not", async () => {
    await show("conversation");
    await press(window, ",", { ctrlKey: true });
    await settle();
    await find();
    const offered = [...first().options].map((option) => option.value);
    const answering = ENGINES.filter((engine) => engine.failure === null).map((engine) => engine.setting);
    expect(offered).toEqual(["", ...answering]);
    expect(first().textContent).toContain("Podman 5.4.0");
    expect(first().textContent).toContain("rootless");
    expect(all("engines-silent")[0]?.textContent).toContain("ssh does not know the machine");
    choose(podman);
    await settle();
    expect(one("settings-engine")).toHaveProperty("value", podman);
  });

  it("sets the engine of a tab's project from the container's details", async () => {
    const { host } = await show("conversation");
    const save = vi.spyOn(host, "saveSettings");
    await details();
    expect(one("project-engine").textContent, "what holds now is told without a look").toContain(
      "As for all projects",
    );
    await find();
    choose(podman);
    await settle();
    const saved = save.mock.calls[0]?.[0];
    expect(Object.values(saved?.projects ?? {}).map((project) => project.engine)).toEqual([podman]);
    expect(saved?.engine).toBe("");
  });

  it("asks the engines when the user wants to choose, and once a minute at most", async () => {
    const { host, model } = await show("conversation");
    const list = vi.spyOn(host, "listEngines");
    const begun = Date.now();
    const clock = vi.spyOn(Date, "now").mockReturnValue(begun);
    await details();
    await press(window, ",", { ctrlKey: true });
    await settle();
    expect(list, "opening the details or the settings asks nobody").not.toHaveBeenCalled();
    const both = all("find-engines", one("settings"));
    expect(both, "one for all projects, and one for a single project").toHaveLength(2);
    both.forEach((button) => button.click());
    await settle();
    await settle();
    expect(list, "one look serves both").toHaveBeenCalledOnce();
    model.settingsOpen = false;
    await settle();
    await press(window, ",", { ctrlKey: true });
    await settle();
    expect(all("engine-picker", one("settings")), "what was found is there at once").toHaveLength(2);
    first().focus();
    await settle();
    expect(list).toHaveBeenCalledOnce();
    clock.mockReturnValue(begun + FRESH_MS);
    first().blur();
    first().focus();
    await settle();
    expect(list, "after a minute it is looked anew").toHaveBeenCalledTimes(2);
  });

  it("says why it could not look, and can be asked again", async () => {
    const { host, model } = await show("conversation");
    const list = vi.spyOn(host, "listEngines").mockRejectedValueOnce(new Error("no"));
    await details();
    await find();
    expect(model.failures.list.map((shown) => shown.failure.title)).toEqual([
      "Could not look for container engines",
    ]);
    expect(all("engine-picker"), "there is nothing to choose from").toHaveLength(0);
    await find();
    expect(list).toHaveBeenCalledTimes(2);
    expect(all("engine-picker")).toHaveLength(1);
  });
});
