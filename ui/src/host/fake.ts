// A host with no backend: it plays scripted tabs in the page itself, for development, tests and screenshots. It
// answers as core does, deterministically, and is never part of the app.
import { FakeCredentials } from "./fake/credentials";
import { FakeContainers } from "./fake/containers";
import { FakeTab } from "./fake/tab";
import { ENGINES } from "./fake/engines";
import { FOLDERS } from "./fake/folders";
import { TEMPLATES } from "./fake/parts";
import { scene, type Scene } from "./fake/scenes";
import type { Host } from "./types";
import type { Completion } from "./wire/Completion";
import type { ContainerFigures } from "./wire/ContainerFigures";
import type { Engine } from "./wire/Engine";
import type { Failure } from "./wire/Failure";
import type { Holdings } from "./wire/Holdings";
import type { Pruned } from "./wire/Pruned";
import type { ShellFrame } from "./wire/ShellFrame";
import type { ImageProgress } from "./wire/ImageProgress";
import type { LoadedImage } from "./wire/LoadedImage";
import type { TabFrame } from "./wire/TabFrame";
import type { Template } from "./wire/Template";
import type { WindowFrame } from "./wire/WindowFrame";
import type { WindowState } from "./wire/WindowState";

/** `query` names the scene to begin with, such as `?scene=ask`. */
export function fakeHost(query: string): FakeHost {
  return new FakeHost(scene(new URLSearchParams(query).get("scene") ?? "conversation"));
}

export class FakeHost implements Host {
  /** What was copied, newest last. */
  readonly copied: string[] = [];
  /** What was opened in the browser, newest last. */
  readonly opened: string[] = [];
  /** Dockerfiles that were written, newest last. */
  readonly written: string[] = [];

  /** The user's own keys and the login inside. */
  readonly kept = new FakeCredentials();

  /** What is in the containers, and what is held at the engine. */
  readonly containers = new FakeContainers();

  #window: WindowState;
  readonly #tabs = new Map<string, FakeTab>();
  readonly #windowWatchers: ((frame: WindowFrame) => void)[] = [];
  readonly #requests = new Map<string, unknown>();
  #nextTab = 1;

  constructor(start: Scene) {
    this.#window = { ...start.window, tabs: [] };
    for (const tab of start.tabs) this.#adopt(tab);
    this.#nextTab = start.tabs.length + 1;
    this.#say();
  }

  tab(id: string): FakeTab {
    const tab = this.#tabs.get(id);
    if (tab === undefined) throw failure("tab-closed", "This tab is closed", "It was closed meanwhile.", "");
    return tab;
  }

  async watchWindow(onFrame: (frame: WindowFrame) => void): Promise<void> {
    this.#windowWatchers.push(onFrame);
    onFrame({ kind: "state", ...this.#window });
  }

  async watchTab(tab: string, onFrame: (frame: TabFrame) => void): Promise<number> {
    return this.tab(tab).watch(onFrame);
  }

  async unwatchTab(tab: string, watch: number): Promise<void> {
    this.#tabs.get(tab)?.unwatch(watch);
  }

  async acknowledge(tab: string, watch: number, seq: number): Promise<void> {
    this.#tabs.get(tab)?.acknowledge(watch, seq);
  }

  async earlier(tab: string, before: number, count: number): ReturnType<Host["earlier"]> {
    return this.tab(tab).earlier(before, count);
  }

  async openTab(request: string, workspace: string): Promise<string> {
    return this.#once(request, () => {
      const known = FOLDERS.includes(workspace.replace(/\/$/, ""));
      if (!known) throw refusal(workspace);
      const tab = FakeTab.fresh(`tab-${this.#nextTab++}`, workspace.replace(/\/$/, ""));
      this.#adopt(tab);
      const recent = [
        tab.view.workspace,
        ...this.#window.recent.filter((path) => path !== tab.view.workspace),
      ];
      this.#change({ active: tab.view.id, recent });
      return tab.view.id;
    });
  }

  async closeTab(tab: string): Promise<void> {
    const at = this.#window.tabs.findIndex((summary) => summary.id === tab);
    this.tab(tab).end();
    this.#tabs.delete(tab);
    const tabs = this.#window.tabs.filter((summary) => summary.id !== tab);
    const beside = tabs[Math.min(at, tabs.length - 1)]?.id ?? null;
    const active = this.#window.active === tab ? beside : this.#window.active;
    this.#change({ tabs, active });
  }

  async renameTab(tab: string, title: string): Promise<void> {
    this.tab(tab).rename(title);
  }

  async moveTab(tab: string, index: number): Promise<void> {
    const tabs = this.#window.tabs.filter((summary) => summary.id !== tab);
    tabs.splice(index, 0, this.tab(tab).summary());
    this.#change({ tabs });
  }

