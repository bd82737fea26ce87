// The second lock behind the parser: whatever HTML a text became, only harmless elements reach the document.
import DOMPurify from "dompurify";

const TAGS = [
  ...["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"],
  ...["em", "strong", "s", "del", "a", "table", "thead", "tbody", "tr", "th", "td", "span", "div"],
];
const ATTRIBUTES = ["href", "title", "class", "start", "style", "data-language"];
/** What may be opened outside the app. */
const OPENABLE = /^(?:https?|mailto):/i;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  // Table cells are aligned by a style; nothing else may have one.
  const style = node.getAttribute("style");
  if (style !== null && !/^text-align:\s*(?:left|right|center);?$/.test(style)) node.removeAttribute("style");
});

/** HTML that is safe to put into the page. */
export function sanitize(html: string): string {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOWED_URI_REGEXP: OPENABLE,
    // Without this their values would have to look like addresses.
    ADD_URI_SAFE_ATTR: ["start", "data-language"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });
}

/** True where the address may be given to the browser. */
export function isOpenable(url: string): boolean {
  return OPENABLE.test(url);
}
