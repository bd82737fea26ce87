// The answers to the agent's own questions while they are being chosen, and what is sent in the end.
import type { Inquiry } from "../host/wire/Inquiry";
import type { Reply } from "../host/wire/Reply";

/** An answer that is not sent yet. */
export interface Draft {
  chosen: readonly string[];
  /** The user's own words. */
  other: string;
}

export function blank(inquiries: readonly Inquiry[]): Draft[] {
  return inquiries.map(() => ({ chosen: [], other: "" }));
}

/** Of one answer alone the user's own words are no part any more. */
export function toggled(draft: Draft, label: string, several: boolean): Draft {
  if (!several) return { chosen: [label], other: "" };
  const chosen = draft.chosen.includes(label)
    ? draft.chosen.filter((known) => known !== label)
    : [...draft.chosen, label];
  return { ...draft, chosen };
}

/** Words of the user's own are an answer by themselves where only one is wanted. */
export function written(draft: Draft, other: string, several: boolean): Draft {
  return { chosen: several || other.trim() === "" ? draft.chosen : [], other };
}

/** What is sent; null where a question has no answer yet. */
export function replies(inquiries: readonly Inquiry[], drafts: readonly Draft[]): Reply[] | null {
  const made = inquiries.map(({ question, options }, at) => {
    const draft = drafts[at];
    // In the order in which they were offered, as the agent knows them.
    const labels = options.map(({ label }) => label).filter((label) => draft?.chosen.includes(label));
    const other = draft?.other.trim() ?? "";
    return { question, answer: [...labels, ...(other === "" ? [] : [other])].join(", ") };
  });
  return made.every(({ answer }) => answer !== "") ? made : null;
}
