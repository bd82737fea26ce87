// The page's entry: finds out who answers it, and shows the window.
import { mount } from "svelte";

import App from "./App.svelte";
import "./tokens.css";
import "./base.css";
import "./fields.css";
import type { Host } from "./host/types";
import { WindowModel } from "./state/window.svelte";

async function findHost(): Promise<Host> {
  if ("__TAURI_INTERNALS__" in window) return (await import("./host/tauri")).tauriHost;
  // The stand-in is for development and never part of the app.
  if (import.meta.env.MODE !== "production") return (await import("./host/fake")).fakeHost(location.search);
  throw new Error("This page belongs into Gemra's window; a browser has nothing that answers it.");
}

async function start(target: HTMLElement): Promise<void> {
  try {
    const model = new WindowModel(await findHost(), sessionStorage);
    mount(App, { target, props: { model } });
    model.open();
  } catch (reason) {
    target.textContent = `Gemra could not show its window. ${String(reason)}`;
    throw reason;
  }
}

void start(document.getElementById("app") ?? document.body);