  async activateTab(tab: string | null): Promise<void> {
    this.#change({ active: tab });
  }

  async send(request: string, tab: string, text: string): Promise<void> {
    return this.#once(request, () => this.tab(tab).send(text));
  }

  async unqueue(tab: string, id: string): Promise<string | null> {
    return this.tab(tab).unqueue(id);
  }

  async stopTurn(tab: string): Promise<void> {
    this.tab(tab).stop();
  }

  async answer(tab: string, ask: string, choice: Parameters<Host["answer"]>[2]): Promise<void> {
    this.tab(tab).answer(ask, choice);
  }

  async retryTurn(tab: string, _entry: number): Promise<void> {
    this.tab(tab).retry();
  }

  async toggleContainer(request: string, tab: string): Promise<void> {
    return this.#once(request, () => this.tab(tab).toggle());
  }

  async answerGuard(tab: string, keep: boolean, path: string | null): Promise<void> {
    this.tab(tab).answerGuard(keep, path);
  }

  async allowName(tab: string, entry: string): Promise<void> {
    const { settings } = this.#window;
    const workspace = this.tab(tab).view.workspace;
    const project = settings.projects[workspace];
    const before = project?.container?.allowedDomains ?? settings.container.allowedDomains ?? [];
    const container = { ...project?.container, allowedDomains: [...before, entry] };
    const projects = { ...settings.projects, [workspace]: { engine: "", ...project, container } };
    this.#change({ settings: { ...settings, projects } });
  }

  async refreshContainer(tab: string): Promise<void> {
    this.tab(tab).refresh();
  }

  async watchContainer(tab: string, onFigures: (figures: ContainerFigures) => void): Promise<number> {
    this.tab(tab);
    return this.containers.watch(onFigures);
  }

  async openShell(
    tab: string,
    _columns: number,
    _rows: number,
    onFrame: (frame: ShellFrame) => void,
  ): Promise<number> {
    this.tab(tab);
    return this.containers.open(onFrame);
  }

  async writeShell(visit: number, text: string): Promise<void> {
    this.containers.write(visit, text);
  }

  async resizeShell(_visit: number, _columns: number, _rows: number): Promise<void> {}

  async shellPainted(_visit: number): Promise<void> {}

  async endVisit(visit: number): Promise<void> {
    this.containers.end(visit);
  }

