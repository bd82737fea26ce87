// Names for what the page asks of core. A repeat under the same name is done once.

export function requestId(): string {
  return crypto.randomUUID();
}
