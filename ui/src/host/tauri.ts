// The host as the desktop shell answers it: the only file that imports `@tauri-apps`. It translates names and
// nothing else.
import { Channel, invoke } from "@tauri-apps/api/core";
import { writeText } from "@tauri-apps/plugin-clipboard-manager";
import { open, save } from "@tauri-apps/plugin-dialog";
import { openUrl } from "@tauri-apps/plugin-opener";

import type { Host } from "./types";
import type { LoginStep } from "./wire/LoginStep";
import type { ContainerFigures } from "./wire/ContainerFigures";
import type { ShellFrame } from "./wire/ShellFrame";
import type { ImageProgress } from "./wire/ImageProgress";
import type { TabFrame } from "./wire/TabFrame";
import type { WindowFrame } from "./wire/WindowFrame";

const ARCHIVES = [
  { name: "Images", extensions: ["tar"] },
  { name: "All files", extensions: ["*"] },
];

export const tauriHost: Host = {
  watchWindow(onFrame) {
    return invoke("watch_window", { channel: new Channel<WindowFrame>(onFrame) });
  },
  watchTab(tab, onFrame) {
    return invoke("watch_tab", { tab, channel: new Channel<TabFrame>(onFrame) });
  },
  unwatchTab: (tab, watch) => invoke("unwatch_tab", { tab, watch }),
  acknowledge: (tab, watch, seq) => invoke("acknowledge", { tab, watch, seq }),
  earlier: (tab, before, count) => invoke("earlier", { tab, before, count }),

  openTab: (request, workspace) => invoke("open_tab", { request, workspace }),
  closeTab: (tab) => invoke("close_tab", { tab }),
  renameTab: (tab, title) => invoke("rename_tab", { tab, title }),
  moveTab: (tab, index) => invoke("move_tab", { tab, index }),
  activateTab: (tab) => invoke("activate_tab", { tab }),

  send: (request, tab, text) => invoke("send", { request, tab, text }),
  unqueue: (tab, id) => invoke("unqueue", { tab, id }),
  stopTurn: (tab) => invoke("stop_turn", { tab }),
  answer: (tab, ask, choice) => invoke("answer", { tab, ask, choice }),
  retryTurn: (tab, entry) => invoke("retry_turn", { tab, entry }),

  toggleContainer: (request, tab) => invoke("toggle_container", { request, tab }),
  useHost: (tab) => invoke("use_host", { tab }),
  answerGuard: (tab, keep, path) => invoke("answer_guard", { tab, keep, path }),
  allowName: (tab, entry) => invoke("allow_name", { tab, entry }),
  refreshContainer: (tab) => invoke("refresh_container", { tab }),
  watchContainer(tab, onFigures) {
    return invoke("watch_container", { tab, channel: new Channel<ContainerFigures>(onFigures) });
  },
  openShell(tab, columns, rows, onFrame) {
    return invoke("open_shell", { tab, columns, rows, channel: new Channel<ShellFrame>(onFrame) });
  },
  writeShell: (visit, text) => invoke("write_shell", { visit, text }),
  resizeShell: (visit, columns, rows) => invoke("resize_shell", { visit, columns, rows }),
  shellPainted: (visit) => invoke("shell_painted", { visit }),
  endVisit: (visit) => invoke("end_visit", { visit }),

  holdings: () => invoke("holdings"),
  stopContainer: (id) => invoke("stop_container", { id }),
  prune: (shown) => invoke("prune", { shown }),
  rebuild: (tab, fresh) => invoke("rebuild", { tab, fresh }),
  answerTrust: (tab, decision) => invoke("answer_trust", { tab, decision }),
  answerConflict: (tab, root, path, theirs) => invoke("answer_conflict", { tab, root, path, theirs }),

  setModel: (tab, model) => invoke("set_model", { tab, model }),
  setMode: (tab, mode) => invoke("set_mode", { tab, mode }),

  installAgent: (tab) => invoke("install_agent", { tab }),
  retryAgent: (tab) => invoke("retry_agent", { tab }),
  startFresh: (tab) => invoke("start_fresh", { tab }),

  templates: () => invoke("templates"),
  writeTemplate: (workspace, template) => invoke("write_template", { workspace, template }),
  saveImage(request, name, file, replace, onProgress) {
    const channel = new Channel<ImageProgress>(onProgress);
    return invoke("save_image", { request, name, file, replace, channel });
  },
  loadImage(request, file, onProgress) {
    return invoke("load_image", { request, file, channel: new Channel<ImageProgress>(onProgress) });
  },
  cancelImage: (request) => invoke("cancel_image", { request }),

  completePath: (path) => invoke("complete_path", { path }),
  listEngines: () => invoke("list_engines"),
  saveSettings: (settings) => invoke("save_settings", { settings }),
  dismissProblem: (id) => invoke("dismiss_problem", { id }),

  credentials: () => invoke("credentials"),
  setCredential: (variable, value) => invoke("set_credential", { variable, value }),
  forgetCredential: (variable) => invoke("forget_credential", { variable }),

  accountInside: (tab) => invoke("account_inside", { tab }),
  logInInside(tab, onStep) {
    return invoke("log_in_inside", { tab, channel: new Channel<LoginStep>(onStep) });
  },
  sendLoginCode: (tab, code) => invoke("send_login_code", { tab, code }),
  cancelLogin: (tab) => invoke("cancel_login", { tab }),
  logOutInside: (tab) => invoke("log_out_inside", { tab }),

  chooseFolder: () => open({ directory: true, title: "Choose a workspace" }),
  async chooseCertificates() {
    const chosen = await open({
      multiple: true,
      title: "Choose certificate files",
      filters: [
        { name: "Certificates", extensions: ["pem", "crt", "cer"] },
        { name: "All files", extensions: ["*"] },
      ],
    });
    return chosen ?? [];
  },
  chooseImageToWrite: (name) =>
    save({ title: "Save the image as", defaultPath: `${name}.tar`, filters: ARCHIVES }),
  chooseImageToRead: () => open({ title: "Choose an image’s file", filters: ARCHIVES }),
  copyText: (text) => writeText(text),
  openLink: (url) => openUrl(url),
};
