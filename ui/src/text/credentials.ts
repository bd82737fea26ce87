// What is said of the user's own keys and of a login inside a container, in words.
import type { Account } from "../host/wire/Account";
import type { Credential } from "../host/wire/Credential";
import type { Credentials } from "../host/wire/Credentials";

export const TITLES: Readonly<Record<string, string>> = {
  ANTHROPIC_API_KEY: "API key",
  ANTHROPIC_BASE_URL: "API address",
  ANTHROPIC_AUTH_TOKEN: "Gateway token",
  CLAUDE_CODE_OAUTH_TOKEN: "Token of claude setup-token",
  GITHUB_TOKEN: "GitHub token",
};

/** Where what is set next will be kept. */
export function keptNext(listing: Credentials): string {
  if (listing.keepsIn === "keyring") return "They are kept in this machine’s keyring.";
  const why = listing.reason === null ? "" : ` The keyring is not used: ${listing.reason}.`;
  return `They are kept in the file ${listing.file}, which only you can read.${why}`;
}

/** Whether one is set, and where. */
export function kept(credential: Credential): string {
  const shown = credential.shown === null ? "Set" : credential.shown;
  switch (credential.kept) {
    case "keyring":
      return `${shown}, in the keyring`;
    case "file":
      return `${shown}, in the file`;
    case null:
      return credential.inherited ? "Not set here; the environment has one" : "Not set";
  }
}

/** Who the agents in containers are logged in as. */
export function loggedIn(account: Account): string {
  if (!account.loggedIn) return "Nobody is logged in.";
  const who = account.email ?? "Somebody";
  return `${who} is logged in${account.plan === null ? "" : ` (${account.plan})`}.`;
}
