// Why the model's API makes the user wait, and for how long, in words.
import type { ApiRetry } from "../host/wire/ApiRetry";

export function retryWords(retry: ApiRetry, now: number): string {
  const seconds = Math.ceil((retry.at - now) / 1000);
  const when = seconds > 0 ? `Trying again in ${seconds} s` : "Trying again now";
  const reason = retry.reason.replace(/\.$/, "");
  return `${reason}. ${when} (attempt ${retry.attempt} of ${retry.max})`;
}
