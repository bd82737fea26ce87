// The user's own keys in the dialog, and the login of containers, in the document.
import { afterEach, describe, expect, it } from "vitest";

import { RIGHT_CODE } from "../../host/fake/credentials";
import { all, one, press, settle, show, type } from "../../test/mount";

afterEach(() => {
  sessionStorage.clear();
});

function key(variable: string): HTMLElement {
  const found = all("credential").find((row) => row.dataset["variable"] === variable);
  if (!found) throw new Error(`no row for ${variable}`);
  return found;
}

function field(variable: string): HTMLInputElement {
  return key(variable).querySelector("input")!;
}

async function openKeys(): ReturnType<typeof show> {
  const page = await show("conversation");
  await press(window, ",", { ctrlKey: true });
  await settle();
  return page;
}

async function openLogin(): ReturnType<typeof show> {
  const page = await show("running");
  one("container-button").focus();
  await settle();
  one("login-inside").click();
  await settle();
  return page;
}

describe("the keys", () => {
  it("are kept at once, apart from the other settings, and not shown again", async () => {
    const { host } = await openKeys();
    expect(one("credentials-place").textContent).toContain("keyring");
    expect(key("ANTHROPIC_API_KEY").textContent).toContain("the environment has one");
    expect(field("ANTHROPIC_API_KEY").type).toBe("password");
    await type(field("ANTHROPIC_API_KEY"), " sk-secret ");
    await press(field("ANTHROPIC_API_KEY"), "Enter");
    await settle();
    expect(host.kept.values.get("ANTHROPIC_API_KEY")).toBe("sk-secret");
    expect(all("settings")).toHaveLength(1);
    expect(key("ANTHROPIC_API_KEY").dataset["kept"]).toBe("keyring");
    expect(field("ANTHROPIC_API_KEY").value).toBe("");
    expect(document.body.innerHTML).not.toContain("sk-secret");
    one("credential-forget").click();
    await settle();
    await settle();
    expect(host.kept.values.size).toBe(0);
    expect(all("credential-forget")).toHaveLength(0);
  });

  it("that are refused stay as they were typed, with the reason", async () => {
    const { host } = await openKeys();
    await type(field("GITHUB_TOKEN"), "ghp one");
    await press(field("GITHUB_TOKEN"), "Enter");
    await settle();
    expect(one("credentials-failure").textContent).toContain("holds a blank");
    expect(field("GITHUB_TOKEN").value).toBe("ghp one");
    expect(host.kept.values.size).toBe(0);
  });

  it("say why they are in a file", async () => {
    const page = await show("conversation");
    page.host.kept.place = "file";
    await press(window, ",", { ctrlKey: true });
    await settle();
    const words = one("credentials-place").textContent;
    expect(words).toContain("credentials.json");
    expect(words).toContain("there is no keyring here");
  });
});

describe("what goes along", () => {
  it("is asked for by itself, for one project, in words that say what it means", async () => {
    const { host, model } = await openKeys();
    expect(one("settings").textContent).toContain("sign with every key");
    const project = "/home/ada/projects/orchard";
    const lent = one("settings").querySelector<HTMLSelectElement>(
      `[data-field="projects.${project}.container.sshAgent"] select`,
    )!;
    lent.value = "yes";
    lent.dispatchEvent(new Event("change", { bubbles: true }));
    await settle();
    one("settings-save").click();
    await settle();
    const settings = model.state!.settings;
    expect(settings.projects[project]?.container).toEqual({ sshAgent: true });
    expect(settings.container).toEqual({});
    expect(host.kept.values.size).toBe(0);
  });
});

describe("the login of containers", () => {
  it("shows the page's address, takes the code, and says who is logged in", async () => {
    const { host } = await openLogin();
    expect(one("login-account").dataset["loggedIn"]).toBe("false");
    one("log-in").click();
    await settle();
    expect(one("login-address").textContent).toContain("https://claude.com/");
    await type(one("login-code"), RIGHT_CODE);
    one("login-send").click();
    await settle();
    expect(one("login-account").textContent).toBe("ada@example.org is logged in (max).");
    one("log-out").click();
    await settle();
    expect(one("login-account").dataset["loggedIn"]).toBe("false");
    expect(host.kept.account.loggedIn).toBe(false);
  });

  it("tells a refusal and lets one try again", async () => {
    await openLogin();
    one("log-in").click();
    await settle();
    await type(one("login-code"), "wrong");
    one("login-send").click();
    await settle();
    expect(one("login").textContent).toContain("The code is wrong.");
    expect(all("log-in")).toHaveLength(1);
    expect(all("login-address")).toHaveLength(0);
  });

  it("is given up where it is closed", async () => {
    const { host } = await openLogin();
    one("log-in").click();
    await settle();
    expect(host.kept.waits).toBe(true);
    one("close-login").click();
    await settle();
    expect(all("login")).toHaveLength(0);
    expect(host.kept.waits).toBe(false);
  });
});
