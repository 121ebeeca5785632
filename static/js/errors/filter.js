// The filter of the error list: severities as toggles, one type; the same predicate for the API's answers and for events
// that arrive live.
import { byId, el, setAttr } from "../dom.js";
import { icon } from "../icons.js";
import { SEVERITIES } from "../parts.js";

const TYPES = ["database", "socket", "api", "system"];

/** Wires the controls; `changed()` is called after each change. */
export class Filter {
  constructor(changed) {
    this.severities = new Set();
    this.select = byId("filter-type");
    this.select.append(...TYPES.map((type) => new Option(type, type)));
    this.select.addEventListener("change", changed);
    byId("filter-severity").append(...Object.keys(SEVERITIES).map((severity) => this.toggle(severity, changed)));
  }

  toggle(severity, changed) {
    const node = el("button", "", icon(severity), severity);
    node.type = "button";
    node.dataset.tone = SEVERITIES[severity];
    setAttr(node, "aria-pressed", false);
    node.addEventListener("click", () => {
      const chosen = !this.severities.delete(severity);
      if (chosen) this.severities.add(severity);
      setAttr(node, "aria-pressed", chosen);
      changed();
    });
    return node;
  }

  /** The API's parameters. */
  parameters() {
    return { severity: [...this.severities].join(","), type: this.select.value };
  }

  /** Whether anything is filtered out at all. */
  get active() {
    return this.severities.size > 0 || this.select.value !== "";
  }

  /** Whether an event passes. */
  admits(event) {
    const severe = this.severities.size === 0 || this.severities.has(event.severity);
    return severe && (this.select.value === "" || this.select.value === event.type);
  }
}
