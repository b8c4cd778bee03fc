// Faults of drawings: texts that are too small or outside their drawing, pictures and labels that do not follow the colours of the
// page, and rules of tables that a cell leaves behind when it sticks.
const findings = [];
for (const text of document.querySelectorAll("figure > svg text")) {
  const svg = text.closest("svg");
  const [inner, outer] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
  const size = parseFloat(getComputedStyle(text).fontSize) * outer.width / svg.viewBox.baseVal.width;
  const named = `${svg.parentElement.className}: ${text.textContent}`;
  if (size < 10) findings.push(`small, ${size.toFixed(1)} px, ${named}`);
  if (inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1) {
    findings.push(`outside, ${named}`);
  }
}
// The labels are parts of a figure with letters of 18 pixels, dark on white.
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
for (const label of document.querySelectorAll(".confident .label")) {
  const size = 18 * label.getBoundingClientRect().width / label.viewBox.baseVal.width;
  if (size < 10) findings.push(`small, ${size.toFixed(1)} px, label`);
  if (dark !== (getComputedStyle(label).filter !== "none")) findings.push("label in other colours");
}
for (const section of ["replication", "ablation", "search"]) {
  const picture = document.querySelector(`#${section} img`);
  if (picture) findings.push(`picture in ${section}`);
}
for (const cell of document.querySelectorAll("table tbody th")) {
  const style = getComputedStyle(cell);
  const collapse = getComputedStyle(cell.closest("table")).borderCollapse;
  if (style.position === "sticky" && (collapse !== "separate" || style.borderTopWidth !== "1px")) {
    findings.push(`rule that does not stick: ${cell.textContent}`);
  }
}
return findings;
