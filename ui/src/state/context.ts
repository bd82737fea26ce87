// How components reach the window's model without its being handed through each of them.
import { createContext } from "svelte";

import type { WindowModel } from "./window.svelte";

export const [getWindow, setWindow] = createContext<WindowModel>();
