// The engines of the stand-in's machine: one of each kind that the page shows otherwise.
import type { Engine } from "../wire/Engine";

export const ENGINES: Engine[] = [
  {
    setting: "unix:///var/run/docker.sock",
    address: "unix:///var/run/docker.sock",
    origin: "a known socket",
    kind: "socket",
    remote: false,
    name: "Docker 29.1.0",
    rootless: false,
    failure: null,
  },
  {
    setting: "unix:///run/user/1000/podman/podman.sock",
    address: "unix:///run/user/1000/podman/podman.sock",
    origin: "a known socket",
    kind: "socket",
    remote: false,
    name: "Podman 5.4.0",
    rootless: true,
    failure: null,
  },
  {
    setting: "context:studio",
    address: "ssh://ada@studio",
    origin: "a context of docker's (studio)",
    kind: "ssh",
    remote: true,
    name: null,
    rootless: false,
    failure: {
      code: "engine-not-trusted",
      title: "The engine's machine is not known to ssh",
      cause: "There is no way to the container engine at ssh://ada@studio: ssh does not know the machine.",
      action: "Connect to it once with ssh in a terminal, and accept its key there.",
      detail: null,
    },
  },
];
