// The whole page on the fake host, in the document of a test.
import { cleanup, render } from "@testing-library/svelte";
import { tick } from "svelte";

import App from "../App.svelte";
import { FakeHost } from "../host/fake";
import { scene } from "../host/fake/scenes";
import { WindowModel } from "../state/window.svelte";

export interface MountedPage {
  host: FakeHost;
  model: WindowModel;
}

/** Shows a scene and waits until its page is there. */
export async function show(name: string): Promise<MountedPage> {
  cleanup();
  const host = new FakeHost(scene(name));
  const model = new WindowModel(host, sessionStorage);
  render(App, { props: { model } });
  model.open();
  await tick();
  return { host, model };
}

/** The one element with that test id; an error where there is none or more. */
export function one(id: string, within: ParentNode = document): HTMLElement {
  const found = all(id, within);
  if (found.length !== 1) throw new Error(`${found.length} elements have the test id ${id}`);
  return found[0]!;
}

export function all(id: string, within: ParentNode = document): HTMLElement[] {
  return [...within.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`)];
}

/** Types into a field as a user does: the value changes and the page is told. */
export async function type(field: HTMLElement, text: string): Promise<void> {
  if (!(field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement)) {
    throw new Error("Only fields can be typed into");
  }
  field.focus();
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  await tick();
}

export async function press(
  target: EventTarget,
  key: string,
  more: KeyboardEventInit = {},
): Promise<boolean> {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  target.dispatchEvent(event);
  await settle();
  return event.defaultPrevented;
}

/** Lets everything run that was promised already, and the page draw it. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  await tick();
}
