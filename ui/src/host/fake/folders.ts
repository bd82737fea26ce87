// The folders that exist in the fake host's world.

export const FOLDERS = [
  "/home",
  "/home/ada/projects/orchard",
  "/home/ada",
  "/home/ada/notes",
  "/home/ada/projects",
  "/home/ada/projects/api-gateway",
  "/home/ada/projects/orchard-web",
  "/home/ada/projects/telescope",
  "/srv",
  "/srv/data",
];
