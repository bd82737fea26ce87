// Settings and problems in the document.
import { afterEach, describe, expect, it, vi } from "vitest";

import { all, one, press, settle, show, type } from "../../test/mount";

afterEach(() => {
  sessionStorage.clear();
});

async function open(): ReturnType<typeof show> {
  const page = await show("conversation");
  await press(window, ",", { ctrlKey: true });
  return page;
}

/** A field by its path in the settings. */
function field(path: string): HTMLElement {
  const found = document.getElementById(path);
  if (found === null) throw new Error(`There is no field ${path}`);
  return found;
}

async function choose(select: HTMLElement, value: string): Promise<void> {
  if (!(select instanceof HTMLSelectElement)) throw new Error("Only a list can be chosen from");
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
}

describe("the settings", () => {
  it("open with Ctrl+, and are saved as a whole", async () => {
    const { host } = await open();
    const save = vi.spyOn(host, "saveSettings");
    await type(one("settings-engine"), "unix:///run/podman.sock");
    one("settings-fresh").click();
    one("settings-save").click();
    await settle();
    expect(save).toHaveBeenCalledExactlyOnceWith({
      engine: "unix:///run/podman.sock",
      freshOnToggle: true,
      certificates: ["/etc/ssl/company/root.pem"],
      environment: {
        "/home/ada/projects/orchard": { DATABASE_URL: "postgres://orchard:apple@localhost/orchard" },
      },
      container: {},
      projects: {},
    });
    expect(all("settings")).toHaveLength(0);
  });

  it("that are refused stay as they were edited, with the reason", async () => {
    await open();
    await type(one("settings-engine"), "docker.sock");
    one("settings-save").click();
    await settle();
    expect(one("settings-failure").textContent).toContain("begins with no known scheme");
    expect(one("settings-engine")).toHaveProperty("value", "docker.sock");
  });

  it("hold what is wished for all containers, and for one project in its own layer", async () => {
    const { host } = await open();
    const save = vi.spyOn(host, "saveSettings");
    await type(field("container.cpus"), "1,5");
    await type(field("container.mounts"), "~/data:/data:ro\n\n /x:/y:rw ");
    await type(field("container.buildArgs"), "A=1\nB=x=y");
    await choose(field("container.readOnlySystem"), "yes");
    const project = (one("settings-project") as HTMLSelectElement).value;
    const own = field(`projects.${project}.container.cpus`) as HTMLInputElement;
    expect(own.placeholder).toBe("1.5");
    await type(own, "3");
    await choose(field(`projects.${project}.container.preset`), "withSudo");
    one("settings-save").click();
    await settle();
    const saved = save.mock.calls[0]![0];
    expect(saved.container).toEqual({
      cpus: 1.5,
      mounts: ["~/data:/data:ro", "/x:/y:rw"],
      buildArgs: { A: "1", B: "x=y" },
      readOnlySystem: true,
    });
    expect(saved.projects).toEqual({ [project]: { engine: "", container: { cpus: 3, preset: "withSudo" } } });
  });

  it("show why a value was refused beside its field", async () => {
    await open();
    await type(field("container.cpus"), "0");
    one("settings-save").click();
    await settle();
    expect(field("container.cpus").getAttribute("aria-invalid")).toBe("true");
    expect(field("container.cpus").closest("[data-field]")?.textContent).toContain("from 0.01");
    expect(field("container.memoryMb").getAttribute("aria-invalid")).toBe("false");
  });

  it.each(["many", "-1", "1.5.2"])("are not sent with %o for a number", async (text) => {
    const { host } = await open();
    const save = vi.spyOn(host, "saveSettings");
    await type(field("container.memoryMb"), text);
    one("settings-save").click();
    await settle();
    expect(save).not.toHaveBeenCalled();
    expect(one("settings").textContent).toContain("A number for all projects is none: memoryMb.");
  });

  it("are reached by their list of sections, and each field has a name and words", async () => {
    await open();
    const names = [...one("settings").querySelectorAll("nav button")].map((button) =>
      button.textContent.trim(),
    );
    expect(names).toEqual(["General", "Engine", "Container", "Credentials", "Projects"]);
    const sections = one("settings").querySelector<HTMLElement>("[data-section=container]");
    sections?.click();
    await settle();
    expect(sections?.getAttribute("aria-current")).toBe("true");
    const nameless = [...one("settings").querySelectorAll<HTMLElement>("[data-field]")].filter((found) => {
      const control = field(found.dataset["field"] ?? "");
      const words = document.getElementById(control.getAttribute("aria-describedby") ?? "");
      return found.querySelector("label")?.htmlFor !== control.id || !words?.textContent.trim();
    });
    expect(nameless).toEqual([]);
  });

  it("write a Dockerfile to start from, and never over another", async () => {
    const { host } = await open();
    await settle();
    const template = one("template") as HTMLSelectElement;
    template.value = "python";
    template.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    one("write-template").click();
    await settle();
    expect(one("template-written").textContent).toContain("/Dockerfile.claude");
    expect(host.written).toHaveLength(1);
    one("write-template").click();
    await settle();
    expect(all("template-written")).toHaveLength(0);
    expect(one("settings").textContent).toContain("is there already");
  });

  it("mask the values of variables until they are asked for", async () => {
    await open();
    const value = one("settings").querySelector<HTMLInputElement>("[aria-label='Value of DATABASE_URL']");
    expect(value?.type).toBe("password");
    one("settings").querySelector<HTMLElement>("[aria-label='Show the value']")?.click();
    await settle();
    expect(value?.type).toBe("text");
  });
});

describe("a problem", () => {
  it("stands at the top with its cause and next step until it is dismissed", async () => {
    const { host } = await show("problem");
    const dismiss = vi.spyOn(host, "dismissProblem");
    expect(one("problem").textContent).toMatch(/could not be read.*line 4.*Mend it/s);
    one("problem").querySelector<HTMLElement>("[aria-label=Dismiss]")?.click();
    await settle();
    expect(dismiss).toHaveBeenCalledExactlyOnceWith(0);
    expect(all("problem")).toHaveLength(0);
  });

  it("names its class, as the README lists it", async () => {
    await show("problem");
    expect(one("problem").dataset["code"]).toBe("settings-invalid");
    expect(one("problem").textContent).toContain("settings-invalid");
  });

  it("of the same class as another stands beside it and goes alone", async () => {
    await show("problems");
    expect(all("problem").map((banner) => banner.textContent)).toEqual([
      expect.stringContaining("/nope1"),
      expect.stringContaining("/nope2"),
    ]);
    all("problem")[0]?.querySelector<HTMLElement>("[aria-label=Dismiss]")?.click();
    await settle();
    expect(one("problem").textContent).toContain("/nope2");
  });
});

describe("An end that takes longer", () => {
  it("says what is still done, and leaves the page in sight", async () => {
    await show("leaving");
    expect(one("leaving").textContent).toContain("Gemra ends when that is done");
    expect(one("leaving").getAttribute("role")).toBe("status");
    expect(all("composer")).toHaveLength(1);
  });

  it("is not there otherwise", async () => {
    await show("conversation");
    expect(all("leaving")).toHaveLength(0);
  });
});
