// Engines in the document: the settings' for all projects, and a project's own in the container's details.
import { afterEach, describe, expect, it, vi } from "vitest";

import { ENGINES } from "../../host/fake/engines";
import { all, one, press, settle, show } from "../../test/mount";

afterEach(() => {
  sessionStorage.clear();
});

const podman = "unix:///run/user/1000/podman/podman.sock";

/** The first one: the settings have one for all projects, and below it one for a single project. */
function first(): HTMLSelectElement {
  return all("engine-picker")[0] as HTMLSelectElement;
}

function choose(value: string): void {
  const picker = first();
  picker.value = value;
  picker.dispatchEvent(new Event("change", { bubbles: true }));
}

describe("the engine picker", () => {
  it("offers what answers, and says why the rest does not", async () => {
    await show("conversation");
    await press(window, ",", { ctrlKey: true });
    await settle();
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
    one("container-button").focus();
    await settle();
    await vi.waitFor(() => expect(all("project-engine")).toHaveLength(1));
    await settle();
    choose(podman);
    await settle();
    const saved = save.mock.calls[0]?.[0];
    expect(Object.values(saved?.projects ?? {}).map((project) => project.engine)).toEqual([podman]);
    expect(saved?.engine).toBe("");
  });
});