  async holdings(): Promise<Holdings> {
    return this.containers.holdings(this.#window.tabs);
  }

  async stopContainer(id: string): Promise<void> {
    this.tab(id).toggle();
  }

  async prune(shown: string[]): Promise<Pruned> {
    return this.containers.prune(shown);
  }

  async answerTrust(tab: string, decision: Parameters<Host["answerTrust"]>[1]): Promise<void> {
    this.tab(tab).answerTrust(decision);
  }

  async answerConflict(tab: string, root: string, path: string, theirs: boolean): Promise<void> {
    this.tab(tab).answerConflict(root, path, theirs);
  }

  async useHost(tab: string): Promise<void> {
    this.tab(tab).useHost();
  }

  async rebuild(tab: string, _fresh: boolean): Promise<void> {
    this.tab(tab).rebuild();
  }

  async setModel(tab: string, model: string): Promise<void> {
    this.tab(tab).show({ model });
  }

  async setMode(tab: string, mode: Parameters<Host["setMode"]>[1]): Promise<void> {
    if (mode === "bypassPermissions" && this.tab(tab).view.container.state !== "running") {
      throw failure(
        "mode-refused",
        "The agent refused this permission mode",
        "Bypass works only where the agent was started with it allowed, such as in a container.",
        "Move the agent into a container first, or choose another mode.",
      );
    }
    this.tab(tab).show({ mode });
  }

  async installAgent(tab: string): Promise<void> {
    this.tab(tab).install();
  }

  async retryAgent(tab: string): Promise<void> {
    this.tab(tab).show({ agent: { state: "ready", version: "2.1.197" } });
  }

  async startFresh(tab: string): Promise<void> {
    this.tab(tab).show({ agent: { state: "ready", version: "2.1.197" } });
  }

  async templates(): Promise<Template[]> {
    return TEMPLATES;
  }

  async writeTemplate(workspace: string, template: string): Promise<string> {
    const file = `${workspace}/Dockerfile.claude`;
    if (this.written.includes(file)) {
      throw failure(
        "workspace-invalid",
        "The Dockerfile was not written",
        `${file} is there already.`,
        "Change that file, or move it away first.",
      );
    }
    if (!TEMPLATES.some(({ id }) => id === template)) {
      throw failure("workspace-invalid", "The Dockerfile was not written", "There is no such template.", "");
    }
    this.written.push(file);
    return file;
  }

  async saveImage(
    request: string,
    _name: string,
    file: string,
    replace: boolean,
    onProgress: (progress: ImageProgress) => void,
  ): Promise<boolean> {
    return this.containers.save(request, file, replace, onProgress);
  }

  async loadImage(
    request: string,
    file: string,
    onProgress: (progress: ImageProgress) => void,
  ): Promise<LoadedImage | null> {
    return this.containers.load(request, file, onProgress);
  }

  async cancelImage(request: string): Promise<void> {
    this.containers.cancel(request);
  }

  async completePath(path: string): Promise<Completion> {
    return { folders: FOLDERS.filter((folder) => folder.startsWith(path) && isDirect(folder, path)) };
  }

  async listEngines(): Promise<Engine[]> {
    return ENGINES;
  }

  async saveSettings(settings: WindowState["settings"]): Promise<void> {
    if (settings.engine !== "" && !/^((unix|tcp|https|ssh|npipe):\/\/|context:)/.test(settings.engine)) {
      throw failure(
        "settings-not-saved",
        "The engine's address cannot be used",
        `“${settings.engine}” begins with no known scheme.`,
        "Write unix://, tcp://, ssh:// or npipe:// and what follows, or leave it empty.",
      );
    }
    if ((settings.container.cpus ?? 1) <= 0) {
      throw {
        ...failure(
          "settings-not-saved",
          "The settings were not saved",
          `${settings.container.cpus} processors cannot be: from 0.01 to 1024 can.`,
          "Correct the value, then save again.",
        ),
        field: "container.cpus",
      };
    }
    this.#change({ settings });
  }

  async dismissProblem(id: number): Promise<void> {
    this.#change({ problems: this.#window.problems.filter((problem) => problem.id !== id) });
  }

  async credentials(): ReturnType<Host["credentials"]> {
    return this.kept.list();
  }

  async setCredential(variable: string, value: string): ReturnType<Host["setCredential"]> {
    return this.kept.set(variable, value);
  }

  async forgetCredential(variable: string): Promise<void> {
    this.kept.forget(variable);
  }

  async accountInside(_tab: string): ReturnType<Host["accountInside"]> {
    return this.kept.account;
  }

  async logInInside(_tab: string, onStep: Parameters<Host["logInInside"]>[1]): Promise<void> {
    this.kept.logIn(onStep);
  }

  async sendLoginCode(_tab: string, code: string): Promise<void> {
    this.kept.code(code);
  }

  async cancelLogin(_tab: string): Promise<void> {
    this.kept.giveUp();
  }

  async logOutInside(_tab: string): ReturnType<Host["logOutInside"]> {
    return this.kept.logOut();
  }

  async chooseFolder(): Promise<string | null> {
    return FOLDERS[1] ?? null;
  }

  async chooseCertificates(): Promise<string[]> {
    return ["/etc/ssl/company/root.pem"];
  }

  async chooseImageToWrite(name: string): Promise<string | null> {
    return `/home/ada/${name}.tar`;
  }

  async chooseImageToRead(): Promise<string | null> {
    return "/home/ada/tools.tar";
  }

  async copyText(text: string): Promise<void> {
    this.copied.push(text);
  }

  async openLink(url: string): Promise<void> {
    this.opened.push(url);
  }

  #adopt(tab: FakeTab): void {
    this.#tabs.set(tab.view.id, tab);
    this.#window = { ...this.#window, tabs: [...this.#window.tabs, tab.summary()] };
    tab.onSummary = () => {
      const tabs = this.#window.tabs.map((summary) => (summary.id === tab.view.id ? tab.summary() : summary));
      this.#change({ tabs });
    };
  }

  #change(change: Partial<WindowState>): void {
    this.#window = { ...this.#window, ...change };
    this.#say();
  }

  #say(): void {
    for (const watcher of this.#windowWatchers) watcher({ kind: "state", ...this.#window });
  }

  // A repeat under the same name is done once, as core has it.
  #once<T>(request: string, act: () => T): T {
    if (this.#requests.has(request)) return this.#requests.get(request) as T;
    const answer = act();
    this.#requests.set(request, answer);
    return answer;
  }
}

function isDirect(folder: string, path: string): boolean {
  const rest = folder.slice(path.lastIndexOf("/") + 1);
  return rest !== "" && !rest.includes("/");
}

function refusal(workspace: string): Failure {
  if (workspace === "/") {
    return failure(
      "workspace-too-wide",
      "This folder is too wide to work in",
      "“/” holds the whole machine, and a container would get all of it.",
      "Choose the folder of one project.",
    );
  }
  return failure(
    "workspace-missing",
    "This folder does not exist",
    `Nothing is at “${workspace}”.`,
    "Check the spelling, or choose the folder with Browse.",
  );
}

function failure(code: string, title: string, cause: string, action: string): Failure {
  return { code, title, cause, action, detail: null };
}
