// The host as the desktop shell answers it: the only file that imports `@tauri-apps`. It translates names and
// nothing else.
import { Channel, invoke } from "@tauri-apps/api/core";
import { writeText } from "@tauri-apps/plugin-clipboard-manager";
import { open } from "@tauri-apps/plugin-dialog";
import { openUrl } from "@tauri-apps/plugin-opener";

import type { Host } from "./types";
import type { TabFrame } from "./wire/TabFrame";
import type { WindowFrame } from "./wire/WindowFrame";

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
  answerGuard: (tab, keep) => invoke("answer_guard", { tab, keep }),
  answerConflict: (tab, path, theirs) => invoke("answer_conflict", { tab, path, theirs }),

  setModel: (tab, model) => invoke("set_model", { tab, model }),
  setMode: (tab, mode) => invoke("set_mode", { tab, mode }),

  installAgent: (tab) => invoke("install_agent", { tab }),
  retryAgent: (tab) => invoke("retry_agent", { tab }),
  startFresh: (tab) => invoke("start_fresh", { tab }),

  completePath: (path) => invoke("complete_path", { path }),
  listEngines: () => invoke("list_engines"),
  saveSettings: (settings) => invoke("save_settings", { settings }),
  dismissProblem: (id) => invoke("dismiss_problem", { id }),

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
  copyText: (text) => writeText(text),
  openLink: (url) => openUrl(url),
};
