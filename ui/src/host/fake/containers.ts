// What the fake host's containers say of themselves, and what is held at its engine.
import type { ContainerFigures } from "../wire/ContainerFigures";
import type { Failure } from "../wire/Failure";
import type { HeldImage } from "../wire/HeldImage";
import type { Holding } from "../wire/Holding";
import type { Holdings } from "../wire/Holdings";
import type { ImageProgress } from "../wire/ImageProgress";
import type { LoadedImage } from "../wire/LoadedImage";
import type { Pruned } from "../wire/Pruned";
import type { ShellFrame } from "../wire/ShellFrame";
import type { TabSummary } from "../wire/TabSummary";

const GIGA = 1_000_000_000;
const HOUR = 3_600_000;
/** How long each tenth of an image takes. */
export const TENTH_MS = 200;

const FIGURES: ContainerFigures = {
  cpu: 12.5,
  cpus: 4,
  memory: 0.41 * GIGA,
  memoryLimit: 8 * GIGA,
  network: null,
  disk: [48_000_000, 2_100_000],
  processes: 7,
  said: null,
  answered: null,
  unanswered: 0,
};

function held(kind: Holding["kind"], name: string, size: number | null, used: boolean): Holding {
  return { kind, id: `${kind}-${name}`, name, workspace: null, size, used };
}

function refusal(title: string, cause: string): Failure {
  return { code: "image-file", title, cause, action: "Name another file.", detail: null };
}

export class FakeContainers {
  /** Images that were saved, newest last. */
  readonly files: string[] = [];
  /** Figures and shells that somebody looks at, by their number. */
  readonly visits = new Map<number, ((frame: ShellFrame) => void) | null>();
  #things: Holding[] = [
    held("image", "gemra-claude:5f0c9e1d", 1.1 * GIGA, true),
    held("image", "gemra-claude:0b7712aa", 1.0 * GIGA, false),
    held("volume", "gemra-claude-1000", null, true),
  ];
  #next = 1;
  /** Images on their way to a file or back, by their requests. */
  readonly #carried = new Set<string>();

  watch(onFigures: (figures: ContainerFigures) => void): number {
    this.visits.set(this.#next, null);
    onFigures({ ...FIGURES, said: Date.now() });
    return this.#next++;
  }

  open(onFrame: (frame: ShellFrame) => void): number {
    this.visits.set(this.#next, onFrame);
    onFrame({ kind: "output", data: btoa("node@host:/workspace$ ") });
    return this.#next++;
  }

  /** Whatever is typed comes back, as at a prompt. */
  write(visit: number, text: string): void {
    const tell = this.visits.get(visit);
    if (text === "\u0004") tell?.({ kind: "ended", code: 0 });
    else tell?.({ kind: "output", data: btoa(text) });
  }

  end(visit: number): void {
    this.visits.delete(visit);
  }

  holdings(tabs: readonly TabSummary[]): Holdings {
    const containers = tabs
      .filter((tab) => tab.container === "running")
      .map((tab) => ({
        id: tab.id,
        name: `gemra-${tab.id}-1`,
        tab: tab.id,
        workspace: tab.workspace,
        state: "running",
        since: Date.now() - 90_000,
        memory: 0.41 * GIGA,
        ours: true,
      }));
    return { engine: "Docker 27.3.1", containers, all: this.#things, images: this.#images() };
  }

  /** A path below /root cannot be written. */
  async save(
    request: string,
    file: string,
    replace: boolean,
    tell: (progress: ImageProgress) => void,
  ): Promise<boolean> {
    if (file.startsWith("/root/")) throw refusal("The image was not saved", `${file} was not written: no.`);
    if (this.files.includes(file) && !replace) {
      throw refusal("The image was not saved", `${file} was not written: it is there already.`);
    }
    const done = await this.#carry(request, tell);
    if (done) this.files.push(file);
    return done;
  }

  /** What the fake has not saved is somebody else's image. */
  async load(
    request: string,
    file: string,
    tell: (progress: ImageProgress) => void,
  ): Promise<LoadedImage | null> {
    const done = await this.#carry(request, tell);
    if (!done) return null;
    const ours = this.files.includes(file);
    return { names: [ours ? "gemra-claude:0b7712aa" : "tools:1"], ours };
  }

  cancel(request: string): void {
    this.#carried.delete(request);
  }

  async #carry(request: string, tell: (progress: ImageProgress) => void): Promise<boolean> {
    this.#carried.add(request);
    for (let tenth = 1; tenth <= 10; tenth++) {
      await new Promise((passed) => setTimeout(passed, TENTH_MS));
      if (!this.#carried.has(request)) return false;
      tell({ bytes: tenth * 110_000_000, total: 1_100_000_000 });
    }
    this.#carried.delete(request);
    return true;
  }

  #images(): HeldImage[] {
    const sources = ["Gemra's own Dockerfile.claude", "/home/ada/projects/orchard/Dockerfile.claude"];
    return this.#things
      .filter((thing) => thing.kind === "image")
      .map((thing, at) => ({
        id: thing.id,
        names: at === 0 ? [thing.name, "gemra-claude:latest"] : [thing.name],
        source: `${sources[at] ?? ""} for 1000:1000`,
        size: thing.size ?? 0,
        made: Date.now() - (1 + 70 * at) * HOUR,
        used: thing.used,
      }));
  }

  prune(shown: readonly string[]): Pruned {
    const removed = this.#things.filter((thing) => !thing.used && shown.includes(thing.id));
    this.#things = this.#things.filter((thing) => !removed.includes(thing));
    return { removed, stayed: [] };
  }
}
