// Settings while they are edited: rows that can be half written, and what they come to when saved. Core alone
// decides whether they are good.
import type { Project } from "../host/wire/Project";
import type { Settings } from "../host/wire/Settings";
import type { Wishes } from "../host/wire/Wishes";

export interface VariableRow {
  name: string;
  value: string;
}

export interface ProjectRow {
  workspace: string;
  variables: VariableRow[];
}

export class SettingsDraft {
  engine = $state("");
  freshOnToggle = $state(false);
  certificates = $state<string[]>([]);
  projects = $state<ProjectRow[]>([]);
  container = $state<Wishes>({});
  wishes = $state<Settings["projects"]>({});

  /** Projects that core knows: its keys of other versions are kept only where they come back. */
  readonly #known: ReadonlySet<string>;

  constructor(settings: Settings) {
    this.#known = new Set(Object.keys(settings.projects));
    this.engine = settings.engine;
    this.freshOnToggle = settings.freshOnToggle;
    this.certificates = [...settings.certificates];
    this.container = { ...settings.container };
    this.wishes = structuredClone(settings.projects);
    this.projects = Object.entries(settings.environment).map(([workspace, variables]) => ({
      workspace,
      variables: Object.entries(variables).map(([name, value]) => ({ name, value })),
    }));
  }

  addCertificates(paths: readonly string[]): void {
    const fresh = paths.map((path) => path.trim()).filter((path) => path !== "");
    this.certificates = [...new Set([...this.certificates, ...fresh])];
  }

  removeCertificate(path: string): void {
    this.certificates = this.certificates.filter((known) => known !== path);
  }

  /** Adds a row for a workspace, or gives the one that is there an empty variable. */
  addProject(workspace: string): void {
    const known = this.projects.find((project) => project.workspace === workspace);
    if (known) known.variables.push({ name: "", value: "" });
    else this.projects.push({ workspace, variables: [{ name: "", value: "" }] });
  }

  /** Projects that something is said for. */
  workspaces(): string[] {
    return [...new Set([...Object.keys(this.wishes), ...this.projects.map(({ workspace }) => workspace)])];
  }

  /** What is wished for a project. */
  project(workspace: string): Project {
    return this.wishes[workspace] ?? { engine: "", container: {} };
  }

  setProject(workspace: string, project: Project): void {
    this.wishes = { ...this.wishes, [workspace]: project };
  }

  /** Wishes something for the containers of all projects. */
  wish(change: Wishes): void {
    this.container = { ...this.container, ...change };
  }

  wishForProject(workspace: string, change: Wishes): void {
    const project = this.project(workspace);
    this.setProject(workspace, { ...project, container: { ...project.container, ...change } });
  }

  /** Why the rows cannot be saved as they are, in words; none where they can. */
  problem(): string | null {
    const places: [string, Wishes][] = [["all projects", this.container]];
    for (const [workspace, project] of Object.entries(this.wishes))
      places.push([workspace, project.container]);
    for (const [where, wishes] of places) {
      const bad = Object.entries(wishes).find(([, value]) => Number.isNaN(value));
      if (bad !== undefined) return `A number for ${where} is none: ${bad[0]}.`;
    }
    for (const { workspace, variables } of this.projects) {
      const names = variables.map(({ name }) => name.trim());
      if (workspace.trim() === "" && variables.some(isWritten)) return "A project’s folder is empty.";
      const nameless = variables.some((row) => row.name.trim() === "" && row.value !== "");
      if (nameless) return `A variable of ${workspace} has a value and no name.`;
      const twice = names.find((name, at) => name !== "" && names.indexOf(name) !== at);
      if (twice !== undefined) return `${twice} stands twice for ${workspace}.`;
    }
    return null;
  }

  /** What is saved. Rows that were left empty are none. */
  toSettings(): Settings {
    const projects = this.projects
      .map(({ workspace, variables }): [string, Record<string, string>] => [
        workspace.trim(),
        Object.fromEntries(variables.filter(isWritten).map(({ name, value }) => [name.trim(), value])),
      ])
      .filter(([workspace, variables]) => workspace !== "" && Object.keys(variables).length > 0);
    return {
      engine: this.engine.trim(),
      freshOnToggle: this.freshOnToggle,
      certificates: [...this.certificates],
      environment: Object.fromEntries(projects),
      container: said(this.container),
      projects: Object.fromEntries(
        Object.entries(this.wishes)
          .map(([workspace, project]): [string, Project] => [
            workspace,
            { engine: project.engine.trim(), container: said(project.container) },
          ])
          .filter(([workspace, project]) => this.#known.has(workspace) || says(project)),
      ),
    };
  }
}

/** The wishes that say something. */
function said(wishes: Wishes): Wishes {
  return Object.fromEntries(
    Object.entries(wishes).filter(([, value]) => value !== undefined && value !== null),
  ) as Wishes;
}

function says(project: Project): boolean {
  return project.engine !== "" || Object.keys(project.container).length > 0;
}

function isWritten(row: VariableRow): boolean {
  return row.name.trim() !== "" || row.value !== "";
}
