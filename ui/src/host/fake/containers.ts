// What the fake host's containers say of themselves, and what is held at its engine.
import type { ContainerFigures } from "../wire/ContainerFigures";
import type { Holding } from "../wire/Holding";
import type { Holdings } from "../wire/Holdings";
import type { Pruned } from "../wire/Pruned";
import type { ShellFrame } from "../wire/ShellFrame";
import type { TabSummary } from "../wire/TabSummary";

const GIGA = 1_000_000_000;

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

export class FakeContainers {
  /** Figures and shells that somebody looks at, by their number. */
  readonly visits = new Map<number, ((frame: ShellFrame) => void) | null>();
  #things: Holding[] = [
    held("image", "gemra-claude:5f0c9e1d", 1.1 * GIGA, true),
    held("image", "gemra-claude:0b7712aa", 1.0 * GIGA, false),
    held("volume", "gemra-claude-1000", null, true),
  ];
  #next = 1;

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
    return { engine: "Docker 27.3.1", containers, all: this.#things };
  }

  prune(shown: readonly string[]): Pruned {
    const removed = this.#things.filter((thing) => !thing.used && shown.includes(thing.id));
    this.#things = this.#things.filter((thing) => !removed.includes(thing));
    return { removed, stayed: [] };
  }
}
