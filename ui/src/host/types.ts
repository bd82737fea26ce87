// What the page may ask of the outside, one method per command. It refuses to know who answers: the shell
// (`tauri.ts`) or the page's own stand-in (`fake.ts`). Every method rejects with a `Failure`.
import type { Account } from "./wire/Account";
import type { Choice } from "./wire/Choice";
import type { Completion } from "./wire/Completion";
import type { Credentials } from "./wire/Credentials";
import type { ContainerFigures } from "./wire/ContainerFigures";
import type { Engine } from "./wire/Engine";
import type { Entry } from "./wire/Entry";
import type { Kept } from "./wire/Kept";
import type { LoginStep } from "./wire/LoginStep";
import type { Holdings } from "./wire/Holdings";
import type { ImageProgress } from "./wire/ImageProgress";
import type { LoadedImage } from "./wire/LoadedImage";
import type { Mode } from "./wire/Mode";
import type { Pruned } from "./wire/Pruned";
import type { Settings } from "./wire/Settings";
import type { ShellFrame } from "./wire/ShellFrame";
import type { TrustDecision } from "./wire/TrustDecision";
import type { TabFrame } from "./wire/TabFrame";
import type { Template } from "./wire/Template";
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
  /** Keeps what a container has changed in guarded files, or brings back what was: in all, or in the one at `path`. */
  answerGuard(tab: string, keep: boolean, path: string | null): Promise<void>;
  /** Adds an entry to the names that containers of the tab's project may reach, at once. */
  allowName(tab: string, entry: string): Promise<void>;
  /** Makes the tab's container anew, between two turns. */
  refreshContainer(tab: string): Promise<void>;
  /** Tells what the tab's container uses, about once a second, until the visit is ended. */
  watchContainer(tab: string, onFigures: (figures: ContainerFigures) => void): Promise<number>;
  /** Opens a shell in the tab's container. Frames may come before the promise gives the visit's number. */
  openShell(
    tab: string,
    columns: number,
    rows: number,
    onFrame: (frame: ShellFrame) => void,
  ): Promise<number>;
  writeShell(visit: number, text: string): Promise<void>;
  resizeShell(visit: number, columns: number, rows: number): Promise<void>;
  /** Says that the last output has been painted; the next one comes then. */
  shellPainted(visit: number): Promise<void>;
  /** Ends what `watchContainer` or `openShell` has begun. */
  endVisit(visit: number): Promise<void>;

  /** What Gemra holds at the engine. */
  holdings(): Promise<Holdings>;
  stopContainer(id: string): Promise<void>;
  /** Removes what nobody uses of what was shown, by its ids. */
  prune(shown: string[]): Promise<Pruned>;
  /** Makes the image anew and goes on in a container of it; `fresh`: every step, on a base that is fetched again. */
  rebuild(tab: string, fresh: boolean): Promise<void>;
  /** Says whether the project may have what it asks for beyond what a container has. */
  answerTrust(tab: string, decision: TrustDecision): Promise<void>;
  /** Chooses between the two versions of a file that has changed here and in the container. */
  answerConflict(tab: string, root: string, path: string, theirs: boolean): Promise<void>;

  setModel(tab: string, model: string): Promise<void>;
  setMode(tab: string, mode: Mode): Promise<void>;

  installAgent(tab: string): Promise<void>;
  retryAgent(tab: string): Promise<void>;
  startFresh(tab: string): Promise<void>;

  /** Dockerfiles to start from. */
  templates(): Promise<Template[]>;
  /** Writes one as the project's Dockerfile.claude, which must not be there; gives its path. */
  writeTemplate(workspace: string, template: string): Promise<string>;

  /** Writes an image to a file; false where it was given up. `replace`: also where the file is there already. */
  saveImage(
    request: string,
    name: string,
    file: string,
    replace: boolean,
    onProgress: (progress: ImageProgress) => void,
  ): Promise<boolean>;
  /** Reads an image from a file; null where it was given up. */
  loadImage(
    request: string,
    file: string,
    onProgress: (progress: ImageProgress) => void,
  ): Promise<LoadedImage | null>;
  /** Gives up what the request has begun. */
  cancelImage(request: string): Promise<void>;

  completePath(path: string): Promise<Completion>;
  /** Every container engine that is named or found, those that do not answer too. Takes seconds where one is far. */
  listEngines(): Promise<Engine[]>;
  saveSettings(settings: Settings): Promise<void>;
  dismissProblem(id: number): Promise<void>;

  /** What of the user's own keys is set and where; never a value. */
  credentials(): Promise<Credentials>;
  setCredential(variable: string, value: string): Promise<Kept>;
  forgetCredential(variable: string): Promise<void>;

  /** Who is logged in where the tab's container is. */
  accountInside(tab: string): Promise<Account>;
  /** Begins a login there. Steps may come before the promise is kept. */
  logInInside(tab: string, onStep: (step: LoginStep) => void): Promise<void>;
  sendLoginCode(tab: string, code: string): Promise<void>;
  cancelLogin(tab: string): Promise<void>;
  logOutInside(tab: string): Promise<Account>;

  /** The platform's folder dialog; null where the user chose none. */
  chooseFolder(): Promise<string | null>;
  /** The platform's file dialog for certificates; empty where the user chose none. */
  chooseCertificates(): Promise<string[]>;
  /** The platform's dialog for a new file, which asks before one is replaced; null where the user chose none. */
  chooseImageToWrite(name: string): Promise<string | null>;
  /** The platform's file dialog for an image; null where the user chose none. */
  chooseImageToRead(): Promise<string | null>;
  copyText(text: string): Promise<void>;
  /** Opens an http, https or mailto address outside the app. */
  openLink(url: string): Promise<void>;
}
