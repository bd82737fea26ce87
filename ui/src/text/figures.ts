// What a container uses, in words. Pure: the hover and the list of containers cannot disagree.
import type { ContainerFigures } from "../host/wire/ContainerFigures";
import type { ImageProgress } from "../host/wire/ImageProgress";
import { wholeDuration } from "./format";

/** Bytes as a reader takes them in: `0 kB`, `12 kB`, `3.4 MB`, `1.2 GB`. */
export function bytes(count: number): string {
  if (count < 999_500) return `${Math.ceil(count / 1000)} kB`;
  if (count < 999_500_000) return `${(count / 1e6).toFixed(1)} MB`;
  return `${(count / 1e9).toFixed(1)} GB`;
}

/** How far an image is on its way; the whole is an estimate where it is saved. */
export function howFar({ bytes: done, total }: ImageProgress, kind: "save" | "load"): string {
  const share = Math.min(100, Math.floor((100 * done) / Math.max(1, total)));
  if (kind === "load" && done >= total) return `${bytes(total)}, and the engine unpacks it`;
  return `${bytes(done)} of ${kind === "save" ? "about " : ""}${bytes(total)} (${share} %)`;
}

/** Rows of a name and a value, for the figures of a container at `now`, in milliseconds since the Unix epoch. */
export function figureRows(figures: ContainerFigures, now: number): [string, string][] {
  const { cpu, cpus, memory, memoryLimit, network, disk, said, answered, unanswered } = figures;
  const share =
    memoryLimit > 0 ? ` of ${bytes(memoryLimit)} (${Math.round((100 * memory) / memoryLimit)} %)` : "";
  const processors = cpus === 1 ? "one processor" : `${cpus} processors`;
  return [
    ["Processor", cpu === null ? "measuring…" : `${cpu.toFixed(cpu < 10 ? 1 : 0)} % of ${processors}`],
    ["Memory", `${bytes(memory)}${share}`],
    [
      "Network",
      network === null ? "shared with the host" : `${bytes(network[0])} in, ${bytes(network[1])} out`,
    ],
    ["Disk", `${bytes(disk[0])} read, ${bytes(disk[1])} written`],
    ["Health", health(said, answered, unanswered, now)],
  ];
}

function health(said: number | null, answered: number | null, unanswered: number, now: number): string {
  if (unanswered > 0) {
    return unanswered === 1 ? "a check was not answered" : `${unanswered} checks were not answered`;
  }
  const last =
    said === null ? "the agent has said nothing yet" : `last word ${wholeDuration(now - said)} ago`;
  return answered === null ? last : `${last}, check answered ${wholeDuration(now - answered)} ago`;
}
