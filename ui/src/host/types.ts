// What the page may ask of the outside, one method per command. It refuses to know who answers: the shell
// (`tauri.ts`) or the page's own stand-in (`fake.ts`). Every method rejects with a `Failure`.
import type { Choice } from "./wire/Choice";
import type { Completion } from "./wire/Completion";
import type { Engine } from "./wire/Engine";
import type { Entry } from "./wire/Entry";
import type { Mode } from "./wire/Mode";
import type { Settings } from "./wire/Settings";
import type { TabFrame } from "./wire/TabFrame";
import type { WindowFrame } from "./wire/WindowFrame";

export interface Host {
  /** Streams everything outside the tabs' pages; the first frame comes at once. */
  watchWindow(onFrame: (frame: WindowFrame) => void): Promise<void>;
  /** Streams a tab, a snapshot first. Frames may come before the promise gives the watch's number. */
  watchTab(tab: string, onFrame: (frame: TabFrame) => void): Promise<number>;
  unwatchTab(tab: string, watch: number): Promise<void>;
  /** Says that the frame with this number has been painted; the next one comes then. */
  acknowledge(tab: string, watch: number, seq: number): Promise<void>;
  /** At most `count` entries older than the entry `before`, oldest first. */
  earlier(tab: string, before: number, count: number): Promise<Entry[]>;

  /** Gives the new tab's id. `request` is minted here, so that a repeat opens no second tab. */
  openTab(request: string, workspace: string): Promise<string>;
  closeTab(tab: string): Promise<void>;
  renameTab(tab: string, title: string): Promise<void>;
  moveTab(tab: string, index: number): Promise<void>;
  /** Null shows the new-tab page. */
  activateTab(tab: string | null): Promise<void>;

  send(request: string, tab: string, text: string): Promise<void>;
  /** Takes a waiting message back: its text, or null where the agent already has it. */
  unqueue(tab: string, id: string): Promise<string | null>;
  stopTurn(tab: string): Promise<void>;
  answer(tab: string, ask: string, choice: Choice): Promise<void>;
  retryTurn(tab: string, entry: number): Promise<void>;

  toggleContainer(request: string, tab: string): Promise<void>;
  useHost(tab: string): Promise<void>;
  /** Keeps what a container has changed in guarded files, or brings back what was. */
  answerGuard(tab: string, keep: boolean): Promise<void>;
  /** Chooses between the two versions of a file that has changed here and in the container. */
  answerConflict(tab: string, path: string, theirs: boolean): Promise<void>;

  setModel(tab: string, model: string): Promise<void>;
  setMode(tab: string, mode: Mode): Promise<void>;

  installAgent(tab: string): Promise<void>;
  retryAgent(tab: string): Promise<void>;
  startFresh(tab: string): Promise<void>;

  completePath(path: string): Promise<Completion>;
  /** Every container engine that is named or found, those that do not answer too. Takes seconds where one is far. */
  listEngines(): Promise<Engine[]>;
  saveSettings(settings: Settings): Promise<void>;
  dismissProblem(id: number): Promise<void>;

  /** The platform's folder dialog; null where the user chose none. */
  chooseFolder(): Promise<string | null>;
  /** The platform's file dialog for certificates; empty where the user chose none. */
  chooseCertificates(): Promise<string[]>;
  copyText(text: string): Promise<void>;
  /** Opens an http, https or mailto address outside the app. */
  openLink(url: string): Promise<void>;
}
