// Settings while they are edited: rows that can be half written, and what they come to when saved. Core alone
// decides whether they are good.
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

  constructor(settings: Settings) {
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

  /** Why the rows cannot be saved as they are, in words; none where they can. */
  problem(): string | null {
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
      container: { ...this.container },
      projects: { ...this.wishes },
    };
  }
}

function isWritten(row: VariableRow): boolean {
  return row.name.trim() !== "" || row.value !== "";
}
